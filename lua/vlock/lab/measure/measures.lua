-- What a result measures: one row a figure. Thresholds, tables, pages, pictures and the merging of
-- several runs all take what they know of a figure from here, so a new figure is one new row.
--
-- path    where the JSON of a result has it: "latency_ms.p99"
-- unit    "number", "ms" (milliseconds), "s" (seconds) or "boolean"
-- merge   what several runs are shown with: "median", "sum" (a failure must not hide behind a
--         median), "any" or "all" (of booleans), "verdict" (true, false, or null where it cannot be
--         said), "first" (it was asked for, not measured)
-- head    what it is called above a column
-- better  "more", "less", or nil where neither is
-- show    function(value) -> text, as people read it
-- short   other names of it in --require
-- stat    its name among the `stats` of several runs; nil: it is not described there
-- column  the two lines above its column of `compare`; nil: it has none
-- title   what a chart of it is called; hint: what else is said beside that it should be more or
--         less
-- tile    what it is called on the page of a single run, where it stands at the top
-- fault   how one and several of it are called: it is a fault of the run
-- of_run  whether the page lists it for every run

local core = require "vlock.core"
local figures = require "vlock.lab.measure.figures"

local grouped, ms, two_digits = figures.grouped, figures.ms, figures.two_digits

local function seconds(value)
  return core.format_duration(value)
end

local function yes_or_no(value)
  return value == true and "yes" or value == false and "NO" or "not verified"
end

local measures = {}

local ROWS = {
  { "seed", "number", merge = "first", of_run = true, show = tostring },
  { "runs", "number", merge = "first" },
  { "interrupted", "boolean", merge = "any" },
  { "commits", "number", better = "more", stat = true, of_run = true },
  { "seconds", "s", better = "less", stat = true, of_run = true, show = two_digits },
  {
    "commits_per_second", "number", head = "commits/s", better = "more", stat = true, of_run = true,
    column = { "commits/s",
      "" }, has_spread = true, title = "Commits per second", tile = "commits/s",
  },
  { "left_alone", "number", head = "left alone", of_run = true },
  { "attempts", "number", better = "less", stat = true, of_run = true },
  {
    "attempts_per_commit", "number", better = "less", stat = true, show = two_digits,
    column = { "attempts", "/commit" }, title = "Attempts per commit", hint = "1 is the least",
    tile = "attempts per commit",
  },
  { "conflicts", "number", better = "less", stat = true, of_run = true },
  { "calls", "number", better = "less", stat = true },
  { "commands", "number", better = "less", stat = true, of_run = true },
  {
    "commands_per_commit", "number", better = "less", stat = true, show = two_digits,
    column = { "commands", "/commit" },
  },
  { "gave_up", "number", head = "gave up", better = "less", merge = "sum", of_run = true },
  { "unknown", "number", better = "less", merge = "sum", of_run = true },
  {
    "history_lost", "number", head = "history lost", better = "less", merge = "sum", of_run = true,
  },
  { "errors", "number", better = "less", merge = "sum", of_run = true },
  { "unfinished", "number", better = "less", of_run = true },
  { "dropped", "number", better = "less", merge = "sum", of_run = true },
  {
    "lost_updates", "number", head = "lost", better = "less", merge = "sum", of_run = true,
    fault = { "lost update", "lost updates" },
  },
  {
    "duplicated", "number", better = "less", merge = "sum", of_run = true,
    fault = { "update applied twice", "updates applied twice" },
  },
  {
    "unreported", "number", better = "less", merge = "sum", of_run = true,
    fault = { "write that nobody reported", "writes that nobody reported" },
  },
  {
    "altered", "number", better = "less", merge = "sum", of_run = true,
    fault = {
      "state found with another value than it was made with",
      "states found with another value than they were made with",
    },
  },
  {
    "missing", "number", better = "less", merge = "sum", of_run = true,
    fault = { "commit that the chain does not hold", "commits that the chain does not hold" },
  },
  {
    "out_of_order", "number", head = "out of order", better = "less", merge = "sum", of_run = true,
    fault = { "commit out of the order of time", "commits out of the order of time" },
  },
  {
    "stale_reads", "number", head = "stale reads", better = "less", merge = "sum", of_run = true,
    fault = {
      "read of a state that was known to be over", "reads of states that were known to be over",
    },
  },
  { "unknown_applied", "number", head = "unknown, applied", merge = "sum", of_run = true },
  { "verified", "boolean", merge = "verdict", of_run = true, show = yes_or_no },
  { "latency_ms.mean", "ms", better = "less", stat = true, of_run = true, short = { "mean" } },
  {
    "latency_ms.p50", "ms", better = "less", stat = true, of_run = true, short = { "p50" },
    column = { "p50", "" }, title = "Latency of an update, p50", tile = "p50 of an update",
  },
  { "latency_ms.p90", "ms", better = "less", stat = true, of_run = true, short = { "p90" } },
  {
    "latency_ms.p99", "ms", better = "less", stat = true, of_run = true, short = { "p99" },
    column = { "p99", "" }, title = "Latency of an update, p99", tile = "p99 of an update",
  },
  {
    "latency_ms.p999", "ms", head = "p99.9", better = "less", stat = true, of_run = true,
    short = { "p999", "p99.9" },
  },
  { "latency_ms.max", "ms", better = "less", stat = true, of_run = true, short = { "max" } },
  {
    "fairness.jain", "number", head = "Jain", better = "more", stat = true, of_run = true,
    short = { "jain" }, show = two_digits, column = { "fairness", "Jain" }, tile = "fairness, Jain",
  },
  { "fairness.min", "number", head = "slowest worker", better = "more", of_run = true },
  { "fairness.max", "number", head = "fastest worker", of_run = true },
  { "starved", "boolean", merge = "any" },
  { "sim.ordered", "boolean", merge = "first" },
  { "sim.timeout", "s", merge = "first" },
  { "sim.conflict_value", "boolean", merge = "first" },
  { "sim.events", "number", short = { "events" } },
  { "sim.lost", "number", merge = "sum" },
  { "sim.cut", "number", merge = "sum" },
  { "sim.late", "number", merge = "sum" },
  { "sim.timeouts", "number", merge = "sum" },
  { "sim.failovers", "number", merge = "sum" },
  { "sim.cpu_seconds", "s" },
  { "open_loop.wanted", "number", merge = "first" },
  { "open_loop.begun", "number", better = "more" },
  { "open_loop.behind", "number", better = "less", short = { "behind" } },
  { "open_loop.late_ms", "ms", better = "less", short = { "late_ms" } },
  { "open_loop.kept_up", "boolean", merge = "all", short = { "kept_up" } },
  { "scenario.workers", "number", merge = "first", short = { "workers" } },
  { "scenario.keys", "number", merge = "first", short = { "keys" } },
  { "scenario.connections", "number", merge = "first" },
  { "scenario.commits", "number", merge = "first" },
  { "scenario.per_worker", "number", merge = "first" },
  { "scenario.duration", "s", merge = "first" },
  { "scenario.think", "s", merge = "first" },
  { "scenario.rate", "number", merge = "first" },
  { "scenario.value_size", "number", merge = "first" },
  { "scenario.combine", "boolean", merge = "first" },
}

local SHOWN = { number = grouped, ms = ms, s = seconds, boolean = tostring }

--- Every row, in the order of the page.
measures.all = ROWS

local by_path = {}

for _, row in ipairs(ROWS) do
  row.path, row.unit = row[1], row[2]
  local last = row.path:match("[^.]+$")
  row.head = row.head or last
  row.merge = row.merge or "median"
  row.show = row.show or SHOWN[row.unit]
  row.stat = row.stat and last
  by_path[row.path] = row
end

--- The row at a path, or nil.
function measures.at(path)
  return by_path[path]
end

--- The rows that have this field: measures.having("column").
function measures.having(field)
  local rows = {}
  for _, row in ipairs(ROWS) do
    if row[field] then
      rows[#rows + 1] = row
    end
  end
  return rows
end

--- What stands at a path of a result; nil where nothing does.
function measures.read(result, path)
  for name in path:gmatch("[^.]+") do
    if type(result) ~= "table" then
      return nil
    end
    result = result[name]
  end
  return result
end

--- Whether a is the better value of this figure than b.
function measures.is_better(row, a, b)
  if row.better == "more" then
    return a > b
  end
  return a < b
end

return measures
