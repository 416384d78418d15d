-- What the errors of a server say of the command that they answer: whether it was applied, whether
-- there is use in sending it again, and what a person can do about it.

local server_error = {}

-- By the beginning of the error. event: as vlock.cell.resolver has them.
local RULES = {
  { "^LOADING ", "busy" },
  { "^BUSY ", "busy" },
  { "^TRYAGAIN ", "busy" },
  { "^CLUSTERDOWN ", "held_back", "the cluster has no primary for this slot just now" },
  { "^MOVED ", "held_back", "the server is part of a cluster, which vlock does not follow yet" },
  { "^ASK ", "held_back", "the server is part of a cluster, which vlock does not follow yet" },
  { "^READONLY ", "held_back", "this server is a replica: connect to its primary" },
  { "^MASTERDOWN ", "held_back", "this replica has lost its primary: connect to the primary" },
  { "^OOM ", "held_back", "the server is at its maxmemory: raise it, or let keys go" },
  { "^MISCONF ", "held_back", "the server cannot save to its disk: see its log" },
  { "^NOREPLICAS ", "held_back", "fewer replicas are connected than min-replicas-to-write wants" },
  { "^ERR max number of clients", "held_back", "the server's maxclients is reached" },
  { "^NOSCRIPT ", "held_back" },
  { "^NOAUTH ", "refused", "the server wants a password: in the URL, REDISCLI_AUTH or " ..
    "--password-file" },
  { "^WRONGPASS ", "refused", "name and password do not fit" },
  { "^NOPERM ", "refused", "give this user the right, or connect as another" },
  { "^ERR The user executing the script ", "refused", "give this user the right, or connect as " ..
    "another" },
  { "^ERR ACL failure in script", "refused", "give this user the right, or connect as another" },
  { "^WRONGTYPE ", "refused", "the key holds no string: name another key" },
  { "^CROSSSLOT ", "refused", "keys of one command need the same hash tag in a cluster" },
  { "^EXECABORT ", "refused" },
  { "^VLOCK ", "refused" },
  { "^ERR unknown command", "refused", "this server lacks the command: vlock needs Redis 7.0 or " ..
    "Valkey 7.2, with scripts" },
  { "^ERR DISABLED ", "refused" },
  { "^DENIED ", "refused" },
}

local function rule_of(text)
  for _, rule in ipairs(RULES) do
    if text:find(rule[1]) then
      return rule
    end
  end
end

--- "busy", "held_back", "refused": surely not applied. nil: nobody can tell.
function server_error.event(text)
  local rule = rule_of(text)
  return rule and rule[2]
end

--- An error reply, to which is added what a person can do about it, where we know that.
function server_error.advised(reply)
  local rule = rule_of(reply.err)
  local advice = rule and rule[3]
  if advice and not reply.err:find(advice, 1, true) then
    reply.err = ("%s (%s)"):format(reply.err, advice)
  end
  return reply
end

return server_error
