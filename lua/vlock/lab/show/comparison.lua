-- Several entrants side by side, as a table that people read at a glance: what is best in each
-- column, what is as good within the noise, and who won only because others starved.

local figures = require "vlock.lab.measure.figures"
local verdict = require "vlock.lab.check.verdict"
local measures = require "vlock.lab.measure.measures"
local color = require "vlock.text.color"

local comparison = {}

--- The columns: those measures that have one.
comparison.COLUMNS = measures.having("column")

local COLUMNS = comparison.COLUMNS

local MOST_FAILED = 0.01 -- of the updates

local function are_many_failed(result)
  local failed = result.gave_up + result.unknown + result.history_lost + result.errors
  return failed > MOST_FAILED * (failed + result.commits)
end

--- Whether a result counts when the best is looked for: one that starved others, that is broken,
-- gave up, or dropped what it should have written, has won nothing.
function comparison.is_eligible(result)
  return not result.starved and result.verified ~= false and result.commits > 0
    and not are_many_failed(result)
    and (result.dropped or 0) == 0
end

local is_eligible = comparison.is_eligible

local function best_of(entries, column)
  local best
  for _, entry in ipairs(entries) do
    local value = measures.read(entry.result, column.path)
    if value and is_eligible(entry.result)
      and (not best or measures.is_better(column, value, measures.read(best, column.path))) then
      best = entry.result
    end
  end
  return best
end

-- Whether the two cannot be told apart: their ranges over the runs overlap.
local function is_within_noise(result, best, column)
  local a, b = result.stats and result.stats[column.stat], best.stats and best.stats[column.stat]
  return a and b and a.min <= b.max and b.min <= a.max
end

-- Entries that can be compared: those that ran on the same scenario. Where parameters of a policy
-- were swept, their values compete.
local function groups_of(entries)
  local groups, by_name = {}, {}
  for _, entry in ipairs(entries) do
    local names = {}
    for _, point in ipairs(entry.swept or {}) do
      names[#names + 1] = point.is_scenario and point.text or nil
    end
    local name = table.concat(names, ",")
    if not by_name[name] then
      by_name[name] = {}
      groups[#groups + 1] = by_name[name]
    end
    table.insert(by_name[name], entry)
  end
  return groups
end

local function mark_column(marks, group, column)
  local best = best_of(group, column)
  for _, entry in ipairs(group) do
    local value = measures.read(entry.result, column.path)
    if best and value and is_eligible(entry.result) then
      if entry.result == best or value == measures.read(best, column.path) then
        marks[entry][column.stat] = "best"
      elseif is_within_noise(entry.result, best, column) then
        marks[entry][column.stat] = "within noise"
      end
    end
  end
end

--- "best", "within noise" or nil, for each column of each entry: marks[entry][column's stat]. An
-- entry that nothing is compared with has none.
function comparison.marks(entries)
  local marks = {}
  for _, entry in ipairs(entries) do
    marks[entry] = {}
  end
  for _, group in ipairs(groups_of(entries)) do
    for _, column in ipairs(#group > 1 and COLUMNS or {}) do
      mark_column(marks, group, column)
    end
  end
  return marks
end

--- What must be said of an entry beside its figures, a list of texts: starvation, failures, a
-- broken chain.
function comparison.notes(entry)
  local result, notes = entry.result, {}
  local function note(...)
    notes[#notes + 1] = string.format(...)
  end
  if result.verified == false then
    note("BROKEN: %s", verdict.words(result))
  elseif result.verified ~= true then
    note("not verified: %s", result.not_verified)
  end
  if (result.dropped or 0) > 0 then
    note("the merge DROPPED %s updates", figures.grouped(result.dropped))
  end
  if result.starved then
    note("STARVES others: %s to %s commits/s a worker", figures.grouped(result.fairness.min),
      figures.grouped(result.fairness.max))
  end
  if result.open_loop and not result.open_loop.kept_up then
    note("did not keep up: %s updates behind", figures.grouped(result.open_loop.behind))
  end
  for _, name in ipairs { "gave_up", "unknown", "history_lost", "errors" } do
    if result[name] > 0 then
      note("%s %s", figures.grouped(result[name]), (name:gsub("_", " ")))
    end
  end
  return notes
end

local SIGNS = { best = "*", ["within noise"] = "~" }

--- " ±8%", half of the range of the runs of a figure that has it shown; "" for others.
function comparison.spread(result, column)
  local stat = result.stats and result.stats[column.stat]
  if not column.has_spread or not stat or stat.median == 0 then
    return ""
  end
  return (" ±%.0f%%"):format((stat.max - stat.min) / 2 / stat.median * 100)
end

local function cell(entry, column, marks)
  local value = measures.read(entry.result, column.path)
  if not value then
    return "-  "
  end
  return column.show(value) .. comparison.spread(entry.result, column) .. " "
    .. (SIGNS[marks[entry][column.stat]] or " ")
end

-- The rows as texts, the first column and the last ones flush left.
local function rows_of(entries, marks, swept_names)
  local rows = { { "policy" }, { "" } }
  for _, name in ipairs(swept_names) do
    table.insert(rows[1], name .. "  ")
    table.insert(rows[2], "")
  end
  for _, column in ipairs(COLUMNS) do
    table.insert(rows[1], column.column[1] .. "  ")
    table.insert(rows[2], column.column[2] .. "  ")
  end
  for _, entry in ipairs(entries) do
    local row = { entry.label }
    for i in ipairs(swept_names) do
      row[#row + 1] = entry.swept[i].text .. "  "
    end
    for _, column in ipairs(COLUMNS) do
      row[#row + 1] = cell(entry, column, marks)
    end
    row.notes, row.entry = table.concat(comparison.notes(entry), "; "), entry
    rows[#rows + 1] = row
  end
  return rows
end

local function widths_of(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(text) or #text)
    end
  end
  return widths
end

local function padded(text, width, is_left)
  local space = (" "):rep(width - (utf8.len(text) or #text))
  return is_left and text .. space or space .. text
end

local function painted(text, row, i, first_column, marks, paint)
  local column = COLUMNS[i - first_column + 1]
  if row.entry and column and marks[row.entry][column.stat] == "best" then
    return paint(text, "green")
  end
  return text
end

local function legend(entries)
  local runs = entries[1].result.runs
  if #groups_of(entries) == #entries then
    return runs and ("medians of %d runs; ± half of the range between them"):format(runs)
  end
  local text = "* best of its column, of those that neither starve others, nor fail, nor are broken"
  if runs then
    text = text
      .. ("; ~ within the noise of the best\n  (the ranges of their %d runs overlap); " ..
      "medians; ± half of the range"):format(runs)
  end
  return text
end

--- The table, several lines. shown: color (whether to).
function comparison.text(entries, shown)
  local paint = color(shown.color)
  local swept_names = {}
  for i, point in ipairs(entries[1].swept or {}) do
    swept_names[i] = point.name
  end
  local marks = comparison.marks(entries)
  local rows = rows_of(entries, marks, swept_names)
  local widths = widths_of(rows)
  local first_column = 2 + #swept_names
  local lines = {}
  for _, row in ipairs(rows) do
    local texts = {}
    for i, text in ipairs(row) do
      texts[i] = painted(padded(text, widths[i], i == 1), row, i, first_column, marks, paint)
    end
    if row.notes and row.notes ~= "" then
      texts[#texts + 1] = paint(row.notes, row.entry.result.verified == false and "red" or "yellow")
    end
    lines[#lines + 1] = (table.concat(texts, "  "):gsub("%s+$", ""))
  end
  lines[#lines + 1] = legend(entries)
  return table.concat(lines, "\n") .. "\n"
end

return comparison
