-- The workers of the lab, each a client of its own: a random stream, its knowledge of the cells,
-- and from its first conflict on an instance of the policy. What all can share they do, so that a
-- hundred thousand of them are made in a second.

local core = require "vlock.core"
local limits = require "vlock.lab.run.limits"
local plans = require "vlock.cell.plan"
local scenarios = require "vlock.lab.ask.scenario"
local sessions = require "vlock.cell.session"

local function new_plan(store, policy)
  local plan = plans.new({}, store)
  plans.complete(plan, policy)
  return plan
end

-- What one worker has of its own where the store keeps something, the policy hears of every
-- commit, or a trace is written.
local function own_parts(run, worker)
  local store = run.new_store()
  local observe, observe_read = run.recorder:observer(store), run.recorder:reader()
  local sleep = run.sleep
  if run.trace then
    observe, observe_read = run.trace:attempts(observe), run.trace:reads(observe_read)
    sleep = run.trace:sleeps(worker.index, sleep)
  end
  return new_plan(store, limits.policy(run, worker)), sessions.kind {
    sleep = sleep,
    is_stopped = run.is_stopped,
    observe = observe,
    observe_read = observe_read,
    record_of = not run.trace and run.recorder:opener() or nil,
  }
end

--- Returns a function that makes a worker of this run, by its number: index; begun, its updates;
-- commits; session and plan (of vlock.cell); update, the function of its scenario.
return function(run)
  local shared_plan, shared_kind
  if run.own_store.stateless and not run.hears_commits and not run.trace then
    shared_plan, shared_kind = own_parts(run, nil)
  end
  return function(index)
    local worker = { index = index, begun = 0, commits = 0 }
    local kind = shared_kind
    worker.plan = shared_plan
    if not kind then
      worker.plan, kind = own_parts(run, worker)
    end
    worker.session = kind(("%s-%d"):format(run.writer, index), index, core.stream(run.seed, index))
    worker.update = limits.update(worker, scenarios.update_of(run.scenario),
      run.scenario.new_update ~= nil)
    return worker
  end
end
