-- The files that vlockrun leaves of what it measured: a picture (--plot), a page (--report),
-- percentiles (--hgrm). Each is looked at before anything runs, so that nothing that was measured
-- is lost to a name that cannot be written, and written when all has run.

local core = require "vlock.core"
local figures = require "vlock.lab.measure.figures"
local output_paths = require "vlock.lab.show.output_paths"
local say = require "vlock.command.say"

local files = {}

local function write(path, bytes)
  if output_paths.was_read(path) then
    error(("cannot write %s: it is a file that this run has read"):format(path), 0)
  end
  local file, reason = io.open(path, "wb")
  if not file then
    error("cannot write " .. reason, 0)
  end
  local ok
  ok, reason = file:write(bytes)
  local is_closed, close_reason = file:close()
  if not (ok and is_closed) then
    error(("cannot write %s: %s"):format(path, reason or close_reason), 0)
  end
  say("wrote %s", path)
end

-- ---- one file of percentiles for each policy and swept value

local function name_of(entry)
  return figures.name_of(entry, ".")
end

-- "out.hgrm" -> "out.full_jitter.hgrm"
local function path_of(path, name)
  local stem, ending = path:match("^(.*[^/])(%.[^./]*)$")
  return ("%s.%s%s"):format(stem or path, name:gsub("[^%w_.+@=-]", "_"), ending or "")
end

-- A path for each lane, or entry: the one that was asked for where there is but one of them.
local function paths_of(path, list)
  local paths, seen = {}, {}
  for i, one in ipairs(list) do
    local name = name_of(one)
    local own = #list == 1 and path or path_of(path, name)
    seen[own] = (seen[own] or 0) + 1
    paths[i] = seen[own] == 1 and own or path_of(path, name .. "." .. seen[own])
  end
  return paths
end

local function named(lane)
  return { label = lane.entrant.label, swept = lane.swept }
end

-- ---- the kinds: prepare(path, lanes, targets) raises what stands against it, and returns
-- write(entries, about)

local kinds = {}

function kinds.plot(path, _, targets)
  local picture = require "vlock.lab.plot.picture"
  local terminal = picture.prepare(path)
  targets:add("plot", path)
  return function(entries, about)
    write(path, picture.of(entries, about, terminal))
  end
end

function kinds.report(path, _, targets)
  local page = require "vlock.lab.show.page"
  targets:add("report", path)
  return function(entries, about)
    write(path, page.text(entries, about))
  end
end

function kinds.hgrm(path, lanes, targets)
  local hgrm = require "vlock.lab.show.hgrm"
  local names = {}
  for i, lane in ipairs(lanes) do
    names[i] = named(lane)
  end
  local paths, by_name = paths_of(path, names), {}
  for i, name in ipairs(names) do
    targets:add("hgrm", paths[i])
    by_name[name_of(name)] = paths[i]
  end
  return function(entries)
    for _, entry in ipairs(entries) do
      write(by_name[name_of(entry)], hgrm.text(entry.latencies, name_of(entry)))
    end
  end
end

local NAMES = { "plot", "report", "hgrm" }

-- The command that repeats it: the one that was typed, with the seed that was used.
local function again(options)
  return options.seed and options.line or options.line:gsub("^vlockrun",
    ("vlockrun --seed %d"):format(core.seed))
end

-- What a run of these lanes reads.
local function inputs_of(options, lanes)
  local inputs = { { "its standard input", "/dev/stdin" } }
  for name, what in pairs { password_file = "the password file", cacert = "the CA's certificate",
    cert = "the client's certificate", cert_key = "its key" } do
    inputs[#inputs + 1] = options[name] and { what, options[name] }
  end
  for _, lane in ipairs(lanes) do
    local one = lane.entrant
    if one.context.where then
      inputs[#inputs + 1] = { "a policy", one.context.where }
    end
    if one.store_name:find("%.lua$") then
      inputs[#inputs + 1] = { "a store", one.store_name }
    end
  end
  return inputs
end

--- What the options ask for, checked, the history too. Raises a usage error. lanes:
-- vlock.lab.run.race.
function files.prepare(options, lanes)
  local asked = { command = again(options) }
  local targets = output_paths.new(inputs_of(options, lanes))
  local ok, reason = pcall(function()
    if options.history then
      targets:add("history", options.history)
    end
    if options.trace then
      targets:add("trace", options.trace)
    end
    for _, name in ipairs(NAMES) do
      if options[name] then
        asked[#asked + 1] = kinds[name](options[name], lanes, targets)
      end
    end
  end)
  targets:finish()
  if not ok then
    error(reason, 0)
  end
  return asked
end

-- What pictures and pages say beside the figures.
local function about_of(entries, command)
  local first = entries[1].result
  local scenario = figures.scenario(figures.common_scenario(entries))
  return {
    command = command,
    scenario = scenario,
    heading = ("%s; server %s, seed %d"):format(scenario, figures.server(first), first.seed),
    versions = { vlock = core.version, server = figures.server(first), libraries = core.libraries },
    date = os.date("%Y-%m-%d %H:%M:%S %z"),
  }
end

--- Writes what was asked for; whether all of it could be. What could not is said on standard error.
function files.write(asked, entries)
  local is_whole = true
  local about = #asked > 0 and about_of(entries, asked.command)
  for _, write_one in ipairs(asked) do
    local ok, reason = pcall(write_one, entries, about)
    if not ok then
      say("%s", tostring(type(reason) == "table" and reason.message or reason))
      is_whole = false
    end
  end
  return is_whole
end

return files
