-- The latencies of a run as percentiles: for pictures, and in the text format .hgrm that
-- HdrHistogram's plotter reads (outputPercentileDistribution of G. Tene's HdrHistogram). Values are
-- milliseconds.

local core = require "vlock.core"
local lab_core = require "vlock.lab_core"

local hgrm = {}

local TICKS = 5 -- in each half of the distance that is left to 100 %

-- The percentages that the format steps through, up to the first that all of `count` values but the
-- last are below: 0, 10 … 50, 55 … 75, 77.5 … They do not depend on the values, so that a plotter
-- may lay several files side by side, line by line.
local function levels(count)
  local list, level, step = {}, 0, 50 / TICKS
  while 1 - level / 100 > 1 / (2 * count) and level < 100 do
    for _ = 1, TICKS do
      list[#list + 1] = level
      level = level + step
    end
    step = step / 2
  end
  return list
end

--- The text of the format for a histogram; `about` is said in its last line.
function hgrm.text(histogram, about)
  local lines = { ("%12s %14s %10s %14s"):format("Value", "Percentile", "TotalCount",
    "1/(1-Percentile)"), "" }
  local count = histogram:count()
  for _, level in ipairs(count > 0 and levels(count) or {}) do
    local seconds = histogram:percentile(level)
    lines[#lines + 1] = ("%12.6f %14.12f %10d %14.2f"):format(seconds * 1000, level / 100,
      histogram:count_up_to(seconds),
      100 / (100 - level))
  end
  lines[#lines + 1] = ("%12.6f %14.12f %10d %14s"):format(histogram:max() * 1000, 1, count, "inf")
  lines[#lines + 1] = ("#[Mean    = %12.6f, StdDeviation   = " ..
    "%12.6f]"):format(histogram:mean() * 1000, histogram:deviation() * 1000)
  lines[#lines + 1] = ("#[Max     = %12.6f, Total count    = %12d]"):format(histogram:max() * 1000,
    count)
  lines[#lines + 1] = ("#[Buckets = %12d, SubBuckets     = %12d]"):format(lab_core.HISTOGRAM_ROWS,
    lab_core.HISTOGRAM_CUTS)
  lines[#lines + 1] = ("# Unit: milliseconds. %s, vlock %s"):format((about:gsub("%c", " ")),
    core.version)
  return table.concat(lines, "\n") .. "\n"
end

local POINTS_A_DECADE = 24

--- The curve that HdrHistogram plots draw: a list of { x = 1/(1-q), y = seconds that a share q of
-- the values does not exceed }, as far as there are values.
function hgrm.curve(histogram)
  local points, count = {}, histogram:count()
  for i = 0, count > 0 and math.floor(math.log(count, 10) * POINTS_A_DECADE) or -1 do
    local x = 10 ^ (i / POINTS_A_DECADE)
    points[#points + 1] = { x = x, y = histogram:percentile(100 * (1 - 1 / x)) }
  end
  return points
end

return hgrm
