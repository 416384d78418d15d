-- The default store: the core script, lua/cas.lua. The value is a plain string at its key, which
-- anyone may GET; the version record stands beside it, in the same slot. One command a commit; a
-- conflict carries what stands there now, so that a retry needs no read.

local cas = redis.script("cas")
local cas_merge = redis.script("cas_merge") -- the end of a script: see vlock.cell.server_merge
local read = redis.script("read")

local connections = require "vlock.redis_core"
local core = require "vlock.core"
local server_error = require "vlock.cell.server_error"
local stamps = require "vlock.cell.stamp"

local pcall_server, commit_server = redis.pcall, connections.commit
local ask_replica = connections.ask_replica
local reads = 0 -- by which replies to reads are told apart

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

-- The flags of the script, and what comes behind them. after: a stamp that the record is to tell
-- of; nil: none.
local function lifetime_flags(value, ttl, ...)
  if value == nil then
    return "DEL", ...
  elseif ttl then
    return "PX", ttl, ...
  end
  return ...
end

local value_flags

function value_flags(cell, value, is_present, after, is_again, ...)
  if is_again then
    return "AGAIN", value_flags(cell, value, is_present, after, false, ...)
  elseif after then
    return "AFTER", after, value_flags(cell, value, is_present, nil, false, ...)
  elseif is_present then
    return "XX", lifetime_flags(value, cell.ttl, ...)
  end
  return lifetime_flags(value, cell.ttl, ...)
end

local function flags(cell, value, is_present, after, is_again, ...)
  if is_present and value ~= nil and not (is_again or after or cell.ttl) and cell.receipts > 0 then
    return "RECEIPT", cell.receipt_ms, "XX", ... -- most of them
  elseif cell.receipts > 0 then
    return "RECEIPT", cell.receipt_ms, value_flags(cell, value, is_present, after, is_again, ...)
  end
  return value_flags(cell, value, is_present, nil, is_again, ...)
end

-- What the arrays of the script begin with.
local SAYS = { [-1] = "conflict", [-2] = "history_lost", [-3] = "undecidable",
  [-4] = "commit_lost" }

-- The reply to a call of the core script, other than that of its commit.
local function decode(reply, token)
  if reply.err then
    error(decided(reply), 0)
  elseif reply.ok or not SAYS[reply[1]] or reply[5] ~= token then
    refuse_mispaired(token)
  end
  return SAYS[reply[1]], reply[3] or nil, reply[4]
end

-- The reply to such a call as it is, but for that of a server which does not know the script: that
-- is taught it, and called again.
local function taught(call, script, cell, reply, stamp, ...)
  while reply ~= "committed" and script:is_forgotten(reply) do
    local command, text = script:teach(pcall_server)
    reply, stamp = call(command, text, 2, cell.key, cell.version_key, ...)
  end
  return reply, stamp
end

-- Runs a script that writes nothing on the cell by `call`, with these arguments; the reply.
local function run(call, script, cell, ...)
  local reply = call("EVALSHA", script.sha1, 2, cell.key, cell.version_key, ...)
  return reply.err and taught(call, script, cell, reply, nil, ...) or reply
end

-- What a replica says, which has scripts of its own; nil: nothing that can be believed. That is a
-- value and the record of it. That there is no value, or no record, may be half of what is just
-- coming or going, as while a slot moves, and no state that ever was: and no stamp would tell that
-- from one that is.
local function read_at_replica(cell, ...)
  local reply = ask_replica("EVALSHA", read.sha1, 2, cell.key, cell.version_key, ...)
  if read:is_forgotten(reply) then
    reply = ask_replica("EVAL", read.source, 2, cell.key, cell.version_key, ...)
  end
  return reply and not reply.err and reply[1] and reply[2] > 0 and reply or nil
end

-- What a commit was that was made over theirs: what it wrote (nil: nobody knows that any more), and
-- the state that it stands on.
local function merged(reply)
  local lifetime = reply[7]
  return {
    value = reply[3] or nil,
    is_lost = not reply[3],
    lifetime = lifetime ~= -3 and lifetime,
    base = { value = reply[8] or nil, is_lost = reply[8] == nil, is_present = reply[8] ~= false,
      stamp = reply[6], version = stamps.version(reply[6]) },
  }
end

-- The words of a write behind its keys, marked with AGAIN where it was sent before.
local function words_of(cell, base, value, token, after, is_again, ...)
  local version = (base.version or stamps.version(base.stamp)) + 1
  return value or "", version, cell.expire or 0, token, base.stamp,
    flags(cell, value, base.is_present, after, is_again, ...)
end

-- The reply to a write as it is; where the server did not know the script, that to the same write
-- once more. Should something on the way have doubled the first call, its copy may meet the script
-- now: a conflict with that is none, and asked about as a write is whose reply was lost.
local function taught_write(script, cell, reply, stamp, base, value, token, after, is_again, ...)
  if reply == "committed" or not reply.err then
    return reply, stamp -- nearly always
  end
  reply, stamp = taught(commit_server, script, cell, reply, stamp,
    words_of(cell, base, value, token, after, is_again, ...))
  if reply == "committed" or reply.err or reply[1] ~= -1 or is_again or cell.receipts == 0 then
    return reply, stamp
  end
  reply, stamp = commit_server("EVALSHA", script.sha1, 2, cell.key, cell.version_key,
    words_of(cell, base, value, token, after, true, ...))
  if reply ~= "committed" and reply.err then
    error(unknown("the server answered: %s", reply.err), 0)
  end
  return reply, stamp
end

-- Sends the write by a script; the reply, or "committed" and the stamp.
local function send(script, cell, ...)
  local reply, stamp = commit_server("EVALSHA", script.sha1, 2, cell.key, cell.version_key,
    words_of(cell, ...))
  return taught_write(script, cell, reply, stamp, ...)
end

local function write(cell, base, value, token, after, is_again)
  local reply, stamp = send(cas, cell, base, value, token, after, is_again)
  if reply == "committed" then
    return reply, stamp
  end
  return decode(reply, token)
end

-- The same by the script of a merge.
local function write_merging(cell, base, value, token, after, is_again, merge)
  local reply, stamp = send(merge.script, cell, base, value, token, after, is_again,
    merge:words(base))
  merge.is_taken = true -- by the server
  if reply == "committed" then
    return reply, stamp
  elseif reply[1] == 1 and reply[5] == token then
    return "committed", reply[4], merged(reply)
  elseif reply[6] then
    merge:say(reply[6])
  end
  return decode(reply, token)
end

-- Where the server cannot make sense of the script, nothing was sent but that.
local function is_no_script(reason)
  return type(reason) == "table" and type(rawget(reason, "err")) == "string"
    and reason.err:find("^ERR Error compiling script")
end

-- The same where it is not known yet whether the server takes the script.
local function try_merging(cell, base, value, token, after, is_again, merge)
  merge.script = redis.script(merge:source(cas.source, cas_merge.source))
  local ok, result, a, b = pcall(write_merging, cell, base, value, token, after, is_again, merge)
  if ok then
    return result, a, b
  elseif not is_no_script(result) then
    error(result, 0)
  end
  merge:refuse(result.err)
  return write(cell, base, value, token, after, is_again)
end

-- How a write is sent that carries a merge, or none (nil).
local function way_of(merge)
  if not merge or merge.is_refused then
    return write
  end
  return merge.is_taken and write_merging or try_merging
end

-- The stamp that the record is to tell of; nil: it need not any more.
local function asked_after(last)
  return last and core.now() < last.told_until and last.stamp or nil
end

-- What the store says of what the script said.
local function judged(last, is_again, said, a, b)
  if said ~= "commit_lost" then
    return said, a, b
  elseif core.now() < last.told_until then
    return "history_lost"
  end
  return is_again and "undecidable" or "conflict" -- the receipt may have been over
end

-- base.stamp "": only the number base.version is compared.
local function commit(cell, base, value, token, last, merge)
  local result, a, b = judged(last, false, way_of(merge)(cell, base, value, token,
    asked_after(last), false, merge))
  if result == "conflict" and b and not base.is_of_replica and stamps.went_back(base, b) then
    return "history_lost" -- a replica may know what a new primary never had
  end
  return result, a, b
end

-- What `commit` says of a write without a merge that was sent by kept.write, and met this.
local function answered(cell, base, value, token, outcome, said)
  local reply, stamp = connections.told(token, outcome, said)
  reply, stamp = taught_write(cas, cell, reply, stamp, base, value, token)
  if reply == "committed" then
    return reply, stamp
  end
  local result, a, b = decode(reply, token)
  if result == "conflict" and b and stamps.went_back(base, b) then
    return "history_lost"
  end
  return result, a, b
end

return {
  doc = "The core script lua/cas.lua: one round trip a commit, a conflict carries the present " ..
    "value.",

  stateless = true,

  merges = true, -- `merge`, below, of vlock.cell.server_merge: nil where the host does it

  reads_from_replica = true,

  read = function(cell, may_be_older)
    reads = reads + 1
    local tag = ("%d"):format(reads)
    local reply = may_be_older and read_at_replica(cell, "PTTL", tag)
      or run(pcall_server, read, cell, "PTTL", tag)
    if reply.err then
      error(reply, 0)
    elseif reply[5] ~= tag then
      refuse_mispaired(tag)
    end
    return reply[1] or nil, reply[3], reply[4]
  end,

  commit = commit,

  -- That kept.write (src/lua/kept_write.c) may do in the place of `commit`, for as long as that is
  -- this very function.
  undisturbed = { commit = commit, sha1 = cas.sha1, answered = answered },

  -- The same write once more: its reply was lost.
  resolve = function(cell, base, value, token, last, merge)
    return judged(last, true, way_of(merge)(cell, base, value, token, asked_after(last), true,
      merge))
  end,

  version = stamps.version,

  -- The stamp that a commit on this base with this token makes, if it is applied.
  made = function(base, token, expire)
    return stamps.next(base, token, (expire or 0) ~= 0 and "e" or "p")
  end,
}
