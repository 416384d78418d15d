-- A worker of the lab: one client, with what is its own: a random stream, an instance of the policy
-- and of the store, its knowledge of the cells. What all workers can share is the run's, so that a
-- hundred thousand of them are made in a second.

local clients = require "vlock.cell.client"
local core = require "vlock.core"
local limits = require "vlock.lab.run.limits"
local scenarios = require "vlock.lab.ask.scenario"

--- A worker of this run, by its number: index; begun, its updates; commits; client; update, the
-- function of its scenario.
return function(run, index)
  local worker = { index = index, begun = 0, commits = 0 }
  local store = run.new_store()
  local policy = limits.policy(run, worker)
  worker.update = limits.update(worker, scenarios.update_of(run.scenario))
  worker.client = clients.new {
    writer = ("%s-%d"):format(run.writer, index),
    worker = index,
    random = core.stream(run.seed, index),
    sleep = run.sleep,
    is_stopped = run.is_stopped,
    observe = run.recorder:observer(store, index),
    combiner = run.combiner,
    combines = run.scenario.combine,
    policies = function()
      return policy
    end,
    stores = function()
      return store
    end,
  }
  return worker
end
