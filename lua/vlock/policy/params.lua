-- Parameters of policies: declared with their defaults, given by name, checked by name and type.
--
-- A default says what the parameter is: a text that is a duration ("2ms") makes it a duration,
-- which reaches the function in seconds, and may also be given in round trips ("2rtt"); any other
-- text, a text; a number, a count ("10k" is
-- accepted); true or false, a switch. A table says more: {default = …, min = …, max = …, doc = …,
-- check = function(value) return what is wrong with it, or nil end}; with a check, the type is the
-- check's to judge.

local cache = require "vlock.cell.cache"
local core = require "vlock.core"
local json = require "vlock.text.json"
local did_you_mean = require "vlock.text.did_you_mean"

local params = {}

local ATTRIBUTES = { "default", "min", "max", "doc", "check" }
local is_attribute = {}
for _, name in ipairs(ATTRIBUTES) do
  is_attribute[name] = true
end

-- ---- durations in round trips

local UNMEASURED = 0.001 -- seconds: what stands for a round trip before the first one

local Trips = {}
Trips.__index = Trips

-- So many round trips: count, and the least and the most seconds that they may come to, or nil.
local function trips_of(text)
  local count = text:match("^(%d*%.?%d+)rtt$")
  return count and setmetatable({ count = tonumber(count) }, Trips)
end

function Trips:__tostring()
  return ("%.14grtt"):format(self.count)
end

function Trips:seconds(rtt)
  local seconds = self.count * (rtt > 0 and rtt or UNMEASURED)
  return math.min(math.max(seconds, self.min or 0), self.max or math.huge)
end

--- Gives the parameters that are so many round trips their values, in seconds. trips: as `resolve`
-- returns them. rtt: what a round trip takes now, in seconds; 0: nobody knows yet.
function params.measure(values, trips, rtt)
  for name, duration in next, trips do
    values[name] = duration:seconds(rtt)
  end
end

-- ---- kinds

local converters = {}

function converters.duration(value)
  if type(value) == "string" then
    local trips = trips_of(value)
    if trips then
      return trips
    end
    local seconds, reason = core.duration(value)
    return seconds, reason and reason .. ", or 2rtt, in round trips"
  end
  -- A number is seconds.
  return type(value) == "number" and value or nil, "must be a duration like 2ms, or seconds"
end

function converters.number(value)
  if type(value) == "string" then
    return core.count(value)
  end
  return type(value) == "number" and value or nil, "must be a number"
end

local switches = { ["true"] = true, yes = true, ["false"] = false, no = false, [true] = true,
  [false] = false }

function converters.boolean(value)
  return switches[value], "must be true or false"
end

function converters.string(value)
  return type(value) == "string" and value or nil, "must be a text"
end

function converters.checked(value)
  return value
end

local function kind_of(default, check)
  if check then
    return "checked"
  elseif type(default) == "string" and (core.duration(default) or trips_of(default)) then
    return "duration"
  end
  return type(default)
end

-- What a file declares of one parameter, or what is wrong with that.
local function declaration_of(declared)
  if type(declared) ~= "table" then
    declared = { default = declared }
  end
  for name in pairs(declared) do
    if not is_attribute[name] then
      return nil, ("is declared with an unknown '%s'%s; there are: %s"):format(tostring(name),
        did_you_mean(name, ATTRIBUTES),
        table.concat(ATTRIBUTES, ", "))
    end
  end
  if declared.check ~= nil and type(declared.check) ~= "function" then
    return nil, "is declared with a check that is no function"
  elseif declared.default == nil then
    return nil, "is declared without a default"
  end
  local kind = kind_of(declared.default, declared.check)
  local convert = converters[kind]
  if not convert then
    return nil, "is declared with a default that is neither a text, a number, true nor false"
  end
  local full = { convert = convert, default = declared.default, check = declared.check,
    ranged = kind == "duration" or kind == "number" }
  for _, bound in ipairs { "min", "max" } do
    if declared[bound] ~= nil then
      full[bound], full.shown = full.ranged and convert(declared[bound]) or nil, declared
      if type(full[bound]) ~= "number" then
        return nil, ("is declared with a %s that is not of its kind: %s"):format(bound,
          tostring(declared[bound]))
      end
    end
  end
  return full
end

local function check_range(full, value)
  if not full.ranged then
    return
  elseif getmetatable(value) == Trips then
    value.min, value.max = full.min, full.max -- it is kept within them
    return
  end
  if value ~= value or value < 0 and not full.min then
    return "must not be negative"
  elseif full.min and value < full.min then
    return "must be at least " .. tostring(full.shown.min)
  elseif full.max and value > full.max then
    return "must be at most " .. tostring(full.shown.max)
  end
end

--- The names that are declared, sorted.
function params.names(declared)
  local names = {}
  for name in pairs(declared or {}) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  return names
end

--- Raises: there is no parameter of this name.
function params.fail_unknown(name, names, where)
  error(("%s: unknown parameter '%s'%s; %s"):format(where, tostring(name),
    did_you_mean(name, names),
    #names > 0 and "there are: " .. table.concat(names, ", ") or "it has none"), 0)
end

-- What plain defaults ("2ms", 20) come to: thousands of workers of the lab ask for the same.
local plain_values = cache.new(256)

-- What one parameter comes to; or nil and what is wrong with it, as it goes on behind the
-- parameter's name.
local function value_of(declared, given)
  local known = given == nil and plain_values:get(declared)
  if known then
    return known
  end
  local full, reason = declaration_of(declared)
  if not full then
    return nil, " " .. reason
  end
  local value = given
  if value == nil then
    value = full.default
  end
  local converted
  converted, reason = full.convert(value)
  if converted == nil then
    return nil, ": " .. reason
  end
  reason = check_range(full, converted)
  if reason then
    return nil, (" is %s: it %s"):format(tostring(value), reason)
  end
  reason = full.check and full.check(converted)
  if reason and type(reason) ~= "string" then
    return nil, (" has a check that returned %s: it must return a text that says what is wrong, " ..
      "or nil"):format(type(reason) == "boolean" and tostring(reason) or "a " .. type(reason))
  elseif reason then
    return nil, ": " .. reason
  end
  if given == nil and type(declared) ~= "table" and converted then
    plain_values:put(declared, converted)
  end
  return converted
end

--- A parameter's value as reports hold it, without passwords: a number, true, false, or a text. A
-- table is shown as JSON; where JSON has no word for it, it is said what it is.
function params.shown(value)
  local kind = type(value)
  if getmetatable(value) == Trips then
    return tostring(value)
  elseif kind == "number" then
    return value - value == 0 and value or ("%.14g"):format(value)
  elseif kind == "string" then
    return core.hidden(value)
  elseif kind == "boolean" then
    return value
  end
  local ok, text = pcall(json.encode, value)
  return kind == "table" and ok and core.hidden(text) or "a " .. kind
end

--- The same as people write it: a duration with its unit.
function params.text(declared, value)
  local default = type(declared) == "table" and declared.default or declared
  if type(value) == "number" then
    local is_duration = kind_of(default, type(declared) == "table" and declared.check) == "duration"
    return is_duration and math.abs(value) < 9e9 and core.format_duration(value)
      or ("%.14g"):format(value)
  end
  return tostring(params.shown(value))
end

--- What the function gets: every declared parameter, as given or by default; and those that are so
-- many round trips, by name, for `measure`, or nil where none is. `where` begins the message of the
-- error that an unknown name, a bad value or a bad declaration raises.
function params.resolve(declared, given, where)
  local resolved, trips = {}, nil
  declared = declared or {}
  for name in pairs(given or {}) do
    if declared[name] == nil then
      params.fail_unknown(name, params.names(declared), where)
    end
  end
  for name, declared_as in pairs(declared) do
    if type(name) ~= "string" then
      error(("%s: the name of a parameter must be a text, not %s"):format(where, tostring(name)), 0)
    end
    local value, reason = value_of(declared_as, given and given[name])
    if value == nil then
      error(("%s: parameter '%s'%s"):format(where, tostring(name), reason), 0)
    end
    if getmetatable(value) == Trips then
      trips = trips or {}
      trips[name], value = value, value:seconds(0)
    end
    resolved[name] = value
  end
  return resolved, trips
end

return params
