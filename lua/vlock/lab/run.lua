-- The lab: puts a policy under contention and finds out what it did. Every worker is a client of its own: a task with its own random
-- stream, its own instance of the policy, its own knowledge of the cells. Nothing is shared between workers but the connections.

local cells = require "vlock.cell"
local clients = require "vlock.client"
local core = require "vlock.core"
local hex = require "vlock.hex"
local key_choice = require "vlock.lab.key_choice"
local lab_core = require "vlock.lab_core"
local ledger = require "vlock.lab.ledger"
local results = require "vlock.lab.result"

local now = core.now

local lab = {}

local function is_outcome(reason, kind)
  return type(reason) == "table" and reason.outcome == kind
end

-- The cells of one run, under a prefix of its own.
local function make_cells(count)
  local prefix = "vlock:lab:" .. hex(core.entropy(4)) .. ":"
  local list = {}
  for i = 1, count do
    list[i] = cells.new(prefix .. i, {})
  end
  return list
end

-- ---- workers

-- The default update: a counter.
local function count_up(value)
  return tostring(math.tointeger(tonumber(value) or 0) + 1)
end

local function new_worker(run, index)
  local policy = run.new_policy()
  local stopping_policy = setmetatable({
    retry = function(c)
      if run.stopping then
        return false, "interrupted"
      end
      return policy.retry(c)
    end,
  }, { __index = policy })
  local store = run.ledger:recording(run.new_store())
  local worker = { index = index, commits = 0, policy = policy }
  worker.client = clients.new {
    writer = ("%s-%d"):format(run.writer, index),
    worker = index,
    random = core.stream(run.seed, index),
    policies = function()
      return stopping_policy
    end,
    stores = function()
      return store
    end,
  }
  return worker
end

-- Whether this worker makes another update; takes it from what is left.
local function takes_another(run, worker)
  local scenario = run.scenario
  if run.stopping or (run.deadline and now() >= run.deadline) then
    return false
  elseif scenario.per_worker then
    worker.taken = (worker.taken or 0) + 1
    return worker.taken <= scenario.per_worker
  elseif run.left then
    run.left = run.left - 1
    return run.left >= 0
  end
  return true
end

local function count_failure(run, reason)
  if is_outcome(reason, "gave_up") then
    if reason.reason ~= "interrupted" then
      run.gave_up = run.gave_up + 1
      run.give_up_reason = run.give_up_reason or reason.reason
    end
  elseif is_outcome(reason, "unknown") then
    run.unknown = run.unknown + 1
  elseif is_outcome(reason, "unreachable") or type(reason) ~= "table" then
    error(reason, 0) -- nothing to measure any more: the server is gone, or the policy itself is broken
  else
    run.errors = run.errors + 1
    run.first_error = run.first_error or tostring(reason)
  end
end

local function work(run, worker)
  local client, choose, latencies = worker.client, run.choose(worker), run.latencies
  local fn, think = run.scenario.update or count_up, run.scenario.think
  redis.use(run.connections[(worker.index - 1) % #run.connections + 1])
  worker.started = now()
  while takes_another(run, worker) do
    local key = run.cells[choose()].key
    local started = now()
    local ok, value, outcome = pcall(client.update, client, key, fn)
    if ok and type(outcome) ~= "table" then
      worker.commits = worker.commits + 1
      run.commits = run.commits + 1
      latencies:record(now() - started)
    else
      count_failure(run, ok and outcome or value)
    end
    if think > 0 then
      core.sleep(think)
    end
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
    connection:call("PING") -- the time it takes to connect is not the policy's
  end
end

local function describe_server(url)
  local info = redis.call("INFO", "server")
  local valkey = info:match("valkey_version:([^\r\n]+)")
  local version = valkey and "valkey " .. valkey or info:match("redis_version:([^\r\n]+)")
  return { version = version, url = (url:gsub(":[^:@/]+@", ":***@")) }
end

local function remove_keys(run)
  for _, cell in ipairs(run.cells) do
    redis.call("DEL", cell.key, cell.version_key)
  end
end

local function run_workers(run)
  local workers, tasks = {}, {}
  for i = 1, run.scenario.workers do
    workers[i] = new_worker(run, i)
  end
  local started = now()
  run.started = started
  run.deadline = run.scenario.duration and started + run.scenario.duration
  for i, worker in ipairs(workers) do
    worker.started = started
    tasks[i] = core.spawn(function()
      local ok, reason = pcall(work, run, worker)
      if not ok then
        run.fatal = run.fatal or reason
        run.stopping = "failed"
      end
    end)
  end
  for _, task in ipairs(tasks) do
    task:join()
  end
  if run.fatal then
    error(run.fatal, 0)
  end
  return workers, now() - started
end

--- Runs one scenario; returns its result (the fields of the JSON in DESIGN's order: README lists them), and the first error and the
-- first reason to give up, in words, where there were any.
--
-- setup: connect() makes a connection; url, for the report; scenario (workers, keys, dist, commits or per_worker or duration, think,
-- connections, update); seed;
-- new_policy() an instance of the policy for one worker; new_store() the same for the store; store_name; progress(run), or nil: called once, to
-- watch the run's fields; returns a function that ends it.
function lab.run(setup)
  local scenario = setup.scenario
  local run = {
    scenario = scenario,
    seed = setup.seed,
    writer = hex(core.entropy(6)),
    new_policy = setup.new_policy,
    new_store = setup.new_store,
    store_name = setup.store_name,
    latencies = lab_core.histogram(),
    left = not (scenario.per_worker or scenario.duration) and scenario.commits or nil,
    commits = 0,
    gave_up = 0,
    unknown = 0,
    errors = 0,
  }
  core.watch()
  core.on_interrupt(function(reason)
    run.stopping = reason
  end)
  local control <close> = setup.connect()
  redis.use(control)
  run.server = describe_server(setup.url)
  run.plain_store = setup.new_store()
  run.cells = make_cells(scenario.keys)
  run.ledger = ledger.new(run.cells, run.plain_store)
  run.choose = key_choice.new(scenario.dist, scenario.keys)
  connect_all(run, setup.connect, scenario.connections or math.min(scenario.workers, 64))

  local before = redis.commands_sent()
  local stop_progress = setup.progress and setup.progress(run)
  local ok, workers, seconds = pcall(run_workers, run)
  if stop_progress then
    stop_progress()
  end
  run.commands = redis.commands_sent() - before
  if not ok then
    pcall(remove_keys, run)
    error(workers, 0)
  end
  local result = results.new(run, workers, seconds, run.ledger:verify(run.plain_store))
  remove_keys(run)
  core.on_interrupt(nil)
  return result, run.first_error, run.give_up_reason
end

return lab
