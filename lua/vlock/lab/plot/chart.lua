-- Charts as programs for gnuplot: bars, percentile curves, lines over swept values, points of work
-- against time, how often each latency was. A chart is a table whose field `kind` names one of
-- these (vlock.lab.plot.chart_choice makes them); what it looks like is decided here.

local axis = require "vlock.lab.plot.axis"
local core = require "vlock.core"
local gnuplot = require "vlock.lab.plot.gnuplot"
local legend = require "vlock.lab.plot.legend"
local style = require "vlock.lab.plot.style"
local label_places = require "vlock.lab.plot.label_places"

local quoted, clipped = gnuplot.quoted, style.clipped
local INK = style.INK

local chart = {}

local PLOT = 250 -- pixels, the height of all but bars, without the names below
local X_NAME = 18 -- pixels that a name below the x axis takes

-- ---- data

-- A block of numbers, and texts, for gnuplot: `name << …`.
local function block(name, rows)
  local lines = { ("$%s << END_OF_DATA"):format(name) }
  for i, row in ipairs(rows) do
    local cells = {}
    for j, cell in ipairs(row) do
      cells[j] = type(cell) == "number" and ("%.9g"):format(cell) or '"' .. cell .. '"'
    end
    lines[i + 1] = table.concat(cells, " ")
  end
  lines[#lines + 1] = "END_OF_DATA"
  return table.concat(lines, "\n")
end

-- The least and the greatest of a field, the ends of whiskers among them.
local function range_of(points, field)
  local low, high = math.huge, 0
  for _, point in ipairs(points) do
    low, high = math.min(low, point["low_" .. field] or point[field]), math.max(high,
      point["high_" .. field] or point[field])
  end
  return low, high
end

local function all_points(series)
  local points = {}
  for _, one in ipairs(series) do
    table.move(one.points, 1, #one.points, #points + 1, points)
  end
  return points
end

local function add(commands, more)
  return table.move(more, 1, #more, #commands + 1, commands)
end

local function in_ink(command)
  return ("%s textcolor rgb '%s'"):format(command, INK)
end

local function x_name_of(one)
  return in_ink("set xlabel " .. quoted(one.x_name) .. " offset 0,0.6")
end

-- ---- the kinds: each returns a list of commands. frame: vlock.lab.plot.frame, nil where the chart
-- is drawn with letters

local draw = {}

-- How far the axis of bars must go for what is written at their ends.
local function reach_of(rows, width)
  local reach = 0
  for _, row in ipairs(rows) do
    local room = math.max(1 - (style.width(row.text) + 16) / width, 0.3)
    reach = math.max(reach, (row.high or row.value) / room)
  end
  return reach
end

-- Bars that lie, a row for each policy: rows of label, value, low, high (the spread, or nil), text,
-- style.
function draw.bars(one, frame)
  local rows, positions = {}, {}
  for i, row in ipairs(one.rows) do
    local high = row.high or row.value
    rows[i] = { i, row.value, row.low or row.value, high, tonumber(row.style.color:sub(2), 16),
      high, row.text }
    positions[i] = i
  end
  return add({ block("bars", rows) }, {
    frame and frame:margins(style.widest(one.rows) + 18) or "",
    ("set yrange [%d.6:0.4]"):format(#rows),
    axis.tics("y", positions, function(_, i)
      return clipped(one.rows[i].label)
    end),
    "set ytics scale 0 nomirror",
    (axis.linear("x", reach_of(one.rows, frame and frame.inner.width or 500))),
    "set grid xtics",
    "set style fill solid 0.85 noborder",
    frame
      and "plot $bars using (0):1:(0):2:($1-0.34):($1+0.34):5 with boxxyerror lc rgb variable " ..
      "notitle, "
      .. ("$bars using 2:1:3:4 with xerrorbars pt -1 lw 1.4 lc rgb '%s' notitle, "):format(INK)
      .. in_ink("$bars using 6:1:7 with labels left offset 0.7,0") .. " notitle"
      or "plot $bars using (0):1:2:(0) with vectors nohead lt 1 notitle, $bars using 6:1:7 " ..
        "with labels left offset 1,0 notitle",
  })
end

local QUANTILES = { "0%", "50%", "90%", "99%", "99.9%", "99.99%", "99.999%", "99.9999%",
  "99.99999%" }
local QUANTILES_AT = { 1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7 }

-- Latency by percentile, as HdrHistogram plots it: series of label, style, points (x = 1/(1-q), y =
-- seconds).
function draw.curves(one, frame)
  local points = all_points(one.series)
  local low, high = range_of(points, "y")
  local _, last = range_of(points, "x")
  local commands, plots = {}, {}
  for i, series in ipairs(one.series) do
    local rows = {}
    for j, point in ipairs(series.points) do
      rows[j] = { point.x, point.y }
    end
    commands[i] = block("curve" .. i, rows)
    plots[i] = ("$curve%d using 1:2 with lines %s title %s"):format(i, style.line(series.style),
      quoted(clipped(series.label)))
  end
  if frame then
    commands[#commands + 1] = frame:margins(nil, legend.height(one.series, frame.width))
    add(commands, legend.commands(one.series, frame, true, false))
  end
  return add(commands, {
    ("set logscale x\nset xrange [1:%.9g]"):format(math.max(last, 10)),
    axis.tics("x", QUANTILES_AT, function(_, i)
      return QUANTILES[i]
    end),
    (axis.log("y", low, high, core.format_duration)),
    "set grid",
    "plot " .. table.concat(plots, ", "),
  })
end

-- The x axis of a sweep: the values that were run, as they were written.
local function swept_axis(one)
  local first, last = math.min(table.unpack(one.xs)), math.max(table.unpack(one.xs))
  local around = last > first and (last - first) * 0.06 or math.max(math.abs(last), 1) * 0.1
  local range = axis.spans_a_decade(first, last)
    and ("set logscale x\nset xrange [%.9g:%.9g]"):format(first / 1.2, last * 1.2)
    or ("set xrange [%.9g:%.9g]"):format(first - around, last + around)
  return range .. "\n" .. axis.tics("x", one.xs, function(_, i)
    return one.x_texts[i]
  end)
end

-- Lines over swept values: x_name, xs (numbers), x_texts, is_time; series of label, style, points
-- (x, y, low_y, high_y).
function draw.lines(one, frame)
  local low, high = range_of(all_points(one.series), "y")
  local commands, whiskers, plots = {}, {}, {}
  for i, series in ipairs(one.series) do
    local rows = {}
    for j, point in ipairs(series.points) do
      rows[j] = { point.x, point.y, point.low_y or point.y, point.high_y or point.y }
    end
    commands[i] = block("line" .. i, rows)
    whiskers[i] = ("$line%d using 1:2:3:4 with yerrorbars pt -1 lw 1 lc rgb '%s' notitle"):format(i,
      series.style.color)
    plots[i] = ("$line%d using 1:2 with linespoints %s pt %d ps 0.7 title %s"):format(i,
      style.line(series.style), series.style.sign,
      quoted(clipped(series.label)))
  end
  if frame then
    commands[#commands + 1] = frame:margins(nil, legend.height(one.series, frame.width) + X_NAME)
    add(commands, legend.commands(one.series, frame, true, true))
    plots = add(whiskers, plots) -- first, since gnuplot wipes out what is in the middle of each
  end
  return add(commands, {
    swept_axis(one),
    x_name_of(one),
    (one.is_time and low > 0 and axis.log("y", low, high, core.format_duration)
      or (axis.linear("y", high))),
    "set grid",
    "plot " .. table.concat(plots, ", "),
  })
end

local function plain(number)
  return ("%g"):format(number)
end

-- The axes of work against time, and functions that say where on them a value stands, 0 to 1.
local function scatter_axes(one)
  local low_x, high_x = range_of(one.points, "x")
  local low_y, high_y = range_of(one.points, "y")
  -- Room for the names.
  local x_axis, x_of = axis.log("x", low_x / 1.1, high_x * 1.5, core.format_duration)
  local y_axis, y_of = axis.linear("y", high_y * 1.08)
  if axis.spans_a_decade(low_y, high_y) then
    y_axis, y_of = axis.log("y", low_y, high_y * 1.08, plain)
  end
  return x_axis .. "\n" .. y_axis, x_of, y_of
end

-- The names beside the points, which do not cover each other; a thin line leads to one that stands
-- far off.
local function scatter_names(one, frame, x_of, y_of)
  local inner = frame and frame.inner or { width = 600, height = 260 }
  local points, commands = {}, {}
  for i, point in ipairs(one.points) do
    points[i] = { x = x_of(point.x) * inner.width, y = (1 - y_of(point.y)) * inner.height,
      width = style.width(point.label) }
  end
  local function at(x, y)
    return ("graph %.5f,%.5f"):format(x / inner.width, 1 - y / inner.height)
  end
  for i, place in ipairs(label_places.place(points, inner)) do
    local point = one.points[i]
    commands[#commands + 1] = ("set label %s at %s %s front textcolor rgb " ..
      "'%s'"):format(quoted(clipped(point.label)),
      at(place.x, place.y), place.is_left and "right" or "left", point.style.color)
    if frame and place.is_far then
      commands[#commands + 1] = ("set arrow from %s to %s nohead back lw 0.8 lc rgb " ..
        "'%s'"):format(at(points[i].x, points[i].y),
        at(place.x, place.y), style.FAINT)
    end
  end
  return commands
end

-- The step line through the points of the front, as rows.
local function steps(points)
  local rows = {}
  for i, point in ipairs(points) do
    rows[#rows + 1] = i > 1 and { point.x, points[i - 1].y } or nil
    rows[#rows + 1] = { point.x, point.y }
  end
  return rows
end

-- Work against time: points of label, style, x (seconds), y (work), is_on_front; front: those on
-- it, in order; series, where the points are of several: label, style.
function draw.scatter(one, frame)
  local series = one.series or {}
  local commands = { frame and frame:margins(nil, legend.height(series, frame.width) + X_NAME)
    or "" }
  local axes, x_of, y_of = scatter_axes(one)
  add(commands, { axes, "set grid", x_name_of(one) })
  add(commands, scatter_names(one, frame, x_of, y_of))
  add(commands, frame and legend.commands(series, frame, false, true) or {})
  local plots = {}
  if #one.front > 1 then
    commands[#commands + 1] = block("front", steps(one.front))
    plots[1] = ("$front using 1:2 with lines lt 2 lw 1.4 lc rgb '%s' notitle"):format(INK)
  end
  for i, point in ipairs(one.points) do
    commands[#commands + 1] = block("point" .. i, { { point.x, point.y } })
    plots[#plots + 1] = ("$point%d using 1:2 with points lt %d %s ps 1.1 lw 1.6 notitle"):format(i,
      point.style.number,
      style.sign(point.style, not point.is_on_front))
  end
  commands[#commands + 1] = "plot " .. table.concat(plots, ", ")
  return commands
end

-- How many of the updates took how long: bins of low and high (seconds) and share (percent); style.
function draw.density(one, frame)
  local rows, most = {}, 0
  for i, bin in ipairs(one.bins) do
    rows[i] = { math.sqrt(bin.low * bin.high), bin.share, bin.low, bin.high }
    most = math.max(most, bin.share)
  end
  return {
    frame and frame:margins() or "",
    block("bins", rows),
    (axis.log("x", one.bins[1].low, one.bins[#one.bins].high, core.format_duration)),
    ("set yrange [0:%.9g]\nset format y '%%g%%%%'"):format(most * 1.08),
    "set grid",
    "set style fill solid 0.85 noborder",
    frame
      and ("plot $bins using 1:(0):3:4:(0):2 with boxxyerror lc rgb '%s' " ..
      "notitle"):format(one.style.color)
      or "plot $bins using 1:2 with impulses lt 1 notitle",
  }
end

-- ---- what others ask for

local STYLE = ([[
unset key
set border 3 lc rgb '%s'
set tics nomirror scale 0.5 textcolor rgb '%s'
set grid noxtics noytics lc rgb '%s' lw 0.6 dt solid
]]):format(style.FAINT, INK, style.FAINT)

--- How tall a chart of that width should be, in pixels.
function chart.height(one, width)
  if one.kind == "bars" then
    return math.max(110, 40 + 24 * #one.rows)
  end
  return PLOT + legend.height(one.series, width)
end

--- The commands that draw a chart in a frame (vlock.lab.plot.frame), and with it what other
-- commands, a list, ask for.
function chart.commands(one, frame, others)
  return "reset\n" .. STYLE .. table.concat(others or {}, "\n") .. "\n"
    .. table.concat(draw[one.kind](one, frame), "\n") .. "\n"
end

--- The same with letters, for the terminal `dumb`.
function chart.letters(one)
  local has_names = (one.kind == "curves" or one.kind == "lines") and #one.series > 1
  return "set border 3\nset tics nomirror\n"
    .. (has_names and "set key outside below left Left reverse horizontal\n" or "unset key\n")
    .. table.concat(draw[one.kind](one, nil), "\n") .. "\n"
end

return chart
