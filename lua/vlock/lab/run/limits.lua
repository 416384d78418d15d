-- The limits of a run: what would outlast the run is ended with it, and a run in which a policy or
-- an update function never comes back is ended.

local core = require "vlock.core"

local now = core.now

local SLICE = 0.05 -- seconds: sleeps are cut into these, and so often one looks
local GRACE = 0.5 -- seconds after the end of the run, for what is under way
local LINGER = 5 -- seconds after the end, for writes whose reply was lost
local LONGEST = 30 -- seconds in one call of a policy or an update function

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

--- The policy for this worker, ending its updates with the run. Its instance is made at its first
-- conflict, or its first commit where the policy hears of them (run.hears_commits).
function limits.policy(run, worker)
  local later = { run = run, worker = worker }
  if not run.hears_commits then
    later.listeners = false
  end
  return setmetatable(later, Later)
end

--- Sleeps for a worker, as core.sleep does; a sleep that would outlast the run is cut off, a slice
-- late at most.
function limits.sleep(run)
  return function(seconds)
    local wakes_up = now() + seconds
    local left = seconds
    while left > 0 do
      core.sleep(math.min(left, SLICE))
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

--- The update function for this worker.
function limits.update(worker, fn)
  return noted(worker, "update", function(value)
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
      core.sleep(SLICE)
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
