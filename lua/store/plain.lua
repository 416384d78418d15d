-- The default store: the core script, lua/cas.lua. The value is a plain string at its key, which
-- anyone may GET; the version record stands beside it, in the same slot. One command a commit; a
-- conflict carries what stands there now, so that a retry needs no read.

local cas = redis.script("cas")
local read = redis.script("read")

local pcall_server = redis.pcall
local sub, match = string.sub, string.match

-- The replies to a call with a token, of which each echoes it: a reply that belongs to another
-- command must never be taken for ours.
local function refuse_mispaired(token)
  error(setmetatable({
    err = ("UNKNOWN the reply does not answer the command with token %s: replies have been " ..
      "mixed up"):format(token),
    outcome = "unknown",
  }, getmetatable(redis.error_reply("UNKNOWN"))), 0)
end

local function decode(reply, token)
  local ok = reply.ok
  if ok then
    if sub(ok, 1, 3) ~= "OK " or sub(ok, -#token) ~= token then
      refuse_mispaired(token)
    end
    return "committed", sub(ok, 4)
  end
  if reply.err then
    error(reply, 0)
  end
  if reply[1] ~= -1 or reply[5] ~= token then
    refuse_mispaired(token)
  end
  return "conflict", reply[3] or nil, reply[4]
end

-- The flags of the script.
local function lifetime_flags(value, ttl)
  if value == nil then
    return "DEL"
  elseif ttl then
    return "PX", ttl
  end
end

local function flags(value, ttl, is_present)
  if is_present then
    return "XX", lifetime_flags(value, ttl)
  end
  return lifetime_flags(value, ttl)
end

-- Runs a script on the cell, with these arguments; its reply.
local function run(script, cell, ...)
  local reply = pcall_server("EVALSHA", script.sha1, 2, cell.key, cell.version_key, ...)
  while script:is_forgotten(reply) do
    local command, text = script:teach(pcall_server)
    reply = pcall_server(command, text, 2, cell.key, cell.version_key, ...)
  end
  return reply
end

local function version_of(stamp)
  return tonumber(match(stamp, "^%d+"))
end

return {
  doc = "The core script lua/cas.lua: one round trip a commit, a conflict carries the present " ..
    "value.",

  stateless = true,

  read = function(cell)
    local reply = run(read, cell, "PTTL")
    if reply.err then
      error(reply, 0)
    end
    return reply[1] or nil, reply[3], reply[4]
  end,

  -- base.stamp "": only the number base.version is compared.
  commit = function(cell, base, value, token)
    local next_version = (base.version or version_of(base.stamp)) + 1
    return decode(run(cas, cell, value or "", next_version, cell.expire or 0, token, base.stamp,
      flags(value, cell.ttl, base.is_present)), token)
  end,

  version = version_of,

  -- The stamp that a commit on this base with this token makes, if it is applied.
  made = function(base, token, expire)
    local id = match(base.stamp, "^%d+:([^:]+):") or ((expire or 0) ~= 0 and "e" or "p") .. token
    return ("%d:%s:%s"):format(version_of(base.stamp) + 1, id, token)
  end,
}
