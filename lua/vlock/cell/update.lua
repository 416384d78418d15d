-- The update loop: read, compute, compare-and-set, and what happens when somebody else was faster.
--
-- The order of a conflict: retry (may give up) -> backoff -> sleep -> where that took longer than a
-- round trip, read again -> merge, or the update function, on what was just read -> attempt. The
-- value that a conflict carries serves immediate retries only: a base that was carried through a
-- sleep is as old as the sleep, and loses to whoever has just committed.

local attempt = require "vlock.cell.attempt"
local codecs = require "vlock.cell.codec"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local hook = require "vlock.cell.hook"
local outcome = require "vlock.cell.outcome"
local server_error = require "vlock.cell.server_error"
local state = require "vlock.cell.state"

local kept, now = connections.kept, core.now
local base_of, next_of = kept.base, kept.next

local DELETE = setmetatable({}, {
  __tostring = function()
    return "vlock.DELETE"
  end,
})

local update = { DELETE = DELETE }

--- What the update function makes of a base's value and version: "write", the text to write and
-- what to return for it; or "leave", as it is. A plan may have another `compute`
-- (vlock.cell.combine has), which is also told whether the base was only kept.
function update.compute(plan, fn, value, version)
  local wanted = fn(plan.codec.decode(value), version)
  if wanted == nil then
    return "leave"
  elseif wanted == DELETE then
    return "write", nil, nil
  end
  return "write", codecs.for_server(plan.codec, wanted), wanted
end

-- The base that was kept, as of kept.base, after a rest where one is due.
local function kept_base(session, known)
  local version, value, edition, rest = next_of(known)
  if rest > 0 then
    core.sleep(session:rest_of(rest, version))
    if version then
      return base_of(known)
    end
  end
  return version, value, edition
end

local function decide_on_read(session, plan, cell, fn, started, may_be_older)
  if may_be_older then
    local base = state.read(session, plan, cell, started, true)
    base.is_of_replica = true
    -- What is not written is not compared: that, and an error, count for nothing on an older state.
    local ok, decision, text, wanted = pcall(plan.compute, plan, fn, base.value, base.version, true)
    if ok and decision == "write" then
      return base, decision, text, wanted
    end
  end
  local base = state.read(session, plan, cell, started)
  return base, plan.compute(plan, fn, base.value, base.version, false)
end

local function shown(plan, base)
  return { value = plan.codec.decode(base.value), version = base.version }
end

--- What the policy of a worker, whose random numbers these are, is told of a cell: see
-- lua/README.md for every field.
function update.new_conflict(key, codec, worker, random)
  return {
    key = key,
    codec = codec,
    attempt = 0,
    elapsed = 0,
    rtt = 0,
    gap = 0,
    worker = worker,
    state = {},
    random = random,
    now = now,
  }
end

local function new_conflict(session, plan, cell)
  return update.new_conflict(cell.key, plan.codec.name, session.worker, session.random)
end

-- Hooks watch: what they raise changes nothing of what they are told of. What a policy writes into
-- its conflict is its own affair; whose conflict it is stays.
local function call_hook(course, name, c, ...)
  local call = course.policy[name]
  if call then
    c.worker = course.session.worker
    hook.call(name, call, c, ...)
  end
end

local function tell_success(listeners)
  for _, listener in ipairs(listeners) do
    hook.call("on_success", listener)
  end
end


-- Asks the policy, which may be the lab's for many workers and is told whose conflict it is, and
-- sleeps as it says, within its deadlines and that of the options. False and a
-- reason: it gave up. Else the seconds.
local function wait(session, plan, policy, c, started)
  c.elapsed = now() - started
  local goes_on, more, take = policy.retry(c, session.worker)
  if not goes_on then
    return false, more or "the policy ended it"
  end
  local seconds = policy.backoff(c, session.worker)
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
local function resolve(plan, policy, c, fn, theirs, worker)
  local merged
  if c.mine ~= nil then -- false is a value, under the json codec
    merged = policy.merge(c, worker)
  end
  if merged ~= nil then
    if merged == DELETE then
      return "write", nil, nil
    end
    return "write", codecs.for_server(plan.codec, merged), merged
  end
  return plan.compute(plan, fn, theirs.value, theirs.version, false)
end

-- What one update knows on its way: session, plan, cell, fn, started, and its conflict, once it has
-- had one.
local function new_course(session, plan, cell, fn, started)
  return { session = session, plan = plan, cell = cell, fn = fn, started = started,
    policy = plan.policy }
end

local function give_up(course, reason)
  local c = course.c or new_conflict(course.session, course.plan, course.cell)
  call_hook(course, "on_give_up", c, reason)
  return nil, outcome.new("gave_up", { reason = reason, attempts = c.attempt, theirs = c.theirs })
end

local function deadline_passed(plan, because)
  return ("the deadline of %s has passed%s"):format(core.format_duration(plan.deadline),
    because and (" (%s)"):format(because) or "")
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
  call_hook(course, "on_conflict", c)
  return wait(course.session, course.plan, course.policy, c, course.started)
end

-- Why an update was given up that a busy server answered with this error.
local function with_reply(reason, reply)
  return ("%s (%s)"):format(reason, server_error.advised(reply).err)
end

-- f(…), which reads, tried again as the policy says while the server is too busy to answer. The
-- first result: whether it came to an end, then up to four of its own; else the reason why it was
-- given up.
local function patiently(course, f, ...)
  while true do
    local ok, first, second, third, fourth = pcall(f, ...)
    local text = not ok and type(first) == "table" and rawget(first, "err")
    if ok then
      return true, first, second, third, fourth
    elseif state.has_met_deadline(first, course.plan, course.started) then
      return false, deadline_passed(course.plan, text)
    elseif type(text) ~= "string" or server_error.event(text) ~= "busy" then
      error(first, 0)
    end
    local goes_on, reason = ask(course, "busy")
    if not goes_on then
      return false, with_reply(reason, first)
    end
  end
end

local function tell_commit(course)
  local c = course.c
  if course.policy.listeners then
    tell_success(course.policy.listeners)
  end
  if c then
    c.elapsed = now() - course.started
    call_hook(course, "on_commit", c)
  end
end

-- What an update returns that made this state: what it wanted to write, or what the server's merge
-- made of that. nil, where nobody knows it any more.
local function written(plan, wanted, made)
  if made.is_merged then
    return plan.codec.decode(made.value)
  end
  return wanted
end

-- Whatever fails now, memory for one, the update is committed.
local function committed(course, wanted, made)
  if course.c or course.policy.listeners then
    pcall(tell_commit, course)
  end
  return written(course.plan, wanted, made), made.version, made
end

-- After a failed attempt: a base to try again on, or nil and why the update ends. theirs: what
-- stands there, where the attempt told; where the server was busy, its reply.
local function next_base(course, result, base, wanted, theirs)
  local reply
  if result == "busy" then
    theirs, reply = nil, theirs
  end
  local goes_on, slept = ask(course, result, base, wanted, theirs)
  local c = course.c
  if not goes_on then
    return nil, reply and with_reply(slept, reply) or slept
  elseif not theirs or slept > c.rtt then
    local ok
    ok, theirs = patiently(course, state.read, course.session, course.plan, course.cell,
      course.started)
    if not ok then
      return nil, theirs
    end
    c.theirs, c.gap = shown(course.plan, theirs), theirs.version - base.version
    c.base, c.mine = shown(course.plan, base), wanted
  end
  return theirs
end

-- By when an attempt whose reply was lost has to end. The policy is asked how long it would go on,
-- and not whether: to send the same write once more is no new attempt. course: or when the update
-- began, where it has had no conflict yet.
local function deadline_of(session, plan, cell, course)
  if type(course) == "number" then
    course = new_course(session, plan, cell, nil, course)
  end
  local c = new_conflict(course.session, course.plan, course.cell)
  c.attempt, c.cause = (course.c and course.c.attempt or 0) + 1, "unknown"
  c.elapsed, c.rtt = now() - course.started, course.session.rtt
  c.state = course.c and course.c.state or c.state
  local ok, goes_on, more = pcall(course.policy.retry, c, session.worker)
  local limit = ok and goes_on and more or math.huge
  return course.started + math.min(limit, course.plan.deadline or math.huge)
end

-- What an update returns that leaves the cell as it is.
local function left(plan, base)
  return plan.codec.decode(base.value), base.version, base, true
end

-- The rest of an update after an attempt that is no commit, or is one of which somebody has to be
-- told: result and answer are the attempt's.
local function go_on(course, result, answer, base, wanted)
  local session, plan, cell = course.session, course.plan, course.cell
  while result ~= "committed" do
    if result == "unknown" or result == "history_lost" then
      answer.attempts = (course.c and course.c.attempt or 0) + 1
      return nil, answer
    end
    if result == "late" then
      return give_up(course, deadline_passed(plan))
    end
    local theirs, reason = next_base(course, result, base, wanted, answer)
    if not theirs then
      return give_up(course, reason)
    end
    local decision, text
    base, decision, text, wanted = theirs, resolve(plan, course.policy, course.c, course.fn, theirs,
      session.worker)
    if decision ~= "write" then
      return left(plan, base)
    end
    result, answer = attempt.run(session, plan, cell, base, text, course.started, deadline_of,
      course)
  end
  return committed(course, wanted, answer)
end

-- The update from a read on. may_be_older: that may be one of a replica.
local function run_on_read(session, plan, cell, fn, started, may_be_older)
  local course = new_course(session, plan, cell, fn, started)
  local ok, base, decision, text, wanted = patiently(course, decide_on_read, session, plan, cell,
    fn, started, may_be_older)
  if not ok then
    return give_up(course, base)
  elseif decision ~= "write" then
    return left(plan, base)
  end
  local result, answer = attempt.run(session, plan, cell, base, text, started, deadline_of, course)
  return go_on(course, result, answer, base, wanted)
end

--- See Client:update in vlock.cell.client. session: vlock.cell.session. The third result is the
-- state that was written or left, the fourth whether it was left. A state that was written has
-- value, version and stamp, and only until the session writes the cell again. asked: since when its
-- time counts; from now on, where it is nil.
function update.run(session, plan, cell, fn, asked)
  local started, known = asked or now(), session:about(cell)
  local version, value, edition = kept_base(session, known)
  if not version then
    return run_on_read(session, plan, cell, fn, started, plan.reads_from_replica)
  end
  -- A decision not to write, or an error, counts for nothing here: the same on a fresh read.
  local ok, decision, text, wanted = pcall(plan.compute, plan, fn, value, version, true)
  if not ok or decision ~= "write" then
    return run_on_read(session, plan, cell, fn, started)
  end
  local result, answer, more = attempt.run_on_kept(session, plan, cell, known, edition, value, text,
    started, deadline_of)
  if answer == known and not plan.policy.listeners then
    return wanted, more, answer -- most updates: nobody else is about
  elseif result == "committed" and not plan.policy.listeners then
    return written(plan, wanted, answer), answer.version, answer
  elseif not result then
    return run_on_read(session, plan, cell, fn, started)
  end
  return go_on(new_course(session, plan, cell, fn, started), result, answer, more, wanted)
end

return update
