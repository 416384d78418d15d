-- Parameters of policies: declared with their defaults, given by name, checked by name and type.
--
-- A default says what the parameter is: a text that is a duration ("2ms") makes it a duration, which reaches the function in seconds;
-- any other text, a text; a number, a count ("10k" is accepted); true or false, a switch. A table says more: {default = …, min = …,
-- max = …, doc = …}.

local core = require "vlock.core"

local params = {}

local function declaration_of(declared)
  if type(declared) ~= "table" then
    declared = { default = declared }
  end
  local default = declared.default
  local kind = type(default)
  if kind == "string" and core.duration(default) then
    kind = "duration"
  end
  return kind, default, declared
end

local function convert(kind, value)
  if kind == "duration" then
    if type(value) == "number" then
      return value -- seconds
    elseif type(value) == "string" then
      return core.duration(value)
    end
    return nil, "must be a duration like 2ms"
  elseif kind == "number" then
    if type(value) == "string" then
      return core.count(value)
    end
    return type(value) == "number" and value or nil, "must be a number"
  elseif kind == "boolean" then
    if value == "true" or value == "yes" then
      return true
    elseif value == "false" or value == "no" then
      return false
    end
    if type(value) == "boolean" then
      return value
    end
    return nil, "must be true or false"
  elseif kind == "string" then
    if type(value) == "string" then
      return value
    end
    return nil, "must be a text"
  end
  return value
end

local function check_range(declared, kind, value)
  if kind ~= "duration" and kind ~= "number" then
    return
  end
  if value ~= value or value < 0 and not declared.min then
    return "must not be negative"
  end
  local least = declared.min and convert(kind, declared.min)
  local most = declared.max and convert(kind, declared.max)
  if least and value < least then
    return "must be at least " .. tostring(declared.min)
  elseif most and value > most then
    return "must be at most " .. tostring(declared.max)
  end
end

--- The names that are declared, sorted.
function params.names(declared)
  local names = {}
  for name in pairs(declared or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- What the function gets: every declared parameter, as given or by default. `where` begins the message of the error that an unknown
-- name or a bad value raises.
function params.resolve(declared, given, where)
  local resolved = {}
  declared = declared or {}
  for name in pairs(given or {}) do
    if declared[name] == nil then
      local names = params.names(declared)
      local near = core.nearest(tostring(name), names)
      error(("%s: unknown parameter '%s'%s; %s"):format(where, tostring(name),
        near and (", did you mean '%s'?"):format(near) or "",
        #names > 0 and "there are: " .. table.concat(names, ", ") or "it has none"), 0)
    end
  end
  for name, declared_as in pairs(declared) do
    local kind, default, full = declaration_of(declared_as)
    local value = given and given[name]
    if value == nil then
      value = default
    end
    local converted, reason = convert(kind, value)
    if converted == nil then
      error(("%s: parameter '%s': %s"):format(where, name, reason), 0)
    end
    reason = check_range(full, kind, converted)
    if reason then
      error(("%s: parameter '%s' is %s: it %s"):format(where, name, tostring(value), reason), 0)
    end
    resolved[name] = converted
  end
  return resolved
end

return params
