-- The lab: puts a policy under contention and finds out what it did. Every worker is a client of
-- its own, with its own random stream, its own instance of the policy, its own knowledge of the
-- cells: a task, or, in a simulation that can do without, one of a crowd (vlock.lab.run.crowd),
-- which comes to the same. Nothing is shared between workers but the connections, and, where the
-- scenario says `combine`, the commits.

local combine = require "vlock.cell.combine"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local crowds = require "vlock.lab.run.crowd"
local hex = require "vlock.text.hex"
local key_choice = require "vlock.lab.ask.key_choice"
local keys = require "vlock.lab.run.keys"
local lab_core = require "vlock.lab_core"
local nodes = require "vlock.lab.measure.nodes"
local patient = require "vlock.cell.patient"
local recorder = require "vlock.lab.check.recorder"
local outcomes = require "vlock.cell.outcome"
local arrivals = require "vlock.lab.ask.arrivals"
local results = require "vlock.lab.measure.result"
local tallies = require "vlock.lab.measure.tally"
local scenarios = require "vlock.lab.ask.scenario"
local server_info = require "vlock.script.server_info"
local snapshot = require "vlock.script.snapshot"
local worlds = require "vlock.sim.world"
local limits = require "vlock.lab.run.limits"
local error_text = require "vlock.text.error_text"
local updates = require "vlock.cell.update"
local workers_of = require "vlock.lab.run.worker"

local now = core.now

local BATCH = 500 -- workers made at a time

local CUT_OFF, is_over = limits.CUT_OFF, limits.is_over

local contention = {
  INTERRUPTED = "interrupted before the run had begun", -- what `run` raises then
}

-- ---- workers

-- Whether this worker makes another update; takes it from what is left.
local function takes_another(run, worker)
  if is_over(run) then
    return false
  elseif run.scenario.per_worker then
    return worker.begun < run.scenario.per_worker
  elseif run.left == 0 then
    return false
  elseif run.left then
    run.left = run.left - 1
  end
  return true
end

-- seconds: since when its latency counts.
local function count_failure(run, reason, seconds)
  if reason == CUT_OFF or outcomes.is(reason, "gave_up") and reason.reason == CUT_OFF then
    run.unfinished = run.unfinished + 1
    -- It would have been longer; without it, who waits in vain would not be seen.
    run.latencies:record(seconds)
  elseif outcomes.is(reason, "gave_up") then
    run.gave_up = run.gave_up + 1
    run.give_up_reason = run.give_up_reason or reason.reason
  elseif outcomes.is(reason, "unknown") and reason.raised then
    error(reason.raised, 0) -- the store is broken
  elseif outcomes.is(reason, "unknown") then
    run.unknown = run.unknown + 1
  elseif outcomes.is(reason, "history_lost") then
    run.history_lost = run.history_lost + 1
  elseif outcomes.is(reason, "unreachable") and not run.world or type(reason) ~= "table" then
    -- Nothing to measure any more: the server is gone, or the policy itself is broken. (A simulated
    -- one comes back.)
    error(reason, 0)
  else
    run.errors = run.errors + 1
    run.first_error = run.first_error or error_text(reason)
  end
end

local function record_commit(run, worker, seconds)
  worker.commits = worker.commits + 1
  run.commits = run.commits + 1
  run.latencies:record(seconds)
  if run.recent then
    run.recent:record(seconds)
  end
end

-- How an update ended, in a word, for a trace.
local function name_of_end(ok, value, outcome, is_left)
  if not ok or type(outcome) == "table" then
    local reason = ok and outcome or value
    return type(reason) == "table" and rawget(reason, "outcome") or "error"
  end
  return is_left and "left alone" or "committed"
end

-- One update; `due`: since when its latency counts.
local function update(run, worker, cell, due)
  worker.begun, worker.due = worker.begun + 1, due
  local begun = run.trace and now()
  local ok, value, outcome, _, is_left = pcall(run.perform, worker.session, worker.plan, cell,
    worker.update)
  if run.trace then
    run.trace:update(worker.index, cell.key, begun, name_of_end(ok, value, outcome, is_left))
  end
  if not ok or type(outcome) == "table" then
    count_failure(run, ok and outcome or value, now() - due)
  elseif is_left then
    run.left_alone = run.left_alone + 1
  else
    record_commit(run, worker, now() - due)
  end
end

local function work(run, worker)
  local choose = run.choose(worker)
  connections.use(run.connections[(worker.index - 1) % #run.connections + 1])
  worker.started = now()
  while takes_another(run, worker) do
    local due = run.arrivals:next(worker)
    if not due then
      break
    end
    update(run, worker, run.cells[choose()], due)
  end
  worker.ended = now()
end

-- ---- one run

local function connect_all(run, connect, count)
  run.connections = {}
  for i = 1, count do
    run.connections[i] = connect()
  end
  for _, connection in ipairs(run.world and {} or run.connections) do
    patient(connection.call, connection, "PING") -- the time it takes to connect is not the policy's
    if connections.is_cluster(connection) then
      nodes.connect(connection, run.cells, patient)
    end
  end
end

local function describe_server(url)
  local name, version = patient(server_info)
  return { version = name == "valkey" and "valkey " .. version or version, url = core.hidden(url) }
end

-- While workers are made the collector finds nothing, and looks at all of them again and again. So
-- it rests; but for what the files of a policy leave behind, it is called by how much there is.
-- Kilobytes before it is called; times what it left the last time.
local LEAST, GROWTH = 256 * 1024, 4
local MOST = 2 * 1024 * 1024 -- kilobytes: of more, one collection takes seconds

-- The collector rests until the scope that holds what is returned ends.
local function resting_collector()
  collectgarbage("stop")
  return setmetatable({}, {
    __close = function()
      collectgarbage("restart")
    end,
  })
end

local MANY = 100000 -- workers

-- Has the collector go by small steps while there are many workers, until the scope that holds what
-- is returned ends: a generation of them is looked at in one go, which takes seconds.
local function collector_for(workers)
  if workers >= MANY then
    collectgarbage("incremental")
  end
  return setmetatable({}, {
    __close = function()
      collectgarbage("generational")
    end,
  })
end

local function make_workers(run)
  local workers, limit, new_worker = {}, LEAST, workers_of(run)
  for i = 1, run.scenario.workers do
    workers[i] = new_worker(i)
    if i % BATCH == 0 then
      core.sleep(0) -- an interrupt is heeded
    end
    if collectgarbage("count") > limit then
      collectgarbage("collect")
      limit = math.max(LEAST, GROWTH * collectgarbage("count"))
      limit = limit < MOST and limit or math.huge
    end
  end
  return workers
end

local function attempt_work(run, worker)
  local ok, reason = pcall(work, run, worker)
  if not ok then
    run.fatal = run.fatal or reason
  end
end

-- Makes the workers, and begins the run.
local function start_workers(run)
  local _ <close> = resting_collector()
  run.workers = make_workers(run)
  run.started = now()
  run.deadline = run.scenario.duration and run.started + run.scenario.duration
  run.arrivals = arrivals.new(run)
  for i, worker in ipairs(run.workers) do
    worker.started = run.started
    worker.task = core.spawn(attempt_work, run, worker)
    if run.world and i % BATCH == 0 then
      core.sleep(0) -- takes no time there
    end
  end
end

local function join_workers(run)
  for _, worker in ipairs(run.workers) do
    worker.task:join()
  end
  run.tally, run.open_loop = tallies.of(run.workers), run.arrivals:summary()
end

local function run_workers(run)
  local work_all = run.is_crowd and crowds.run or join_workers
  if run.is_crowd then
    run.workers = {}
  else
    start_workers(run)
  end
  local stop = limits.watch(run)
  local ok, reason = pcall(work_all, run)
  stop() -- or it would go on, and the program with it
  if run.fatal or not ok then
    error(run.fatal or reason, 0)
  end
  run.seconds = now() - run.started
end

-- How an update is made: as of update.run in vlock.cell.update.
local function performer(combines)
  if not combines then
    return updates.run
  end
  local combiner = combine.new()
  return function(...)
    return combiner:update(...)
  end
end

local function new_run(setup)
  local scenario = setup.scenario
  local run = {
    scenario = scenario,
    seed = setup.seed,
    writer = setup.model and "sim" or hex(core.entropy(6)),
    perform = performer(scenario.combine),
    new_policy = setup.new_policy,
    new_store = setup.new_store,
    store_name = setup.store_name,
    latencies = lab_core.histogram(),
    recent = setup.interval and lab_core.histogram(), -- those since somebody last looked
    -- Of workers that were idle when an update was due.
    lateness = scenario.rate and lab_core.histogram(),
    left = scenario.commits, -- updates not yet taken by a worker
    interrupt = setup.interrupt, -- its field `reason` says that the run ends early
    commits = 0,
    left_alone = 0, -- updates whose function left the cell as it is
    unfinished = 0, -- updates that the end of the run cut off
    gave_up = 0,
    unknown = 0,
    history_lost = 0,
    errors = 0,
  }
  run.sleep, run.is_stopped = limits.sleep(run), limits.is_stopped(run)
  return run
end

local function new_recorder(run, setup)
  return recorder.new(run.cells, run.own_store, {
    is_counter = not run.scenario.new_update,
    merge = run.policy.parts.merge,
    merges = run.server_merge and run.own_store.merges,
    combines = run.scenario.combine,
    is_new = run.is_crowd,
    is_stopped = function()
      return run.interrupt.reason
    end,
    history = setup.history and setup.history:run {
      label = setup.label,
      policy = run.policy,
      store = run.store_name,
      server = run.server or { version = ("simulated (%s)"):format(setup.model.name) },
      scenario = scenarios.shown(run.scenario),
      seed = run.seed,
    },
  })
end

-- The cells, what the recorder knows of them before the run, and the connections.
local function prepare(run, setup)
  run.server = not run.world and describe_server(setup.url) or nil
  run.own_store = setup.new_store() -- the lab's, for reading what stands before and after
  run.keys = keys.new(run.scenario.keys, run.world ~= nil)
  if setup.guards then
    run.keys:guard(setup.url, setup.login)
  end
  run.cells = run.keys.cells
  local instance = setup.new_policy()
  run.policy = instance.describe()
  run.policy_parts = instance
  run.hears_commits = instance.listeners ~= nil
  run.server_merge = instance.server_merge or false
  run.shares_policy = run.way and run.way.shares_policy
  run.is_crowd = run.way and run.way.is_crowd
    and crowds.suits(run.scenario, setup.model, instance,
      setup.history or setup.trace or setup.interval)
  run.recorder = new_recorder(run, setup)
  if run.interrupt.reason then
    error(contention.INTERRUPTED, 0)
  end
  run.trace = setup.trace and setup.trace:run(setup.label, run.scenario.workers)
  run.choose = key_choice.new(run.scenario.dist, run.scenario.keys)
  connect_all(run, run.world and function()
    return run.world:connect()
  end or setup.connect, scenarios.connections(run.scenario))
end

-- Has this task's commands go by a connection until the scope that holds what is returned ends.
local function using(connection)
  local before = connections.local_connection()
  connections.use(connection)
  return setmetatable({}, {
    __close = function()
      connections.use(before)
    end,
  })
end

-- What the run has measured, and whether all of it is whole.
local function result_of(run)
  if run.world then
    run.world:settle() -- what is still under way may be a write
  end
  return results.new(run, run.recorder:verify(run.own_store, {
    is_interrupted = run.interrupt.reason ~= nil,
    commits = run.commits,
    unknown = run.unknown + run.history_lost,
  }))
end

-- Runs it from the first command to the last; returns its result.
local function run_with(run, setup, control)
  local _ <close> = using(control)
  prepare(run, setup)
  local before, before_each = connections.commands_sent(), nodes.commands(run.connections)
  local stop_watching = setup.watch and setup.watch(run)
  local ok, reason = pcall(run_workers, run)
  if stop_watching then
    stop_watching()
  end
  run.commands = connections.commands_sent() - before
  run.nodes = nodes.between(before_each, nodes.commands(run.connections))
  if not ok then
    pcall(run.keys.remove, run.keys)
    error(reason, 0)
  end
  local result = result_of(run)
  run.keys:remove()
  for _, connection in ipairs(run.connections) do
    connection:close()
  end
  return result
end

local function run_real(setup)
  local run = new_run(setup)
  local control <close> = setup.connect()
  return run_with(run, setup, control), run
end

-- In which ways the workers of a simulation are tried: those that one way does not suit
-- (vlock.lab.run.crowd) begin anew in the next.
local WAYS = {
  shared = { is_crowd = true, shares_policy = true, next = "crowd" },
  crowd = { is_crowd = true, next = "tasks" },
  tasks = {},
}

local function simulate(setup, way)
  local run = new_run(setup)
  local _ <close> = collector_for(run.scenario.workers)
  local world <close> = worlds.begin(setup.model, run.seed, function(reason)
    run.fatal = run.fatal or reason
  end)
  run.world, run.way = world, way
  local control <close> = world:connect(true)
  return run_with(run, setup, control), run
end

--- Runs one scenario; returns its result (the fields of the JSON: ../README.md) and the run
-- itself, for what is no figure: latencies (a histogram), first_error and give_up_reason (texts,
-- where there were any).
--
-- setup: label, what the run is called; connect() makes a connection; url, and login, the options
-- for it (a list of words); guards: whether the keys must go even if this process is killed; or, in
-- the place of these, model (vlock.sim.model): the run is simulated; scenario
-- (vlock.lab.ask.scenario); seed; new_policy() an instance of the policy for one worker;
-- new_store() the same for the store; store_name; history (vlock.lab.check.history_writer), where
-- it is written down, or nil; trace (vlock.lab.run.trace), or nil; interrupt, a table: the run ends
-- early once it has a field `reason`; watch(run), or nil: called before the workers start, to show
-- how it goes; returns a function that ends it; interval: whether run.recent is wanted.
function contention.run(setup)
  -- Of more than that, one step of the collector may take as long as an endless loop.
  if not setup.model or setup.scenario.workers < MANY then
    core.watch()
  end
  if not setup.model then
    return run_real(setup)
  end
  local way, put_back = WAYS.shared, snapshot()
  local ok, result, run = pcall(simulate, setup, way)
  while not ok and result == crowds.UNSUITED do
    put_back()
    way = WAYS[way.next]
    ok, result, run = pcall(simulate, setup, way)
  end
  if not ok then
    error(result, 0)
  end
  return result, run
end

return contention
