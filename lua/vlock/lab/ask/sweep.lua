-- `--sweep NAME=A,B,C`: the same run once for each value of a field of the scenario (workers, keys,
-- rate …) or of a parameter of the policies (as for -p). Several sweeps make a grid.

local exit = require "vlock.command.exit"
local core = require "vlock.core"
local policy = require "vlock.policy.policy"
local scenarios = require "vlock.lab.ask.scenario"

local sweep = {}

local MOST = 2

local is_amount = { commits = true, ["per-worker"] = true, duration = true } -- of which one counts

-- A value for an axis: a number where the text is one (a duration in seconds), else nil.
local function number_of(text)
  return (core.count(text)) or (core.duration(text)) or nil
end

local function values_of(text, name, list)
  local texts, known = {}, {}
  for value in (list .. ","):gmatch("([^,]*),") do
    local meant = number_of(value) or value
    if value == "" then
      exit.usage("--sweep '%s': a value is missing between two commas", text)
    elseif known[meant] then
      exit.usage("--sweep %s: %s stands there twice%s", name, known[meant], known[meant] == value
        and "" or ", as " .. value)
    end
    known[meant] = value
    texts[#texts + 1] = value
  end
  return texts
end

--- Reads the --sweep options: a list of { name, texts }.
function sweep.parse(options)
  local sweeps, seen = {}, {}
  for i, text in ipairs(options) do
    local name, list = text:match("^([%w_.-]+)=(.+)$")
    if not name then
      exit.usage("--sweep '%s': say NAME=VALUE,VALUE: workers=1,10,50", text)
    end
    name = name:gsub("_", "-")
    local kind = is_amount[name] and "amount" or name
    if seen[kind] then
      exit.usage(seen[kind] == name and "--sweep %s stands there twice"
        or "--sweep %s and --sweep %s exclude each other", seen[kind], name)
    end
    seen[kind] = name
    sweeps[i] = { name = name, texts = values_of(text, name, list) }
  end
  if #sweeps > MOST then
    exit.usage("--sweep: at most %d of them, which make a grid", MOST)
  end
  return sweeps
end

local function with_parameter(entrant, name, text)
  local where = "--sweep " .. name
  local override = exit.refuse(exit.USAGE, policy.override, (name:gsub("%-", "_")), text, where,
    true)
  local ok, result = pcall(entrant.with_parameter, entrant, override)
  if ok then
    return result
  elseif result:sub(1, #where) ~= where then
    exit.usage("%s: %s", where, result) -- the parameter is there, its value is not right
  end
  local near = core.nearest(name, scenarios.names())
  return exit.usage("%s%s; of the scenario there are: %s", result, near
    and (" (did you mean '%s'?)"):format(near) or "",
    table.concat(scenarios.names(), ", "))
end

local function with_value(lane, name, text)
  local scenario = scenarios.with(lane.scenario, name, text)
  local swept = table.move(lane.swept or {}, 1, #(lane.swept or {}), 1, {})
  swept[#swept + 1] = { name = name, text = text, value = number_of(text),
    is_scenario = scenario ~= nil }
  return {
    entrant = scenario and lane.entrant or with_parameter(lane.entrant, name, text),
    scenario = scenario or lane.scenario,
    swept = swept,
  }
end

--- Every lane once for every point of the grid: lanes as vlock.lab.run.race takes them. Raises a
-- usage error.
function sweep.expand(lanes, sweeps)
  for _, one in ipairs(sweeps) do
    local expanded = {}
    for _, lane in ipairs(lanes) do
      for _, text in ipairs(one.texts) do
        expanded[#expanded + 1] = with_value(lane, one.name, text)
      end
    end
    lanes = expanded
  end
  return lanes
end

return sweep
