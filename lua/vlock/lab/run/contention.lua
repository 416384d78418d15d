-- The lab: puts a policy under contention and finds out what it did. Every worker is a client of
-- its own: a task with its own random stream, its own instance of the policy, its own knowledge of
-- the cells. Nothing is shared between workers but the connections, and, where the scenario says
-- `combine`, the commits.

local again = require "vlock.cell.again"
local combine = require "vlock.cell.combine"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local hex = require "vlock.text.hex"
local key_choice = require "vlock.lab.ask.key_choice"
local keys = require "vlock.lab.run.keys"
local lab_core = require "vlock.lab_core"
local new_worker = require "vlock.lab.run.worker"
local recorder = require "vlock.lab.check.recorder"
local outcomes = require "vlock.cell.outcome"
local arrivals = require "vlock.lab.ask.arrivals"
local results = require "vlock.lab.measure.result"
local scenarios = require "vlock.lab.ask.scenario"
local server_info = require "vlock.script.server_info"
local limits = require "vlock.lab.run.limits"
local error_text = require "vlock.text.error_text"

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
  elseif outcomes.is(reason, "unreachable") or type(reason) ~= "table" then
    -- Nothing to measure any more: the server is gone, or the policy itself is broken.
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

-- One update; `due`: since when its latency counts.
local function update(run, worker, key, due)
  local client = worker.client
  worker.begun, worker.due = worker.begun + 1, due
  local ok, value, outcome, _, is_left = pcall(client.update_state, client, key, worker.update)
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
    update(run, worker, run.cells[choose()].key, due)
  end
  worker.ended = now()
end

-- ---- one run

local function connect_all(run, connect, count)
  run.connections = {}
  for i = 1, count do
    run.connections[i] = connect()
  end
  for _, connection in ipairs(run.connections) do
    again(connection.call, connection, "PING") -- the time it takes to connect is not the policy's
  end
end

local function describe_server(url)
  local name, version = again(server_info)
  return { version = name == "valkey" and "valkey " .. version or version, url = core.hidden(url) }
end

-- While workers are made the collector finds nothing, and looks at all of them again and again. So
-- it rests; but for what the files of a policy leave behind, it is called by how much there is.
-- Kilobytes before it is called; times what it left the last time.
local LEAST, GROWTH = 256 * 1024, 4

-- The collector rests until the scope that holds what is returned ends.
local function resting_collector()
  collectgarbage("stop")
  return setmetatable({}, {
    __close = function()
      collectgarbage("restart")
    end,
  })
end

local function make_workers(run)
  local workers, limit = {}, LEAST
  for i = 1, run.scenario.workers do
    workers[i] = new_worker(run, i)
    if i % BATCH == 0 then
      core.sleep(0) -- an interrupt is heeded
    end
    if collectgarbage("count") > limit then
      collectgarbage("collect")
      limit = math.max(LEAST, GROWTH * collectgarbage("count"))
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
  for _, worker in ipairs(run.workers) do
    worker.started = run.started
    worker.task = core.spawn(attempt_work, run, worker)
  end
end

local function run_workers(run)
  start_workers(run)
  local stop = limits.watch(run)
  for _, worker in ipairs(run.workers) do
    worker.task:join()
  end
  stop()
  if run.fatal then
    error(run.fatal, 0)
  end
  run.seconds = now() - run.started
  run.open_loop = run.arrivals:summary()
end

local function new_run(setup)
  local scenario = setup.scenario
  local run = {
    scenario = scenario,
    seed = setup.seed,
    writer = hex(core.entropy(6)),
    combiner = scenario.combine and combine.new() or nil,
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

-- The cells, what the recorder knows of them before the run, and the connections.
local function prepare(run, setup)
  run.server = describe_server(setup.url)
  run.own_store = setup.new_store() -- the lab's, for reading what stands before and after
  run.keys = keys.new(run.scenario.keys)
  if setup.guards then
    run.keys:guard(setup.url, setup.password_file)
  end
  run.cells = run.keys.cells
  local instance = setup.new_policy()
  run.policy = instance.describe()
  run.hears_commits = instance.listeners ~= nil
  run.recorder = recorder.new(run.cells, run.own_store, {
    is_counter = not run.scenario.new_update,
    merge = run.policy.parts.merge,
    combines = run.scenario.combine,
    is_stopped = function()
      return run.interrupt.reason
    end,
    history = setup.history and setup.history:run {
      label = setup.label,
      policy = run.policy,
      store = run.store_name,
      server = run.server,
      scenario = scenarios.shown(run.scenario),
      seed = run.seed,
    },
  })
  if run.interrupt.reason then
    error(contention.INTERRUPTED, 0)
  end
  run.choose = key_choice.new(run.scenario.dist, run.scenario.keys)
  connect_all(run, setup.connect, scenarios.connections(run.scenario))
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

--- Runs one scenario; returns its result (the fields of the JSON: ../README.md) and the run
-- itself, for what is no figure: latencies (a histogram), first_error and give_up_reason (texts,
-- where there were any).
--
-- setup: label, what the run is called; connect() makes a connection; url, and password_file or
-- nil; guards: whether the keys must go even if this process is killed; scenario
-- (vlock.lab.ask.scenario); seed; new_policy() an instance of the policy for one worker;
-- new_store() the same for the store; store_name; history (vlock.lab.check.history_writer), where
-- it is written down, or nil; interrupt, a table: the run ends early once it has a field `reason`;
-- watch(run), or nil: called before the workers start, to show how it goes; returns a function that
-- ends it; interval: whether run.recent is wanted.
function contention.run(setup)
  local run = new_run(setup)
  core.watch()
  local control <close> = setup.connect()
  local _ <close> = using(control)
  prepare(run, setup)
  local before = connections.commands_sent()
  local stop_watching = setup.watch and setup.watch(run)
  local ok, reason = pcall(run_workers, run)
  if stop_watching then
    stop_watching()
  end
  run.commands = connections.commands_sent() - before
  if not ok then
    pcall(run.keys.remove, run.keys)
    error(reason, 0)
  end
  local result = results.new(run, run.recorder:verify(run.own_store, {
    is_interrupted = run.interrupt.reason ~= nil,
    commits = run.commits,
    unknown = run.unknown + run.history_lost,
  }))
  run.keys:remove()
  for _, connection in ipairs(run.connections) do
    connection:close()
  end
  return result, run
end

return contention
