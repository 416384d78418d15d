-- The default store: the core script, lua/cas.lua. The value is a plain string at its key, which
-- anyone may GET; the version record stands beside it, in the same slot. One command a commit; a
-- conflict carries what stands there now, so that a retry needs no read.

local cas = redis.script("cas")
local read = redis.script("read")

local connections = require "vlock.redis_core"
local server_error = require "vlock.cell.server_error"

local pcall_server = redis.pcall
local reads = 0 -- by which replies to reads are told apart
local sub, match = string.sub, string.match

-- The replies to a call with a token, of which each echoes it: a reply that belongs to another
-- command must never be taken for ours.
local function unknown(text, ...)
  return setmetatable({ err = "UNKNOWN " .. text:format(...), outcome = "unknown" },
    getmetatable(redis.error_reply("UNKNOWN")))
end

local function refuse_mispaired(token)
  connections.distrust()
  error(unknown("the reply does not answer the command with token %s: replies have been mixed up",
    token), 0)
end

-- What the server is known to say before it runs the script, or the script before it writes. Any
-- other error decides nothing.
local function decided(reply)
  local is_known = reply.outcome or server_error.event(reply.err)
  return is_known and reply or unknown("the server answered: %s", reply.err)
end

-- The flags of the script.
local function lifetime_flags(value, ttl)
  if value == nil then
    return "DEL"
  elseif ttl then
    return "PX", ttl
  end
end

local value_flags

function value_flags(cell, value, is_present, is_again)
  if is_again then
    return "AGAIN", value_flags(cell, value, is_present)
  elseif is_present then
    return "XX", lifetime_flags(value, cell.ttl)
  end
  return lifetime_flags(value, cell.ttl)
end

local function flags(cell, value, is_present, is_again)
  if cell.receipts > 0 then
    return "RECEIPT", math.ceil(cell.receipts * 1000), value_flags(cell, value, is_present,
      is_again)
  end
  return value_flags(cell, value, is_present, is_again)
end

-- What the arrays of the script begin with.
local SAYS = { [-1] = "conflict", [-2] = "history_lost", [-3] = "undecidable" }

local function decode(reply, token)
  local ok = reply.ok
  if ok then
    if sub(ok, 1, 3) ~= "OK " or sub(ok, -#token) ~= token then
      refuse_mispaired(token)
    end
    return "committed", sub(ok, 4)
  end
  if reply.err then
    error(decided(reply), 0)
  end
  if not SAYS[reply[1]] or reply[5] ~= token then
    refuse_mispaired(token)
  end
  return SAYS[reply[1]], reply[3] or nil, reply[4]
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

local function id_of(stamp)
  return match(stamp, "^%d+:([^:]+):")
end

-- Whether a record, found in the place of what was read, is the same one as it was earlier: then
-- the server has lost writes. (One that is gone, or was made anew, is an ordinary conflict.)
local function went_back(base, stamp)
  local id = id_of(base.stamp)
  if not id or id_of(stamp) ~= id then
    return false
  end
  return version_of(stamp) <= version_of(base.stamp) and stamp ~= base.stamp
end

-- Sends the write, marked with AGAIN where it was sent before.
local function write(cell, base, value, token, is_again)
  local next_version = (base.version or version_of(base.stamp)) + 1
  return decode(run(cas, cell, value or "", next_version, cell.expire or 0, token, base.stamp,
    flags(cell, value, base.is_present, is_again)), token)
end

return {
  doc = "The core script lua/cas.lua: one round trip a commit, a conflict carries the present " ..
    "value.",

  stateless = true,

  read = function(cell)
    reads = reads + 1
    local tag = ("%d"):format(reads)
    local reply = run(read, cell, "PTTL", tag)
    if reply.err then
      error(reply, 0)
    elseif reply[5] ~= tag then
      refuse_mispaired(tag)
    end
    return reply[1] or nil, reply[3], reply[4]
  end,

  -- base.stamp "": only the number base.version is compared.
  commit = function(cell, base, value, token)
    local result, a, b = write(cell, base, value, token)
    if result == "conflict" and went_back(base, b) then
      return "history_lost"
    end
    return result, a, b
  end,

  -- The same write once more: its reply was lost.
  resolve = function(cell, base, value, token)
    return write(cell, base, value, token, true)
  end,

  version = version_of,

  -- The stamp that a commit on this base with this token makes, if it is applied.
  made = function(base, token, expire)
    local id = match(base.stamp, "^%d+:([^:]+):") or ((expire or 0) ~= 0 and "e" or "p") .. token
    return ("%d:%s:%s"):format(version_of(base.stamp) + 1, id, token)
  end,
}
