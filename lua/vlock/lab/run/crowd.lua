-- Workers without tasks: all clients of a simulated register in C (src/lua/crowd.h), where what
-- they do is so plain that nothing of it has to wait in Lua. A policy is asked as ever. The figures
-- are those of tasks with the same seed; they are there ten times as soon, or more.

local core = require "vlock.core"
local key_choice = require "vlock.lab.ask.key_choice"
local plans = require "vlock.cell.plan"
local scenarios = require "vlock.lab.ask.scenario"
local sharing = require "vlock.policy.sharing"
local updates = require "vlock.cell.update"

local now = core.now

local crowd = {}

--- What `run` raises where the workers turn out to need more of their own: a policy each, since it
-- keeps things between its calls; or a task each, since it waits in them. Nothing is lost: a
-- simulation can begin anew.
crowd.UNSUITED = setmetatable({}, { __tostring = function()
  return "a crowd does not suit this run"
end })

-- Whether each client's updates are all of one cell, or it has one update only.
local function is_of_one_cell(scenario)
  return scenario.keys == 1 or scenario.dist == key_choice.OWN or scenario.per_worker == 1
end

local function is_plain_scenario(scenario)
  return not (scenario.new_update or scenario.value_size or scenario.rate or scenario.combine)
    and scenario.think == 0
    and (scenario.dist == key_choice.OWN or scenario.dist == key_choice.UNIFORM)
    and is_of_one_cell(scenario)
end

local function is_plain_network(model)
  return model.server == "register" and not model.failover and next(model.faults) == nil
end

-- Whether retry and backoff are all that is to be asked of it.
local function is_plain_policy(instance)
  return instance.recomputes and not (instance.listeners or instance.on_conflict
    or instance.on_commit or instance.on_give_up)
end

--- Whether a crowd may suit a run of this scenario in this model (nil: on a real server) with this
-- instance of its policy, of which every update and attempt may have to be watched.
function crowd.suits(scenario, model, instance, is_watched)
  return not is_watched and model ~= nil and is_plain_network(model)
    and is_plain_scenario(scenario) and is_plain_policy(instance)
end

--- What the workers of such a run will most probably be: "tasks", a "crowd", or a crowd with a
-- "shared" policy. entrant: vlock.lab.ask.entrant.
function crowd.expected(scenario, model, entrant, is_watched)
  local instance, is_unchanged = sharing.load(function()
    return entrant:new_policy()
  end)
  return not crowd.suits(scenario, model, instance, is_watched) and "tasks"
    or is_unchanged and "shared" or "crowd"
end

local function new_crowd(run)
  local scenario, codec = run.scenario, plans.new({}, run.own_store).codec.name
  local settings = {
    workers = scenario.workers,
    cells = scenario.keys,
    connections = scenarios.connections(scenario),
    per_worker = scenario.per_worker,
    commits = scenario.commits,
    deadline = run.deadline,
    is_own = scenario.dist == key_choice.OWN,
    seed = run.seed,
    latencies = run.latencies,
  }
  function settings.open_record(cell)
    return run.recorder:record(run.cells[cell].key).chain
  end
  local instance, is_unchanged
  if run.shares_policy then
    instance, is_unchanged = sharing.load(run.new_policy)
  end
  settings.is_unchanged = is_unchanged
  function settings.new_policy()
    if not is_unchanged then
      instance = run.new_policy()
    end
    return not instance.never_ends and instance.retry or nil, instance.backoff
  end
  function settings.new_conflict(worker, cell, random)
    local c = updates.new_conflict(run.cells[cell].key, codec, worker, random)
    c.cause = "conflict"
    return c
  end
  return run.world:crowd(settings), settings, is_unchanged
end

-- One step; whether there is more to do.
local function step(run, clients)
  local ok, more = pcall(clients.step, clients)
  if not ok or run.interrupt.reason or run.fatal then
    clients:stop()
  end
  if clients:is_unsuited() or not ok and type(more) == "table" then
    error(crowd.UNSUITED, 0)
  elseif not ok then
    error(more, 0)
  end
  return more
end

--- Has all workers of the run do their work. Raises what a policy raises.
function crowd.run(run)
  run.workers = {} -- that are tasks
  run.started = now()
  run.deadline = run.scenario.duration and run.started + run.scenario.duration
  local clients, settings, is_unchanged = new_crowd(run)
  while step(run, clients) do end -- luacheck: ignore
  if is_unchanged and not is_unchanged() then
    error(crowd.UNSUITED, 0)
  end
  local counts = clients:counts()
  run.commits, run.gave_up, run.unfinished = counts.commits, counts.gave_up, counts.unfinished
  run.give_up_reason = settings.give_up_reason
  run.tally = { attempts = counts.attempts, conflicts = counts.conflicts, rates = clients:rates() }
  run.recorder:count(counts.attempts)
  for i, version in ipairs(clients:versions()) do
    if version > 0 then
      run.world.put(run.cells[i].key, ("%d"):format(version), version)
    end
  end
end

return crowd
