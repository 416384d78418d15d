-- Does the model "aws" give what the simulator gave that it is a model of? The means of a thousand
-- runs of that one (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; its
-- repository aws-arch-backoff-simulator), each with its standard error, against as many of ours: z
-- is the difference in standard errors of both. Ends with 1 where one |z| is above 4: of tables of
-- 30 figures that agree, one in 500 has one.
--
--   ./vlockrun tests/reference/aws.lua [, RUNS [CLIENTS [POLICY]]]     default: 1000, all, all

local RUNS = tonumber(ARGV[1] or 1000)
local MOST = 4

-- Clients, policy: calls and their standard error, milliseconds and theirs.
local REFERENCE = {
  { 10, "none", 50.71, .13, 379.1, 1.1 },
  { 10, "exponential", 50.91, .13, 3520, 42 },
  { 10, "equal_jitter", 42.45, .08, 728, 6 },
  { 10, "full_jitter", 39.06, .07, 463, 3 },
  { 10, "decorrelated", 37.81, .07, 440, 3 },
  { 50, "none", 689.8, .5, 1140.6, 1.4 },
  { 50, "exponential", 621.6, .9, 36299, 100 },
  { 50, "equal_jitter", 347.1, .2, 4230, 18 },
  { 50, "full_jitter", 332.4, .2, 2880, 18 },
  { 50, "decorrelated", 374.9, .4, 2222, 16 },
  { 100, "none", 2422.9, 1.0, 2027.6, 1.4 },
  { 100, "exponential", 1856.6, 1.9, 63420, 124 },
  { 100, "equal_jitter", 812.4, .2, 6617, 20 },
  { 100, "full_jitter", 796.0, .2, 4885, 16 },
  { 100, "decorrelated", 1001.0, .9, 4614, 23 },
}

-- The statistics of our runs.
local function measure(clients, policy)
  local pipe <close> = assert(io.popen(("%s --sim=aws --workers %d --per-worker 1 --runs %d " ..
    "--seed 2015 --json %s lua/backoff/%s.lua"):format(os.getenv("VLOCKRUN") or "./vlockrun",
    clients, RUNS, policy == "none" and "" or "-p base=5ms -p cap=2s", policy)))
  local result = cjson.decode(pipe:read("a"))
  assert(result.verified == true and result.gave_up == 0, "a run is not whole")
  return result.stats
end

local function score(ours, mean, error_of_mean)
  return (ours.mean - mean) / math.sqrt(ours.sem ^ 2 + error_of_mean ^ 2)
end

local largest, count = 0, 0
print(("%7s  %-12s %10s %7s %6s   %10s %7s %6s"):format("clients", "policy", "calls", "±", "z",
  "ms", "±", "z"))
for _, row in ipairs(REFERENCE) do
  local clients, policy, calls, calls_error, ms, ms_error = table.unpack(row)
  if tonumber(ARGV[2] or clients) == clients and (ARGV[3] or policy) == policy then
    local stats = measure(clients, policy)
    local time = { mean = stats.seconds.mean * 1000, sem = stats.seconds.sem * 1000 }
    local z_calls, z_ms = score(stats.calls, calls, calls_error), score(time, ms, ms_error)
    print(("%7d  %-12s %10.2f %7.2f %6.2f   %10.1f %7.1f %6.2f"):format(clients, policy,
      stats.calls.mean, stats.calls.sem, z_calls, time.mean, time.sem, z_ms))
    largest = math.max(largest, math.abs(z_calls), math.abs(z_ms))
    count = count + 2
  end
end
print(("largest |z| of %d figures: %.2f"):format(count, largest))
if count == 0 or largest > MOST then
  os.exit(1)
end
