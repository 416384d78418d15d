-- `--sweep NAME=A,B,C`: the same run once for each value of a field of the scenario (workers, keys, rate …) or of a parameter of the
-- policies (as for -p). Several sweeps make a grid.

local exit = require "vlock.exit"
local core = require "vlock.core"
local scenarios = require "vlock.lab.scenario"

local sweep = {}

local MOST = 2

local is_amount = { commits = true, ["per-worker"] = true, duration = true } -- of which one counts

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
      exit.usage(seen[kind] == name and "--sweep %s stands there twice" or "--sweep %s and --sweep %s exclude each other", seen[kind], name)
    end
    seen[kind] = name
    local texts = {}
    for value in (list .. ","):gmatch("([^,]*),") do
      if value == "" then
        exit.usage("--sweep '%s': a value is missing between two commas", text)
      end
      texts[#texts + 1] = value
    end
    sweeps[i] = { name = name, texts = texts }
  end
  if #sweeps > MOST then
    exit.usage("--sweep: at most %d of them, which make a grid", MOST)
  end
  return sweeps
end

-- A value for an axis: a number where the text is one (a duration in seconds), else nil.
local function number_of(text)
  return (core.count(text)) or (core.duration(text)) or nil
end

local function with_value(lane, name, text)
  local scenario = scenarios.with(lane.scenario, name, text)
  local entrant = lane.entrant
  if not scenario then
    entrant = exit.refuse(exit.USAGE, entrant.with_parameter, entrant, ("%s=%s"):format(name:gsub("%-", "_"), text))
  end
  local swept = table.move(lane.swept or {}, 1, #(lane.swept or {}), 1, {})
  swept[#swept + 1] = { name = name, text = text, value = number_of(text), is_scenario = scenario ~= nil }
  return { entrant = entrant, scenario = scenario or lane.scenario, swept = swept }
end

-- A name that is neither a field of the scenario nor a parameter of a policy: what it may have meant.
local function refuse_name(one, reason)
  local near = core.nearest(one.name, scenarios.names())
  reason = reason:gsub("^%-p [^ ]*: ", "")
  exit.usage("--sweep %s: %s%s; of the scenario there are: %s", one.name, reason, near and (" (did you mean '%s'?)"):format(near) or "",
    table.concat(scenarios.names(), ", "))
end

--- Every lane once for every point of the grid: lanes as vlock.lab.race takes them. Raises a usage error.
function sweep.expand(lanes, sweeps)
  for _, one in ipairs(sweeps) do
    local expanded = {}
    for _, lane in ipairs(lanes) do
      for _, text in ipairs(one.texts) do
        local ok, result = pcall(with_value, lane, one.name, text)
        if not ok then
          local reason = type(result) == "table" and result.message or tostring(result)
          if reason:find("^%-%-") then
            exit.usage("%s", reason)
          end
          refuse_name(one, reason)
        end
        expanded[#expanded + 1] = result
      end
    end
    lanes = expanded
  end
  return lanes
end

return sweep
