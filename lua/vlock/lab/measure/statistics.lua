-- Several runs of one entrant as one: medians, means, spread.

local verdict = require "vlock.lab.check.verdict"
local measures = require "vlock.lab.measure.measures"

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

local function sum_of(values)
  local sum = 0
  for _, value in ipairs(values) do
    sum = sum + value
  end
  return sum
end

local function has(values, wanted)
  for _, value in ipairs(values) do
    if value == wanted then
      return true
    end
  end
  return false
end

-- How the values of several runs become one, by the rule of their measure
-- (vlock.lab.measure.measures).
local MERGES = {
  first = function(values)
    return values[1]
  end,
  median = function(values)
    local median = statistics.median(values)
    return math.tointeger(median) or median
  end,
  sum = sum_of,
  any = function(values)
    return has(values, true)
  end,
  all = function(values)
    return not has(values, false)
  end,
  verdict = verdict.of_all,
}

local function merge_values(path, values)
  local measure = measures.at(path)
  local rule = measure and measure.merge or "first"
  if type(values[1]) ~= "number" and (rule == "sum" or rule == "median") then
    return values[1] -- null: it cannot be said
  end
  return MERGES[rule](values)
end

-- The tables at this path of several results as one, field by field.
local function merge_fields(results, prefix)
  local merged = {}
  for _, result in ipairs(results) do
    for name in pairs(result) do
      if merged[name] == nil then
        local values, path = {}, prefix .. name
        for _, other in ipairs(results) do
          values[#values + 1] = other[name]
        end
        local is_group = type(values[1]) == "table" and next(values[1]) ~= nil
        merged[name] = is_group and merge_fields(values, path .. ".") or merge_values(path, values)
      end
    end
  end
  return merged
end

local function describe_fields(results)
  local stats = {}
  for _, measure in ipairs(measures.having("stat")) do
    local values = {}
    for _, result in ipairs(results) do
      values[#values + 1] = measures.read(result, measure.path)
    end
    stats[measure.stat] = #values > 0 and statistics.describe(values) or nil
  end
  return stats
end

--- Several results of one entrant as one: every figure is the median of theirs, failures are sums;
-- `runs` says how many there were, and `stats` describes the figures (latencies, in ms, by their
-- short names, and jain). One result stays as it is.
function statistics.merge(results)
  if #results == 1 then
    return results[1]
  end
  local merged = merge_fields(results, "")
  merged.runs = #results
  merged.stats = describe_fields(results)
  return merged
end

return statistics
