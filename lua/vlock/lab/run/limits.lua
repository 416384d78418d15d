-- The limits of a run: what would outlast the run is ended with it, and a run in which a policy or
-- an update function never comes back is ended.

local core = require "vlock.core"

local now = core.now

local SLICE = 0.05 -- seconds: sleeps are cut into these, and so often one looks
local VIRTUAL_SLICE = 0.5 -- the same for looking in a simulation, whose time goes by at once
local GRACE = 0.5 -- seconds after the end of the run, for what is under way
local LINGER = 5 -- seconds after the end, for writes whose reply was lost
local LONGEST = 30 -- seconds in one call of a policy or an update function

local PARTS_AND_HOOKS = { "retry", "backoff", "merge", "on_conflict", "on_commit", "on_give_up" }

local limits = {
  -- Why an update is given up that would have been tried again after the end.
  CUT_OFF = "the run has ended",
}

--- Whether no further update is begun, nor tried again.
function limits.is_over(run)
  return run.interrupt.reason or run.fatal or (run.deadline and now() >= run.deadline)
end

local is_over = limits.is_over

-- f, with a note on the worker while it is in there.
local function noted(worker, name, f)
  return function(...)
    worker.inside, worker.inside_since = name, now()
    local a, b, d = f(...)
    worker.inside = nil
    return a, b, d
  end
end

-- The parts of a worker's policy, which end its updates with the run: none is tried again after it.
local function bounded(run, worker, instance)
  local retry = noted(worker, "retry", instance.retry)
  return {
    retry = function(c)
      if is_over(run) then
        return false, limits.CUT_OFF
      end
      return retry(c)
    end,
    backoff = noted(worker, "backoff", instance.backoff),
    merge = noted(worker, "merge", instance.merge),
  }
end

-- A policy whose instance is made when it is first asked for anything. `listeners` is asked for at
-- every commit, and false where the policy has none.
local Later = {}

function Later.__index(later, field)
  local worker, run = later.worker, later.run
  local instance = run.new_policy()
  setmetatable(later, { __index = instance })
  later.listeners = nil
  for part, call in pairs(bounded(run, worker, instance)) do
    later[part] = call
  end
  return later[field]
end

local function new_later(run, worker)
  local later = { run = run, worker = worker, server_merge = run.server_merge }
  if not run.hears_commits then
    later.listeners = false
  end
  return setmetatable(later, Later)
end

-- What all workers share in the place of their policies: each part, and each hook that there is,
-- asks that of the worker that has the conflict.
local function dispatching(run)
  local shared = { server_merge = run.server_merge, listeners = false }
  for _, name in ipairs(PARTS_AND_HOOKS) do
    shared[name] = run.policy_parts[name] and function(c, reason)
      local worker = run.workers[c.worker]
      local policy = worker.policy
      if not policy then
        policy = new_later(run, worker)
        worker.policy = policy
      end
      return policy[name](c, reason)
    end
  end
  return shared
end

--- The policy for this worker, ending its updates with the run. Its instance is made at its first
-- conflict, or its first commit where the policy hears of them (run.hears_commits). A merge that is
-- done at the server is the same for all (run.server_merge). worker nil: one that all can share,
-- for a policy that hears of no commits.
function limits.policy(run, worker)
  return worker and new_later(run, worker) or dispatching(run)
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
  return not is_own and fn or noted(worker, "update", function(value)
    return fn(value, worker.index)
  end)
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
