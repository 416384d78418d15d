-- The limits of a run: what would outlast the run is ended with it, and a run in which a policy or
-- an update function never comes back is ended.

local core = require "vlock.core"

local now = core.now

local SLICE = 0.05 -- seconds: sleeps are cut into these, and so often one looks
local VIRTUAL_SLICE = 0.5 -- the same for looking in a simulation, whose time goes by at once
local GRACE = 0.5 -- seconds after the end of the run, for what is under way
local LINGER = 5 -- seconds after the end, for writes whose reply was lost
local LONGEST = 30 -- seconds in one call of a policy or an update function

local HOOKS = { "on_conflict", "on_commit", "on_give_up" }
local PARTS_AND_HOOKS = { "retry", "backoff", "merge", table.unpack(HOOKS) }

local limits = {
  -- Why an update is given up that would have been tried again after the end.
  CUT_OFF = "the run has ended",
}

--- Whether no further update is begun, nor tried again.
function limits.is_over(run)
  return run.interrupt.reason or run.fatal or (run.deadline and now() >= run.deadline)
end

local is_over = limits.is_over

-- f(a, b), with a note on the worker while it is in there.
local function noted(worker, name, f, a, b)
  worker.inside, worker.inside_since = name, now()
  local first, second, third = f(a, b)
  worker.inside = nil
  return first, second, third
end

-- The policy of a worker, which is made when it is first asked for anything: what an instance does,
-- and not what can be told of it, since there may be a million.
local function own_policy(run, worker)
  local own = worker.policy
  if not own then
    local instance = run.new_policy()
    own = { listeners = instance.listeners }
    for _, name in ipairs(PARTS_AND_HOOKS) do
      own[name] = instance[name]
    end
    worker.policy = own
  end
  return own
end

-- A part that asks that of the worker which has the conflict: whom the update loop names, whatever
-- the policy has made of c.worker.
local function dispatched(run, name)
  return function(c, index)
    local worker = run.workers[index]
    return noted(worker, name, own_policy(run, worker)[name], c)
  end
end

-- The same of a hook.
local function dispatched_hook(run, name)
  return function(c, reason)
    return own_policy(run, run.workers[c.worker])[name](c, reason)
  end
end

-- What all workers have in the place of their policies. It ends their updates with the run: none is
-- tried again after it.
local function dispatching(run)
  local shared = { server_merge = run.server_merge, listeners = false,
    backoff = dispatched(run, "backoff"), merge = dispatched(run, "merge") }
  local retry = dispatched(run, "retry")
  function shared.retry(c, index)
    if is_over(run) then
      return false, limits.CUT_OFF
    end
    return retry(c, index)
  end
  for _, name in ipairs(HOOKS) do
    shared[name] = run.policy_parts[name] and dispatched_hook(run, name)
  end
  return shared
end

--- The policy for this worker, ending its updates with the run. Its instance is made at its first
-- conflict, or its first commit where the policy hears of them (run.hears_commits). A merge that is
-- done at the server is the same for all (run.server_merge). worker nil: one that all can share,
-- for a policy that hears of no commits.
function limits.policy(run, worker)
  run.dispatching = run.dispatching or dispatching(run)
  if not worker or not run.hears_commits then
    return run.dispatching
  end
  return setmetatable({}, { __index = function(_, field)
    if field == "listeners" then
      return own_policy(run, worker).listeners
    end
    return run.dispatching[field]
  end })
end

-- For how long to sleep until one looks whether the run is over, of `left` seconds.
local function slice_of(run, left)
  if not run.world then
    return math.min(left, SLICE)
  end
  return run.deadline and math.min(left, math.max(run.deadline - now(), 0)) or left
end

--- Sleeps for a worker, as core.sleep does; a sleep that would outlast the run is cut off, a slice
-- late at most.
function limits.sleep(run)
  return function(seconds)
    local wakes_up = now() + seconds
    local left = seconds
    while left > 0 do
      core.sleep(slice_of(run, left))
      left = wakes_up - now()
      if left > 0 and is_over(run) then
        error(limits.CUT_OFF, 0)
      end
    end
  end
end

--- Whether writes whose reply was lost are to be left undecided: the run was interrupted, or has
-- been over for a while.
function limits.is_stopped(run)
  return function()
    if run.interrupt.reason or run.fatal then
      return true
    end
    return run.deadline and now() > run.deadline + LINGER
  end
end

--- The update function for this worker. is_own: whether it is the scenario's own; else it returns
-- for sure.
function limits.update(worker, fn, is_own)
  return not is_own and fn or function(value)
    return noted(worker, "update", fn, value, worker.index)
  end
end

-- A worker that is in there too long. Those that talk to the server are not touched: their commands
-- have time-outs, and what became of a commit must be seen.
local function stuck_worker(run)
  for _, worker in ipairs(run.workers) do
    if worker.inside and now() - worker.inside_since > LONGEST then
      return worker
    end
  end
end

local function refusal(run, worker)
  if worker.inside == "update" then
    return ("the scenario's update function has not returned for %d s"):format(LONGEST)
  end
  return ("%s of the policy has not returned for %d s: %s"):format(worker.inside, LONGEST,
    run.policy.texts[worker.inside])
end

local function end_what_is_left(run)
  for _, worker in ipairs(run.workers) do
    if worker.inside and not worker.ended then
      worker.task:cancel()
      worker.ended = now()
      run.unfinished = run.unfinished + 1
      run.latencies:record(now() - worker.due)
    end
  end
end

--- Begins to watch over run.workers, each with its `task`; returns a function that ends it.
function limits.watch(run)
  local over_since
  local task = core.spawn(function()
    while true do
      core.sleep(run.world and VIRTUAL_SLICE or SLICE)
      run.recorder:flush() -- a policy that never comes back may have this process ended
      local stuck = not is_over(run) and stuck_worker(run)
      if stuck then
        run.fatal = refusal(run, stuck)
      end
      over_since = over_since or is_over(run) and now() or nil
      if over_since and now() - over_since > GRACE then
        end_what_is_left(run)
      end
    end
  end)
  return function()
    task:cancel()
  end
end

return limits
