-- The update loop: read, compute, compare-and-set, and what happens when somebody else was faster.
--
-- The order of a conflict: retry (may give up) -> backoff -> sleep -> where that took longer than a
-- round trip, read again -> merge, or the update function, on what was just read -> attempt. The
-- value that a conflict carries serves immediate retries only: a base that was carried through a
-- sleep is as old as the sleep, and loses to whoever has just committed.

local attempt = require "vlock.cell.attempt"
local codecs = require "vlock.cell.codec"
local core = require "vlock.core"
local hook = require "vlock.cell.hook"
local outcome = require "vlock.cell.outcome"
local server_error = require "vlock.cell.server_error"
local state = require "vlock.cell.state"

local now = core.now

local DELETE = setmetatable({}, {
  __tostring = function()
    return "vlock.DELETE"
  end,
})

local update = { DELETE = DELETE }

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
  base = state.read(plan, cell)
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
  if policy[name] then
    hook.call(name, policy[name], ...)
  end
end

local function tell_success(listeners)
  for _, listener in ipairs(listeners) do
    hook.call("on_success", listener)
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
    local text = not ok and type(first) == "table" and rawget(first, "err")
    if ok then
      return true, first, second, third, fourth
    elseif type(text) ~= "string" or server_error.event(text) ~= "busy" then
      error(first, 0)
    end
    local goes_on, reason = ask(course, "busy")
    if not goes_on then
      return false, ("%s (%s)"):format(reason, text)
    end
  end
end

local function committed(course, wanted, made)
  local c = course.c
  if course.policy.listeners then
    tell_success(course.policy.listeners)
  end
  if c then
    c.elapsed = now() - course.started
    call_hook(course.policy, "on_commit", c)
  end
  return wanted, made.version, made
end

-- After a failed attempt: a base to try again on, or nil and why the update ends.
local function next_base(course, result, base, wanted, theirs)
  local goes_on, slept = ask(course, result, base, wanted, theirs)
  local c = course.c
  if not goes_on then
    return nil, slept
  elseif not theirs or slept > c.rtt then
    local ok
    ok, theirs = patiently(course, state.read, course.plan, course.cell)
    if not ok then
      return nil, theirs
    end
    c.theirs, c.gap = shown(course.plan, theirs), theirs.version - base.version
    c.base, c.mine = shown(course.plan, base), wanted
  end
  return theirs
end

-- By when an attempt whose reply was lost has to end. The policy is asked how long it would go on,
-- and not whether: to send the same write once more is no new attempt.
local function deadline_of(course)
  local c = new_conflict(course.session, course.plan, course.cell)
  c.attempt, c.cause = (course.c and course.c.attempt or 0) + 1, "unknown"
  c.elapsed, c.rtt = now() - course.started, course.session.rtt
  c.state = course.c and course.c.state or c.state
  local ok, goes_on, more = pcall(course.policy.retry, c)
  local limit = ok and goes_on and more or math.huge
  return course.started + math.min(limit, course.plan.deadline or math.huge)
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
    local result, theirs = attempt.run(session, plan, cell, base, text, deadline_of, course)
    if result == "committed" then
      return committed(course, wanted, theirs)
    elseif result == "unknown" or result == "history_lost" then
      theirs.attempts = (course.c and course.c.attempt or 0) + 1
      return nil, theirs
    end
    local reason
    if result == "busy" then
      theirs = nil
    end
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
