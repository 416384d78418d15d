-- The lab: puts a policy under contention and finds out what it did. Every worker is a client of its own: a task with its own random
-- stream, its own instance of the policy, its own knowledge of the cells. Nothing is shared between workers but the connections.

local cells = require "vlock.cell"
local clients = require "vlock.client"
local core = require "vlock.core"
local lab_core = require "vlock.lab_core"
local json = require "vlock.json"
local key_choice = require "vlock.key_choice"

local now = core.now

local lab = {}

local function is_outcome(reason, kind)
  return type(reason) == "table" and reason.outcome == kind
end

-- ---- the keys of one run

local function make_keys(scenario)
  local prefix = "vlock:lab:" .. (core.entropy(4):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)) .. ":"
  local keys = {}
  for i = 1, scenario.keys do
    local cell = cells.new(prefix .. i, {})
    keys[i] = { cell = cell, chain = lab_core.chain() }
  end
  return keys
end

-- What names a state of the cell: its stamp where the store has versions, else its value.
local function identity(store, value, stamp)
  if store.version then
    return stamp
  end
  return value == nil and "absent" or "value:" .. value
end

local function read_identity(store, cell)
  local value, stamp = store.read(cell)
  return identity(store, value, stamp)
end

-- A store that writes down every commit that its worker was told of.
local function recording(run, store)
  local recorded = setmetatable({}, { __index = store })
  function recorded.commit(cell, base, value, token)
    run.calls = run.calls + 1
    local chain = run.chains[cell.key]
    local from = identity(store, base.value, base.stamp)
    local ok, result, a, b = pcall(store.commit, cell, base, value, token)
    if not ok then
      if is_outcome(result, "unknown") then
        local made = store.version and store.made and store.made(base, token)
        chain:unknown(from, made or identity(store, value, "unknown:" .. token))
      end
      error(result, 0)
    end
    if result == "committed" then
      chain:commit(from, identity(store, value, a))
    end
    return result, a, b
  end
  return recorded
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
  local store = recording(run, run.new_store())
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
    local key = run.keys[choose()].cell.key
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

local function verify(run)
  local found = { lost_updates = 0, duplicated = 0, missing = 0, whole = true }
  for _, key in ipairs(run.keys) do
    local result = key.chain:check(key.first, read_identity(run.plain_store, key.cell))
    found.lost_updates = found.lost_updates + result.lost_updates
    found.duplicated = found.duplicated + result.duplicated
    found.missing = found.missing + result.missing
    found.whole = found.whole and result.whole
  end
  return found
end

-- Jain's fairness index, (Σx)² / (n·Σx²), over each worker's commits per second of its own run; 1 where all have the same.
-- (R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984)
local function fairness(workers)
  local sum, squares, least, most = 0, 0, math.huge, 0
  for _, worker in ipairs(workers) do
    local seconds = (worker.ended or now()) - worker.started
    local rate = seconds > 0 and worker.commits / seconds or 0
    sum, squares = sum + rate, squares + rate * rate
    least, most = math.min(least, rate), math.max(most, rate)
  end
  return { jain = squares > 0 and sum * sum / (#workers * squares) or 0, min = least, max = most }
end

local function remove_keys(run)
  for _, key in ipairs(run.keys) do
    redis.call("DEL", key.cell.key, key.cell.version_key)
  end
end

local function latency_ms(histogram)
  if histogram:count() == 0 then
    return nil
  end
  local function ms(seconds)
    return seconds * 1000
  end
  return {
    mean = ms(histogram:mean()),
    p50 = ms(histogram:percentile(50)),
    p90 = ms(histogram:percentile(90)),
    p99 = ms(histogram:percentile(99)),
    p999 = ms(histogram:percentile(99.9)),
    max = ms(histogram:max()),
  }
end

local function sum_of(workers, field)
  local total = 0
  for _, worker in ipairs(workers) do
    total = total + worker.client[field]
  end
  return total
end

local function shown_scenario(scenario, connections)
  return {
    workers = scenario.workers,
    keys = scenario.keys,
    dist = scenario.dist,
    commits = not (scenario.per_worker or scenario.duration) and scenario.commits or nil,
    per_worker = scenario.per_worker,
    duration = scenario.duration,
    think = scenario.think,
    connections = connections,
  }
end

local function result_of(run, workers, seconds, found)
  local attempts = sum_of(workers, "attempts")
  return {
    vlockrun = core.version,
    policy = workers[1].policy.describe(),
    store = run.store_name,
    server = run.server,
    sim = json.null,
    seed = run.seed,
    scenario = shown_scenario(run.scenario, #run.connections),
    interrupted = run.stopping ~= nil,
    commits = run.commits,
    attempts = attempts,
    calls = run.calls,
    commands = run.commands,
    conflicts = sum_of(workers, "conflicts"),
    gave_up = run.gave_up,
    unknown = run.unknown,
    errors = run.errors,
    lost_updates = found.lost_updates,
    duplicated = found.duplicated,
    missing = found.missing,
    verified = found.whole,
    seconds = seconds,
    commits_per_second = seconds > 0 and run.commits / seconds or 0,
    attempts_per_commit = run.commits > 0 and attempts / run.commits or nil,
    latency_ms = latency_ms(run.latencies),
    fairness = fairness(workers),
  }
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
    writer = (core.entropy(6):gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)),
    new_policy = setup.new_policy,
    new_store = setup.new_store,
    store_name = setup.store_name,
    latencies = lab_core.histogram(),
    left = not (scenario.per_worker or scenario.duration) and scenario.commits or nil,
    commits = 0,
    calls = 0,
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
  run.keys = make_keys(scenario)
  run.chains = {}
  for _, key in ipairs(run.keys) do
    run.chains[key.cell.key] = key.chain
    key.first = read_identity(run.plain_store, key.cell)
  end
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
  local result = result_of(run, workers, seconds, verify(run))
  remove_keys(run)
  core.on_interrupt(nil)
  return result, run.first_error, run.give_up_reason
end

return lab
