-- The update loop: read, compute, compare-and-set, and what happens when somebody else was faster.
--
-- The order of a conflict: retry (may give up) -> backoff -> sleep -> where that took longer than a
-- round trip, read again -> merge, or the update function, on what was just read -> attempt. The
-- value that a conflict carries serves immediate retries only: a base that was carried through a
-- sleep is as old as the sleep, and loses to whoever has just committed.

local again = require "vlock.cell.again"
local cache = require "vlock.cell.cache"
local codecs = require "vlock.cell.codec"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local outcome = require "vlock.cell.outcome"

local error_text = require "vlock.text.error_text"

local now = core.now

local DELETE = setmetatable({}, {
  __tostring = function()
    return "vlock.DELETE"
  end,
})

local update = { DELETE = DELETE }

-- A state of the cell as its store reported it. expires_at: when its value is over, on core.now's
-- clock; math.huge: never; nil: nobody knows.
local function new_base(store, value, stamp, expires_at)
  return {
    value = value,
    is_present = value ~= nil,
    stamp = stamp,
    version = store.version and store.version(stamp) or 0,
    expires_at = expires_at,
  }
end

-- lifetime: of the value as a store's `read` tells it: milliseconds, negative: it has none; nil: it
-- has none that matters; false: unknown.
local function expiry_of(lifetime, asked)
  if lifetime == false then
    return nil
  end
  return lifetime and lifetime >= 0 and asked + lifetime / 1000 or math.huge
end

-- When the value is over that is written over a base: never before this, since the server writes it
-- later than it was sent.
local function expiry_of_written(cell, base, value, sent)
  if value == nil or not base.is_present and not cell.ttl then
    return math.huge
  elseif cell.ttl then
    return sent + cell.ttl / 1000
  end
  return base.expires_at -- it keeps the lifetime that it had
end

-- What a server says that cannot work just now, before it has done anything: LOADING its data, BUSY
-- with a script, a slot on its way.
local function is_busy(reason)
  local text = type(reason) == "table" and rawget(reason, "err")
  return type(text) == "string"
    and (text:find("^LOADING ") or text:find("^BUSY ") or text:find("^TRYAGAIN ")) ~= nil
end

--- store.read(cell), once more where the connection died meanwhile.
function update.read_again(store, cell)
  return again(store.read, cell)
end

--- One atomic read: a base.
function update.read(plan, cell)
  local asked = now()
  local value, stamp, lifetime = update.read_again(plan.store, cell)
  return new_base(plan.store, value, stamp, expiry_of(lifetime, asked))
end

local logged = cache.new(64) -- by what raised: its last line in the log

-- What was raised where it changes nothing of an update: a line in the log, but not the same one
-- again and again.
local function log_failure(what, reason)
  local line = ("%s raised: %s"):format(what, error_text(reason))
  if logged:get(what) ~= line then
    logged:put(what, line)
    connections.log(connections.LOG_WARNING, line)
  end
end

-- The state that a commit made. Whatever the store's `version` raises now: it is written.
local function committed_base(plan, value, stamp, expires_at)
  local ok, base = pcall(new_base, plan.store, value, stamp, expires_at)
  if ok then
    return base
  end
  log_failure(("version of the store '%s'"):format(plan.store_name), base)
  return { value = value, is_present = value ~= nil, stamp = stamp, version = 0 }
end

-- A store that failed: what it sent before may have been applied. What the server itself refused
-- was not.
local function failed_attempt(reason, token, has_sent)
  local is_reply = type(reason) == "table" and (rawget(reason, "err") or rawget(reason, "outcome"))
  if outcome.is(reason, "unknown") then
    return "unknown", outcome.new("unknown", { reason = tostring(reason), token = token })
  elseif is_reply or not has_sent then
    error(reason, 0)
  end
  local text = "the store failed after it had sent a command: " .. error_text(reason)
  return "unknown", outcome.new("unknown", { reason = text, token = token, raised = reason })
end

--- Sends one attempt. value: text for the server, nil to delete. Returns "committed" and the new
-- base; "conflict" and what stands there now (nil where the store did not say); "busy": the server
-- cannot work just now; or "unknown" and an outcome. Raises what the server or the caller refused.
-- From outside, if the run is cut, plan.attempting tells that it was under way, and plan.committed
-- that it was applied.
function update.attempt(session, plan, cell, base, value)
  local token = session:token()
  session.attempts = session.attempts + 1
  local sent, sent_before = now(), connections.commands_sent()
  plan.attempting = token
  local ok, result, a, b = pcall(plan.store.commit, cell, base, value, token)
  session.rtt = now() - sent
  if ok and result == "committed" then
    plan.committed = { value = value, stamp = a, version = 0 }
    local committed = committed_base(plan, value, a, expiry_of_written(cell, base, value, sent))
    plan.attempting, plan.committed = nil, committed
    session:remember(cell, committed)
    return "committed", committed
  end
  plan.attempting = nil
  session:forget(cell)
  if not ok and is_busy(result) then
    return "busy"
  elseif not ok then
    return failed_attempt(result, token, connections.commands_sent() > sent_before)
  elseif result == "conflict" then
    session.conflicts = session.conflicts + 1
    return "conflict", b and new_base(plan.store, a, b) or nil
  end
  return failed_attempt(("the store '%s' returned %s from commit: it must be \"committed\" or " ..
    "\"conflict\""):format(plan.store_name,
    tostring(result)), token, connections.commands_sent() > sent_before)
end

--- What the update function makes of a base: "write", the text to write and what to return for it;
-- or "leave", as it is. A plan may have another `compute` (vlock.cell.combine has), which is also
-- told whether the base was only kept.
function update.compute(plan, fn, base)
  local wanted = fn(plan.codec.decode(base.value), base.version)
  if wanted == nil then
    return "leave"
  elseif wanted == DELETE then
    return "write", nil, nil
  end
  return "write", codecs.for_server(plan.codec, wanted), wanted
end

-- A decision not to write, or an error, on a base that was only kept counts for nothing: the same
-- on a fresh read.
local function first_decision(session, plan, cell, fn)
  local pause = session:pause_before(cell)
  if pause > 0 then
    core.sleep(pause)
  end
  local base = session:base_of(cell)
  if base then
    local ok, decision, text, wanted = pcall(plan.compute, plan, fn, base, true)
    if ok and decision == "write" then
      return base, decision, text, wanted
    end
  end
  base = update.read(plan, cell)
  return base, plan.compute(plan, fn, base, false)
end

local function shown(plan, base)
  return { value = plan.codec.decode(base.value), version = base.version }
end

-- What the policy is told: see lua/README.md for every field.
local function new_conflict(session, plan, cell)
  return {
    key = cell.key,
    codec = plan.codec.name,
    attempt = 0,
    elapsed = 0,
    rtt = 0,
    gap = 0,
    worker = session.worker,
    state = {},
    random = session.random,
    now = now,
  }
end

-- Hooks watch: what they raise changes nothing of what they are told of.
local function call_hook(policy, name, ...)
  local hook = policy[name]
  if not hook then
    return
  end
  local ok, reason = pcall(hook, ...)
  if not ok then
    log_failure(name, reason)
  end
end

local function tell_success(listeners)
  for _, listener in ipairs(listeners) do
    local ok, reason = pcall(listener)
    if not ok then
      log_failure("on_success", reason)
    end
  end
end

local function give_up(policy, c, reason)
  call_hook(policy, "on_give_up", c, reason)
  return nil, outcome.new("gave_up", { reason = reason, attempts = c.attempt, theirs = c.theirs })
end

-- Asks the policy, and sleeps as it says, within its deadlines and that of the options. False and a
-- reason: it gave up. Else the seconds.
local function wait(session, plan, policy, c, started)
  c.elapsed = now() - started
  local goes_on, more, take = policy.retry(c)
  if not goes_on then
    return false, more or "the policy ended it"
  end
  local seconds = policy.backoff(c)
  local limit = math.min(plan.deadline or math.huge, more or math.huge)
  if c.elapsed + seconds > limit then
    return false, ("the deadline of %s would pass"):format(core.format_duration(limit))
  end
  if take then
    take()
  end
  if seconds > 0 then
    session.sleep(seconds)
  end
  return true, seconds
end

-- What to write over theirs: the merge's result, or what the update function makes of it. A
-- deletion is not merged: whether it still holds is the update function's to say.
local function resolve(plan, policy, c, fn, theirs)
  local merged
  if c.mine ~= nil then -- false is a value, under the json codec
    merged = policy.merge(c)
  end
  if merged ~= nil then
    if merged == DELETE then
      return "write", nil, nil
    end
    return "write", codecs.for_server(plan.codec, merged), merged
  end
  return plan.compute(plan, fn, theirs, false)
end

-- What one update knows on its way: session, plan, cell, fn, started, and its conflict, once it has
-- had one.
local function new_course(session, plan, cell, fn)
  return { session = session, plan = plan, cell = cell, fn = fn, started = now(),
    policy = plan.policy }
end

-- Notes a failed attempt on the conflict, and asks the policy what comes of it: as `wait`.
local function ask(course, cause, base, wanted, theirs)
  local c = course.c or new_conflict(course.session, course.plan, course.cell)
  course.c = c
  c.attempt, c.cause, c.rtt = c.attempt + 1, cause, course.session.rtt
  c.base, c.mine = base and shown(course.plan, base), wanted
  c.theirs = theirs and shown(course.plan, theirs)
  if theirs then
    c.gap = theirs.version - base.version
  end
  call_hook(course.policy, "on_conflict", c)
  return wait(course.session, course.plan, course.policy, c, course.started)
end

-- f(a, b, c, d), tried again as the policy says while the server is too busy to answer. The first
-- result: whether it came to an end, then up to four of its own; else the reason why it was given
-- up.
local function patiently(course, f, a, b, c, d)
  while true do
    local ok, first, second, third, fourth = pcall(f, a, b, c, d)
    if ok then
      return true, first, second, third, fourth
    elseif not is_busy(first) then
      error(first, 0)
    end
    local goes_on, reason = ask(course, "busy")
    if not goes_on then
      return false, ("%s (%s)"):format(reason, first.err)
    end
  end
end

local function committed(course, wanted, state)
  local c = course.c
  if course.policy.listeners then
    tell_success(course.policy.listeners)
  end
  if c then
    c.elapsed = now() - course.started
    call_hook(course.policy, "on_commit", c)
  end
  return wanted, state.version, state
end

-- After a failed attempt: a base to try again on, or nil and why the update ends.
local function next_base(course, result, base, wanted, theirs)
  local goes_on, slept = ask(course, result, base, wanted, theirs)
  local c = course.c
  if not goes_on then
    return nil, slept
  elseif not theirs or slept > c.rtt then
    local ok
    ok, theirs = patiently(course, update.read, course.plan, course.cell)
    if not ok then
      return nil, theirs
    end
    c.theirs, c.gap = shown(course.plan, theirs), theirs.version - base.version
    c.base, c.mine = shown(course.plan, base), wanted
  end
  return theirs
end

--- See Client:update in vlock.cell.client. session: vlock.cell.session. The third result is the
-- state that was written or left, the fourth whether it was left.
function update.run(session, plan, cell, fn)
  local course = new_course(session, plan, cell, fn)
  local ok, base, decision, text, wanted = patiently(course, first_decision, session, plan, cell,
    fn)
  if not ok then
    return give_up(course.policy, course.c, base)
  end
  while decision == "write" do
    local result, theirs = update.attempt(session, plan, cell, base, text)
    if result == "committed" then
      return committed(course, wanted, theirs)
    elseif result == "unknown" then
      theirs.attempts = (course.c and course.c.attempt or 0) + 1
      return nil, theirs
    end
    local reason
    theirs, reason = next_base(course, result, base, wanted, theirs)
    if not theirs then
      return give_up(course.policy, course.c, reason)
    end
    decision, text, wanted = resolve(plan, course.policy, course.c, fn, theirs)
    base = theirs
  end
  return plan.codec.decode(base.value), base.version, base, true
end

return update
