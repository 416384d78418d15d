-- What a run of the lab has measured, as one table.

local core = require "vlock.core"
local json = require "vlock.text.json"
local scenarios = require "vlock.lab.ask.scenario"

local result = {}

-- Jain's fairness index, (Σx)² / (n·Σx²); 1 where all have the same. (R. Jain, D. Chiu, W. Hawe,
-- DEC-TR-301, 1984)
local function jain(shares)
  local sum, squares = 0, 0
  for _, share in ipairs(shares) do
    sum, squares = sum + share, squares + share * share
  end
  return squares > 0 and sum * sum / (#shares * squares) or 0
end

-- Over each worker's commits per second of its own run.
local function fairness(rates)
  local least, most = math.huge, 0
  for _, rate in ipairs(rates) do
    least, most = math.min(least, rate), math.max(most, rate)
  end
  return { jain = jain(rates), min = least, max = most }
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

local LEAST_COMMITS = 4 -- a worker: with fewer, shares are uneven by chance

-- Whether Jain's index of so many shares is nearer to what it is where one has everything, 1/n,
-- than to what it is where all have the same.
local function is_uneven(index, n)
  return n > 1 and (n * index - 1) / (n - 1) < 0.5
end

-- Whether some workers had nothing, or nearly: then the others' speed is no merit. In an open loop,
-- of what they began.
local function is_starved(run, shares)
  local workers, parts = run.scenario.workers, run.tally.parts
  if run.commits < LEAST_COMMITS * workers then
    return false
  elseif not run.scenario.rate then
    return is_uneven(shares.jain, workers)
  end
  return is_uneven(jain(parts), #parts)
end

--- The result of a run: its fields are those of the JSON (../README.md). `found` is what the
-- recorder has found.
function result.new(run, found)
  local seconds, attempts = run.seconds, run.tally.attempts
  local shares = fairness(run.tally.rates)
  local made = run.commits > 0
  return {
    vlockrun = core.version,
    policy = run.policy,
    store = run.store_name,
    server = run.server or json.null,
    nodes = run.nodes,
    sim = run.world and run.world:shown() or json.null,
    seed = run.seed,
    scenario = scenarios.shown(run.scenario),
    interrupted = run.interrupt.reason ~= nil,
    commits = run.commits,
    left_alone = run.left_alone,
    unfinished = run.unfinished,
    attempts = attempts,
    calls = run.recorder:calls(),
    commands = run.commands,
    conflicts = run.tally.conflicts,
    gave_up = run.gave_up,
    unknown = run.unknown,
    history_lost = run.history_lost,
    errors = run.errors,
    lost_updates = found.lost_updates,
    duplicated = found.duplicated,
    unreported = found.unreported,
    altered = found.altered,
    missing = found.missing,
    out_of_order = found.out_of_order,
    stale_reads = found.stale_reads,
    unknown_applied = found.unknown_applied,
    verified = found.verified,
    not_verified = found.not_verified,
    dropped = found.dropped,
    seconds = seconds,
    commits_per_second = seconds > 0 and run.commits / seconds or 0,
    attempts_per_commit = made and attempts / run.commits or nil,
    commands_per_commit = made and run.commands / run.commits or nil,
    latency_ms = latency_ms(run.latencies),
    fairness = shares,
    starved = is_starved(run, shares),
    open_loop = run.open_loop,
  }
end

return result
