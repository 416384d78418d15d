-- What the errors of a server say of the command that they answer: whether it was applied, whether
-- there is use in sending it again, and what a person can do about it.
--
-- What is not in the table decides nothing, though most errors mean that nothing was done: one that
-- stands between us and the server answers so in its own name, about a command that it passed on;
-- and a script can fail behind its last write.

local server_error = {}

local WANTS_PASSWORD = "the server wants a password: in the URL, REDISCLI_AUTH or --password-file"

local IS_A_NODE = "the server is a node of a cluster: its URL begins with redis+cluster://, or " ..
  "rediss+cluster:// for TLS"

-- By the beginning of the error. event: as vlock.cell.resolver has them.
local RULES = {
  { "^LOADING ", "busy", "it is over when the server has read its data" },
  { "^BUSY ", "busy", "end the script that runs there, or let it end" },
  { "^TRYAGAIN ", "busy", "it is over when the slot has moved, or another server is in charge" },
  { "^CLUSTERDOWN ", "busy", "it is over when the cluster has a primary for each slot again" },
  { "^ERR max number of clients", "busy", "the server's maxclients is reached: raise it, or use " ..
    "fewer connections" },
  { "^MOVED ", "held_back", IS_A_NODE },
  { "^ASK ", "held_back", IS_A_NODE },
  { "^READONLY ", "held_back", "this server is a replica: connect to its primary" },
  { "^MASTERDOWN ", "held_back", "this replica has lost its primary: connect to the primary" },
  { "^OOM ", "held_back", "the server is at its maxmemory: raise it, or let keys go" },
  { "^MISCONF ", "held_back", "the server cannot save to its disk: see its log" },
  { "^NOREPLICAS ", "held_back", "fewer replicas are connected than min-replicas-to-write wants" },
  { "^NOSCRIPT ", "held_back" },
  { "^NOAUTH ", "refused", WANTS_PASSWORD },
  -- To a command of more than ten words, as commits are, or with a long one.
  { "^ERR Protocol error: unauthenticated ", "refused", WANTS_PASSWORD },
  { "^WRONGPASS ", "refused", "name and password do not fit" },
  { "^NOPERM ", "refused", "give this user the right, or connect as another" },
  { "^ERR The user executing the script ", "refused", "give this user the right, or connect as " ..
    "another" },
  { "^ERR ACL failure in script", "refused", "give this user the right, or connect as another" },
  { "^WRONGTYPE ", "refused", "the key holds no string: name another key" },
  { "^CROSSSLOT ", "refused", "keys of one command need the same hash tag in a cluster" },
  { "^EXECABORT ", "refused", "a command of the transaction was refused: the reply to that " ..
    "one says why" },
  { "^VLOCK ", "refused" },
  { "^ERR unknown command", "refused", "this server lacks the command: vlock needs Redis 7.0 or " ..
    "Valkey 7.2, with scripts" },
  { "^ERR DISABLED ", "refused" },
  { "^DENIED ", "refused" },
}

local function rule_of_reason(text)
  for _, rule in ipairs(RULES) do
    if text:find(rule[1]) then
      return rule
    end
  end
end

-- Errors that carry another one, which is the reason: see src/net/link_connect.c for the first.
local CARRIERS = {
  "^UNREACHABLE .* the server refused us: (.*)$",
  "^EXECABORT .* because of: (.*)$",
}

local function reason_of(text)
  for _, carrier in ipairs(CARRIERS) do
    local reason = text:match(carrier)
    if reason then
      return reason
    end
  end
end

local function rule_of(text)
  local reason = reason_of(text)
  local rule = reason and rule_of_reason(reason)
  return rule or rule_of_reason(text)
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
