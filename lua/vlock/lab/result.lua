-- What a run of the lab has measured, as one table.

local core = require "vlock.core"
local json = require "vlock.json"

local now = core.now

local result = {}

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

--- The result of a run: its fields are those of the JSON that README lists. `found` is what the ledger's verification found.
function result.new(run, workers, seconds, found)
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
    calls = run.ledger.calls,
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

return result
