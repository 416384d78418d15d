-- A state of a cell, as its store reported it: what the next write stands on.
--
-- value, stamp, version   as they were read or written; value nil: the cell is absent
-- is_present              whether it has a value
-- expires_at              when its value is over, on core.now's clock; math.huge: never; nil:
--                         nobody knows

local again = require "vlock.cell.again"
local core = require "vlock.core"
local limited = require "vlock.cell.limited"
local outcome = require "vlock.cell.outcome"
local server_error = require "vlock.cell.server_error"

local now = core.now

local state = {}

--- A state, of a store's words for it.
function state.new(store, value, stamp, expires_at)
  return {
    value = value,
    is_present = value ~= nil,
    stamp = stamp,
    version = store.version and store.version(stamp) or 0,
    expires_at = expires_at,
  }
end

--- When a value is over. lifetime: as a store's `read` tells it: milliseconds, negative: it has
-- none; nil: it has none that matters; false: unknown. asked: when it was asked for.
function state.expiry_of(lifetime, asked)
  if lifetime == false then
    return nil
  end
  return lifetime and lifetime >= 0 and asked + lifetime / 1000 or math.huge
end

--- When the value is over that is written over a state: never before this, since the server writes
-- it later than it was sent.
function state.expiry_of_written(cell, base, value, sent)
  if value == nil or not base.is_present and not cell.ttl then
    return math.huge
  elseif cell.ttl then
    return sent + cell.ttl / 1000
  end
  return base.expires_at -- it keeps the lifetime that it had
end

-- A read that has failed changed nothing: whether it ran is not what its caller wants to know.
local function fail(reason, limit)
  if outcome.is(reason, "unknown") then
    reason.outcome = "unreachable"
    reason.err = reason.err:gsub("^UNKNOWN ", "UNREACHABLE ")
      :gsub(": whether the command ran is unknown$", "")
  elseif type(reason) == "table" and type(rawget(reason, "err")) == "string" then
    server_error.advised(reason)
  end
  if outcome.is(reason, "unreachable") then
    reason.limit = limit
  end
  error(reason, 0)
end

--- store.read(cell, may_be_older), once more where the connection died meanwhile. A server from
-- which no reply comes is one that cannot be reached. limit: see vlock.cell.limited.
function state.read_again(store, cell, limit, may_be_older)
  local ok, value, stamp, lifetime = limited(limit, again, store.read, cell, may_be_older)
  if not ok then
    fail(value, limit)
  end
  return value, stamp, lifetime
end

local function limit_of(plan, started)
  return plan.deadline and started + plan.deadline
end

--- Whether this error is that of a state.read which the plan's deadline has ended.
function state.has_met_deadline(reason, plan, started)
  local limit = limit_of(plan, started)
  return limit and outcome.is(reason, "unreachable") and reason.limit == limit and now() >= limit
end

--- One atomic read, for a session, in what began at `started`: the plan may have a deadline.
-- may_be_older: a replica may answer it, if there is one.
function state.read(session, plan, cell, started, may_be_older)
  local asked = now()
  local value, stamp, lifetime = state.read_again(plan.store, cell, limit_of(plan, started),
    may_be_older)
  if session.observe_read and not may_be_older then
    session:observe_read(cell, value, stamp, asked)
  end
  return state.new(plan.store, value, stamp, state.expiry_of(lifetime, asked))
end

return state
