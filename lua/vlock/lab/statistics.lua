-- Several runs of one entrant as one: medians, means, spread.

local findings = require "vlock.lab.findings"

local statistics = {}

--- The median of a list of numbers; of an even count, the mean of the two in the middle.
function statistics.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  if #sorted % 2 == 1 then
    return sorted[middle]
  end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

--- What `describe` says of a list, besides its values.
statistics.STATISTICS = { "mean", "sem", "median", "min", "max" }

--- mean; sem, the standard error of the mean, s / √n (0 for one value); median, min, max, values.
function statistics.describe(values)
  local sum, squares = 0, 0
  for _, value in ipairs(values) do
    sum = sum + value
  end
  local mean = sum / #values
  for _, value in ipairs(values) do
    squares = squares + (value - mean) ^ 2
  end
  return {
    mean = mean,
    sem = #values > 1 and math.sqrt(squares / (#values - 1) / #values) or 0,
    median = statistics.median(values),
    min = math.min(table.unpack(values)),
    max = math.max(table.unpack(values)),
    values = values,
  }
end

-- What must not be hidden by a median: these are summed up.
local is_summed = {
  gave_up = true, unknown = true, errors = true, lost_updates = true, duplicated = true, unreported = true, altered = true, missing = true,
  unknown_applied = true, dropped = true,
}

-- What names a run, and is not measured: the first one's.
local is_given = { seed = true, scenario = true, policy = true, server = true, wanted = true }

local merge_fields

local function merge_field(name, values)
  local first = values[1]
  if is_given[name] then
    return first
  elseif type(first) == "number" then
    if is_summed[name] then
      local sum = 0
      for _, value in ipairs(values) do
        sum = sum + value
      end
      return sum
    end
    local median = statistics.median(values)
    return math.tointeger(median) or median
  elseif type(first) == "table" and next(first) ~= nil then
    return merge_fields(values)
  end
  return first
end

function merge_fields(results)
  local merged = {}
  for _, result in ipairs(results) do
    for name in pairs(result) do
      if merged[name] == nil then
        local values = {}
        for _, other in ipairs(results) do
          values[#values + 1] = other[name]
        end
        merged[name] = merge_field(name, values)
      end
    end
  end
  return merged
end

--- The figures that several runs are described by: their name among the `stats`, and where a result has them.
statistics.described = { jain = "fairness.jain" }
for _, name in ipairs {
  "commits", "attempts", "calls", "commands", "conflicts", "seconds", "commits_per_second", "attempts_per_commit", "commands_per_commit",
} do
  statistics.described[name] = name
end
for _, name in ipairs { "mean", "p50", "p90", "p99", "p999", "max" } do
  statistics.described[name] = "latency_ms." .. name
end

local function describe_fields(results)
  local stats = {}
  for name, path in pairs(statistics.described) do
    local group, inner = path:match("^([^.]*)%.?(.*)$")
    local values = {}
    for _, result in ipairs(results) do
      values[#values + 1] = inner == "" and result[group] or (result[group] or {})[inner]
    end
    stats[name] = #values > 0 and statistics.describe(values) or nil
  end
  return stats
end

local function any(results, name)
  for _, result in ipairs(results) do
    if result[name] then
      return true
    end
  end
  return false
end

--- Several results of one entrant as one: every figure is the median of theirs, failures are sums; `runs` says how many there were, and
-- `stats` describes the figures (latencies, in ms, by their short names, and jain). One result stays as it is.
function statistics.merge(results)
  if #results == 1 then
    return results[1]
  end
  local merged = merge_fields(results)
  merged.verified = findings.of_all(results, function(result)
    return result.verified
  end)
  merged.interrupted = any(results, "interrupted")
  merged.starved = any(results, "starved")
  if merged.open_loop then
    merged.open_loop.kept_up = true
    for _, result in ipairs(results) do
      merged.open_loop.kept_up = merged.open_loop.kept_up and result.open_loop.kept_up
    end
  end
  merged.runs = #results
  merged.stats = describe_fields(results)
  return merged
end

return statistics
