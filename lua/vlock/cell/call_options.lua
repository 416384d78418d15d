-- The options of get, compare_and_set, update and delete, checked: each by its name and its type.
-- Times are seconds, or texts like "2ms".

local core = require "vlock.core"
local misuse = require "vlock.script.misuse"
local did_you_mean = require "vlock.text.did_you_mean"
local names_of = require "vlock.text.names_of"

local LONGEST = 3153600000 -- seconds: a hundred years, the core script's limit

local function refuse(name, wanted, value)
  misuse("option '%s' must be %s, not %s", name, wanted, type(value) == "string"
    and ("'%s'"):format(value) or tostring(value))
end

local function seconds(name, value)
  local number = value
  if type(value) == "string" then
    number = core.duration(value)
  end
  if type(number) ~= "number" or not (number >= 0 and number <= LONGEST) then
    refuse(name, "a time: seconds from 0 to a hundred years, or a text like \"2ms\"", value)
  end
  return number
end

local function whole_seconds(name, value)
  return math.tointeger(seconds(name, value)) or refuse(name,
    "a whole number of seconds, or a text like \"100s\"", value)
end

local function positive_seconds(name, value)
  local number = seconds(name, value)
  return number > 0 and number or refuse(name, "a time above 0", value)
end

-- One of these types, as it is.
local function of(types, said)
  return function(name, value)
    return types[type(value)] and value or refuse(name, said, value)
  end
end

local part = of({ string = true, table = true, ["function"] = true },
  "a name, a table or a function")
local text_or_table = of({ string = true, table = true }, "a name or a table")

local function switch(name, value)
  if type(value) ~= "boolean" then
    refuse(name, "true or false", value)
  end
  return value
end

local function one_of(...)
  local words = { ... }
  return function(name, value)
    for _, word in ipairs(words) do
      if value == word then
        return value
      end
    end
    refuse(name, ("'%s'"):format(table.concat(words, "' or '")), value)
  end
end

local READERS = {
  retry = part,
  backoff = part,
  merge = part,
  -- A whole one: a table, a name, a file "mine.lua", or what vlock.policy returned.
  policy = text_or_table,
  store = text_or_table,
  codec = text_or_table,
  expire = whole_seconds, -- lifetime of the version record
  version_key = of({ string = true }, "a text"),
  ttl = positive_seconds, -- of the value
  deadline = seconds, -- of an update
  receipts = seconds, -- for how long a write can be sent again; 0: not at all
  combine = switch,
  read_from = one_of("primary", "replica"), -- the state that an update begins with, and get's
}

local NAMES = names_of(READERS)

local options = { names = NAMES } -- sorted

local function refuse_name(name)
  misuse("unknown option '%s'%s; there are: %s", tostring(name), did_you_mean(name, NAMES),
    table.concat(NAMES, ", "))
end

--- The options as the rest of the library takes them, times in seconds. Raises what is wrong, at
-- the script's call.
function options.read(opts)
  if type(opts) ~= "table" then
    misuse("the options must be a table, not %s", type(opts))
  end
  local read = {}
  for name, value in pairs(opts) do
    local reader = READERS[name] or refuse_name(name)
    read[name] = reader(name, value)
  end
  if read.policy and (read.retry or read.backoff or read.merge) then
    misuse("option 'policy' is a whole policy: it excludes '%s'", read.retry and "retry"
      or read.backoff and "backoff" or "merge")
  end
  return read
end

return options
