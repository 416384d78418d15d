-- Which charts show what was measured: of one policy, of several, of a sweep. The charts are tables
-- for vlock.lab.plot.chart.

local figures = require "vlock.lab.measure.figures"
local comparison = require "vlock.lab.show.comparison"
local pareto = require "vlock.lab.plot.pareto"
local hgrm = require "vlock.lab.show.hgrm"
local style = require "vlock.lab.plot.style"
local measures = require "vlock.lab.measure.measures"

local chart_choice = {}

-- ---- figures

-- What charts show, and the factor that makes seconds of a time.
local GOODPUT = measures.at("commits_per_second")
local ATTEMPTS = measures.at("attempts_per_commit")
local P50 = measures.at("latency_ms.p50")
local P99 = measures.at("latency_ms.p99")

local FACTORS = { ms = 1e-3 }

-- The figure of an entry: value, low and high; nil where it was not measured.
local function measured(entry, figure)
  local result = entry.result
  local value = measures.read(result, figure.path)
  if not value then
    return nil
  end
  local factor = FACTORS[figure.unit] or 1
  local stat = result.stats and result.stats[figure.stat]
  return value * factor, stat and stat.min * factor, stat and stat.max * factor
end

-- What must be seen at once beside a figure that looks good. starves: how it is said that it is so.
local function warning(result, starves)
  return result.verified == false and " (BROKEN)" or result.starved and starves or ""
end

local function spread_hint(entries)
  local runs = entries[1].result.runs
  return runs and ("medians of %d runs; whiskers: least and most"):format(runs) or nil
end

local function hint_of(figure, entries)
  local spread = spread_hint(entries)
  local hint = figure.better .. " is better" .. (figure.hint and ", " .. figure.hint or "")
  return hint .. (spread and "; " .. spread or "")
end

-- A list without the holes that charts of nothing leave in it.
local function those_there_are(...)
  local list = {}
  for i = 1, select("#", ...) do
    list[#list + 1] = (select(i, ...))
  end
  return list
end

-- ---- several policies

local function bars(entries, figure)
  local rows = {}
  for i, entry in ipairs(entries) do
    local value, low, high = measured(entry, figure)
    rows[i] = {
      label = entry.label,
      value = value or 0,
      low = low,
      high = high,
      text = (value and figure.show(value) or "-") .. warning(entry.result, " (starves others)"),
      style = entry.style,
    }
  end
  return { kind = "bars", title = figure.title, hint = hint_of(figure, entries), rows = rows }
end

local function curves(entries)
  local series, most = {}, 0
  for _, entry in ipairs(entries) do
    local points = hgrm.curve(entry.latencies)
    if #points > 0 then
      series[#series + 1] = { label = entry.label, style = entry.style, points = points }
      most = math.max(most, #points)
    end
  end
  return most > 1 and { kind = "curves", title = "Latency of an update by percentile",
    hint = "of all runs; lower is better",
    series = series } or nil
end

-- Work against time. name_of(entry): what stands at its point; series: where several points are of
-- one policy.
local function work_and_time(entries, name_of, series)
  local points, eligible = {}, {}
  for _, entry in ipairs(entries) do
    local x, y = measured(entry, P99), measured(entry, ATTEMPTS)
    if x and x > 0 and y then
      local point = { label = name_of(entry) .. warning(entry.result, " (starves)"),
        style = entry.style, x = x, y = y }
      points[#points + 1] = point
      eligible[#eligible + 1] = comparison.is_eligible(entry.result) and point or nil
    end
  end
  if #points < 2 then
    return nil
  end
  local best = pareto.of(eligible)
  for _, point in ipairs(best) do
    point.is_on_front = true
  end
  return { kind = "scatter", title = "Work against time", x_name = "p99 of an update",
    hint = "attempts per commit and p99; filled, on the line: the Pareto " ..
      "front", points = points, front = best,
    series = series }
end

local function of_several(entries)
  for i, entry in ipairs(entries) do
    entry.style = style.of(i)
  end
  return those_there_are(bars(entries, GOODPUT), bars(entries, ATTEMPTS), curves(entries),
    work_and_time(entries, function(entry)
    return entry.label
  end))
end

-- ---- one policy

local BINS = 48

-- How often each latency was, in bins that are equally wide on an axis of logarithms.
local function density(entry)
  local all, bins = entry.latencies, {}
  local count = all:count()
  local low, high = math.max(all:percentile(0), 1e-9) / 1.01, all:percentile(100) * 1.01
  local below = 0
  for i = 1, BINS do
    local from, to = low * (high / low) ^ ((i - 1) / BINS), low * (high / low) ^ (i / BINS)
    local up_to = i == BINS and count or all:count_up_to(to)
    bins[i] = { low = from, high = to, share = (up_to - below) / count * 100 }
    below = up_to
  end
  return { kind = "density", title = "How long updates took",
    hint = "share of the updates in each bin", bins = bins, style = entry.style }
end

local function of_one(entry)
  entry.style = style.of(1)
  if entry.latencies:count() == 0 then
    return {}
  end
  return those_there_are(curves { entry }, density(entry))
end

-- ---- sweeps

-- One line for each policy and each value of a second sweep.
local function series_of(entries)
  local list, by_name, has_several = {}, {}, false
  for _, entry in ipairs(entries) do
    has_several = has_several or entry.label ~= entries[1].label
  end
  for _, entry in ipairs(entries) do
    local rest = table.concat(figures.points(entry.swept, 2), ", ")
    local name = rest == "" and entry.label or has_several and entry.label .. ", " .. rest or rest
    if not by_name[name] then
      by_name[name] = { label = name, style = style.of(#list + 1), entries = {} }
      list[#list + 1] = by_name[name]
    end
    entry.style = by_name[name].style
    table.insert(by_name[name].entries, entry)
  end
  return list
end

-- Where the swept values stand on the axis: as numbers, or one beside the other where they are
-- none. positions[text], xs, texts.
local function axis_of(entries)
  local positions, xs, texts, are_numbers = {}, {}, {}, true
  for _, entry in ipairs(entries) do
    are_numbers = are_numbers and entry.swept[1].value ~= nil
  end
  for _, entry in ipairs(entries) do
    local point = entry.swept[1]
    if not positions[point.text] then
      positions[point.text] = are_numbers and point.value or #xs + 1
      xs[#xs + 1], texts[#texts + 1] = positions[point.text], point.text
    end
  end
  return positions, xs, texts
end

local function lines(entries, series, figure)
  local positions, xs, texts = axis_of(entries)
  local shown = {}
  for _, one in ipairs(series) do
    local points = {}
    for _, entry in ipairs(one.entries) do
      local value, low, high = measured(entry, figure)
      if value then
        points[#points + 1] = { x = positions[entry.swept[1].text], y = value, low_y = low,
          high_y = high }
      end
    end
    table.sort(points, function(a, b)
      return a.x < b.x
    end)
    shown[#shown + 1] = #points > 0 and { label = one.label, style = one.style, points = points }
      or nil
  end
  return #shown > 0 and { kind = "lines", title = figure.title, hint = hint_of(figure, entries),
    x_name = entries[1].swept[1].name, xs = xs, x_texts = texts,
      is_time = FACTORS[figure.unit] ~= nil, series = shown } or nil
end

-- Values of parameters compete with each other; those of the scenario do not, and no front can be
-- drawn of them.
local function competes(entries)
  for _, point in ipairs(entries[1].swept) do
    if point.is_scenario then
      return false
    end
  end
  return true
end

local function of_sweep(entries)
  local series = series_of(entries)
  local last = competes(entries) and work_and_time(entries, function(entry)
    return entry.swept[1].text
  end, series) or lines(entries, series, P50)
  return those_there_are(lines(entries, series, GOODPUT), lines(entries, series, ATTEMPTS),
    lines(entries, series, P99), last)
end

--- The charts for these entries (vlock.lab.run.race): none where nothing was measured.
function chart_choice.of(entries)
  if entries[1].swept then
    return of_sweep(entries)
  end
  return #entries > 1 and of_several(entries) or of_one(entries[1])
end

return chart_choice
