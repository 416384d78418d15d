-- The page of --report: what was measured in tables and pictures, and all that is needed to measure
-- it again. It stands alone: its styles and its pictures are in it, no script runs, and nothing is
-- fetched.

local comparison = require "vlock.lab.show.comparison"
local core = require "vlock.core"
local figures = require "vlock.lab.measure.figures"
local verdict = require "vlock.lab.check.verdict"
local gnuplot = require "vlock.lab.plot.gnuplot"
local html = require "vlock.lab.show.html"
local json = require "vlock.text.json"
local measures = require "vlock.lab.measure.measures"
local names_of = require "vlock.text.names_of"
local picture = require "vlock.lab.plot.picture"
local page_style = require "vlock.lab.show.page_style"

local page = {}

local element, escaped = html.element, html.escaped
local grouped = figures.grouped

local function row_name(entry)
  return figures.name_of(entry, ", ")
end

local function section(title, inner)
  return element("section", { element("h2", escaped(title)), table.unpack(inner) })
end

local function facts(pairs_of_texts)
  local items = {}
  for _, pair in ipairs(pairs_of_texts) do
    items[#items + 1] = element("dt", escaped(pair[1])) .. element("dd", escaped(pair[2]))
  end
  return element("dl", items, { class = "facts" })
end

-- ---- the head

local function verdict_of(entries)
  local commits, is_whole = 0, true
  for _, entry in ipairs(entries) do
    for _, result in ipairs(entry.results) do
      commits = commits + result.commits
    end
    if entry.result.verified == false then
      local words = ("BROKEN: %s: %s"):format(row_name(entry), verdict.words(entry.result))
      return element("p", escaped(words), { class = "verdict broken" })
    end
    is_whole = is_whole and entry.result.verified == true
  end
  if not is_whole then
    return element("p", "not all of it could be verified", { class = "verdict open" })
  end
  return element("p",
    ("whole: each of the %s commits stands on the one before " ..
    "it"):format(grouped(commits)), { class = "verdict whole" })
end

local function title_of(entries)
  local labels, seen = {}, {}
  for _, entry in ipairs(entries) do
    if not seen[entry.label] then
      seen[entry.label] = true
      labels[#labels + 1] = entry.label
    end
  end
  if #labels > 4 then
    return ("%d policies under contention"):format(#labels)
  end
  return table.concat(labels, ", ") .. (#labels > 1 and ": side by side" or " under contention")
end

-- ---- tables

local function tiles(result)
  local items = {}
  for i, measure in ipairs(measures.having("tile")) do
    local value = measures.read(result, measure.path)
    items[i] = element("div", element("dt", measure.tile)
      .. element("dd", value and measure.show(value) or "-"))
  end
  return element("dl", items, { class = "tiles" })
end

local MARK_CLASSES = { best = "number best", ["within noise"] = "number near" }

local function compared_cell(entry, column, mark)
  local value = measures.read(entry.result, column.path)
  local spread = comparison.spread(entry.result, column)
  local text = value and element("b", column.show(value)) or "-"
  return html.figure(column.path, value,
    text .. (spread ~= "" and " " .. element("span", spread:sub(2), { class = "spread" })
      or ""), MARK_CLASSES[mark])
end

local function compared_row(entry, marks)
  local notes = comparison.notes(entry)
  local cells = { element("th", escaped(entry.label), { scope = "row", title = entry.label }) }
  for _, point in ipairs(entry.swept or {}) do
    cells[#cells + 1] = element("td", escaped(point.text), { class = "number" })
  end
  for _, column in ipairs(comparison.COLUMNS) do
    cells[#cells + 1] = compared_cell(entry, column, marks[entry][column.stat])
  end
  cells[#cells + 1] = element("td", escaped(table.concat(notes, "; ")),
    { class = entry.result.verified == false and "notes broken" or "notes" })
  return element("tr", cells, { ["data-entry"] = row_name(entry) })
end

-- What the marks mean; HTML.
local function legend(entries)
  local runs = entries[1].result.runs
  local words = { element("b", "best", { class = "best" })
    .. " of its column, of those that neither starve others, nor fail, nor are broken" }
  if runs then
    words[2] = element("b", "within the noise", { class = "near" })
      .. (" of the best: the ranges of their %d runs overlap"):format(runs)
    words[3] = "medians; ± half of the range between the runs"
  end
  return element("p", table.concat(words, "; "), { class = "legend" })
end

local function compared(entries)
  local marks, rows, heads = comparison.marks(entries), {}, { "policy" }
  for _, point in ipairs(entries[1].swept or {}) do
    heads[#heads + 1] = point.name .. "#"
  end
  for _, column in ipairs(comparison.COLUMNS) do
    heads[#heads + 1] = table.concat(column.column, " "):gsub("%s+$", ""):gsub(" /", "/") .. "#"
  end
  heads[#heads + 1] = ""
  for i, entry in ipairs(entries) do
    rows[i] = compared_row(entry, marks)
  end
  return section("Side by side", { html.table("Side by side", heads, rows), legend(entries) })
end

local function shown_figure(measure, value)
  if value == nil or value == json.null and measure.unit ~= "boolean" then
    return "-"
  end
  return escaped(measure.show(value))
end

--- The figures that at least one of the runs has.
local function of_the_runs(entries)
  local had = {}
  for _, measure in ipairs(measures.having("of_run")) do
    for _, entry in ipairs(entries) do
      for _, result in ipairs(entry.results) do
        had[measure] = had[measure] or measures.read(result, measure.path) ~= nil
      end
    end
    had[#had + 1] = had[measure] and measure or nil
  end
  return had
end

local function run_row(entry, number, result, columns)
  local name = row_name(entry)
  local cells = {
    element("th", escaped(name), { scope = "row", title = name }),
    element("td", tostring(number), { class = "number" }),
  }
  for _, measure in ipairs(columns) do
    local value = measures.read(result, measure.path)
    cells[#cells + 1] = html.figure(measure.path, value, shown_figure(measure, value))
  end
  return element("tr", cells, { ["data-run"] = name })
end

local MOST_OPEN = 12 -- rows that are shown unasked

local function every_run(entries)
  local rows, heads, columns = {}, { "policy", "run#" }, of_the_runs(entries)
  for _, measure in ipairs(columns) do
    heads[#heads + 1] = measure.head .. "#"
  end
  for _, entry in ipairs(entries) do
    for number, result in ipairs(entry.results) do
      rows[#rows + 1] = run_row(entry, number, result, columns)
    end
  end
  local title = #rows == 1 and "The run" or "Every run"
  return ("<details%s>%s\n%s</details>"):format(#rows <= MOST_OPEN and " open" or "",
    element("summary", element("h2", title)), html.table(title, heads, rows))
end

local function thresholds(entries)
  local rows = {}
  for _, entry in ipairs(entries) do
    for _, finding in ipairs(entry.result.require or {}) do
      local measured = type(finding.measured) == "number" and ("%.6g"):format(finding.measured)
        or tostring(finding.measured)
      rows[#rows + 1] = element("tr", {
        element("th", escaped(row_name(entry)), { scope = "row" }),
        element("td", escaped(finding.require)),
        element("td", escaped(measured), { class = "number" }),
        element("td", finding.met and "met" or "NOT MET",
          { class = finding.met and "" or "notes broken" }),
      })
    end
  end
  return #rows > 0 and section("What was required",
    { html.table("What was required", { "policy", "required", "measured#", "" }, rows) }) or ""
end

local function policies(entries)
  local rows = {}
  for i, entry in ipairs(entries) do
    local cells = { element("th", escaped(row_name(entry)),
      { scope = "row", title = row_name(entry) }) }
    for _, kind in ipairs { "retry", "backoff", "merge" } do
      cells[#cells + 1] = element("td", escaped(entry.result.policy.texts[kind]))
    end
    cells[#cells + 1] = element("td", escaped(entry.result.store))
    rows[i] = element("tr", cells)
  end
  return section("Policies",
    { html.table("Policies", { "policy", "retry", "backoff", "merge", "store" }, rows) })
end

-- ---- pictures

local function pictures(entries)
  local is_there, reason = gnuplot.find()
  if not is_there then
    return section("Pictures",
      { element("p", escaped("None: " .. reason .. "."), { class = "soft" }) })
  end
  local ok, list = pcall(picture.inline, entries)
  if not ok or #list == 0 then
    return section("Pictures",
      { element("p", escaped(ok and "None: nothing was committed." or "None: " .. tostring(list)),
      { class = "soft" }) })
  end
  local shown = {}
  for i, one in ipairs(list) do
    shown[i] = element("figure", {
      element("figcaption", escaped(one.title) .. element("span", escaped(one.hint))),
      one.svg,
    })
  end
  return section("Pictures", { element("div", shown, { class = "pictures" }) })
end

-- ---- the scenario, and how it was made

local function scenario_field(name, value)
  if type(value) ~= "number" then
    return tostring(value)
  elseif name == "duration" or name == "think" then
    return core.format_duration(value)
  end
  return value % 1 == 0 and grouped(value) or ("%.6g"):format(value)
end

local function scenario(entries)
  local common, shown = figures.common_scenario(entries), {}
  local names = names_of(common)
  for i, name in ipairs(names) do
    shown[i] = { (name:gsub("_", " ")), scenario_field(name, common[name]) }
  end
  return section("Scenario", { facts(shown) })
end

local function made_by(entries, about)
  local first = entries[1].result
  return section("To measure it again", {
    element("pre", element("code", escaped(about.command))),
    facts {
      { "seed", tostring(first.seed)
        .. (first.runs and (", and the %d after it, one for each run"):format(first.runs - 1)
        or "") },
      { "date", about.date },
      { "vlock", about.versions.vlock },
      { "server", (about.versions.server:find("^%d") and "redis " or "") .. about.versions.server
        .. (first.server.url and ", " .. first.server.url or "") },
      { "libraries", about.versions.libraries },
    },
  })
end

--- The page, a text. entries: vlock.lab.run.race; about: command, scenario, versions, date.
function page.text(entries, about)
  local title = title_of(entries)
  local is_table = #entries > 1 or entries[1].result.runs
  return table.concat({
    "<!DOCTYPE html>",
    '<html lang="en">',
    "<head>",
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    element("title", escaped("vlock: " .. title)),
    "<style>",
    page_style .. "</style>",
    "</head>",
    "<body>",
    element("header", { element("h1", escaped(title)),
      element("p", escaped(about.scenario), { class = "soft" }), verdict_of(entries) }),
    element("main", {
      #entries == 1 and tiles(entries[1].result) or "",
      is_table and compared(entries) or "",
      pictures(entries),
      thresholds(entries),
      every_run(entries),
      policies(entries),
      scenario(entries),
      made_by(entries, about),
    }),
    element("footer",
      escaped(("Written by vlockrun %s. An update is what a client wants done, from its " ..
      "beginning to its commit; an "
      .. "attempt is one compare-and-set."):format(about.versions.vlock))),
    "</body>",
    "</html>",
    "",
  }, "\n")
end

return page
