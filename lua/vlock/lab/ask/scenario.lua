-- What the lab is asked to do: how many workers update which keys, how often and for how long. From
-- the command line, and under it from the `scenario` table of a script.
--
-- workers, keys, connections   numbers; connections nil: one per worker, at most 64
-- dist                         how a worker chooses its key: see vlock.lab.ask.key_choice
-- commits | per_worker | duration   updates in all, of each worker, or seconds: one of them counts
-- think                        seconds between the updates of a worker, in a closed loop
-- rate                         updates a second that begin in all, whether earlier ones have ended
--                              or not: an open loop; nil: a closed one
-- combine                      true: workers that update the same key at the same time make one
--                              commit together (vlock.cell.combine)
-- value_size                   bytes of a value, of the default update; nil: no more than the
--                              counter takes
-- new_update()                 a worker's update function of its own, fn(value, worker); nil: the
--                              default

local cache = require "vlock.cell.cache"
local core = require "vlock.core"
local did_you_mean = require "vlock.text.did_you_mean"
local exit = require "vlock.command.exit"
local key_choice = require "vlock.lab.ask.key_choice"
local names_of = require "vlock.text.names_of"

local scenario = {}

local DEFAULTS = { workers = 50, keys = 1, dist = "uniform", commits = 10000, think = 0,
  combine = false }
local AMOUNTS = { "commits", "per_worker", "duration" }
local MOST_CONNECTIONS = 64 -- where nobody says how many

-- How each field is read, and the least that it can be.
local FIELDS = {
  workers = { read = core.count, least = 1, whole = true },
  keys = { read = core.count, least = 1, whole = true },
  connections = { read = core.count, least = 1, whole = true },
  commits = { read = core.count, least = 0, whole = true },
  per_worker = { read = core.count, least = 0, whole = true },
  duration = { read = core.duration, least = 0 },
  think = { read = core.duration, least = 0 },
  rate = { read = core.count, least = 1e-3 },
  -- Redis' limit of a string.
  value_size = { read = core.count, least = 0, most = 512 << 20, whole = true },
  dist = {},
  combine = {},
  update = {},
}

local switches = { [true] = true, [false] = false, yes = true, no = false, ["true"] = true,
  ["false"] = false }

local function read_switch(value, where)
  if switches[value] == nil then
    exit.usage("%s must be true or false, not %s", where, tostring(value))
  end
  return switches[value]
end

-- The value of one field, from a text of the command line or a value of a script; `where` begins
-- the message about it.
local function read_field(name, value, where)
  local field = FIELDS[name]
  if name == "dist" then
    return value
  elseif name == "combine" then
    return read_switch(value, where)
  end
  if type(value) == "string" then
    local number, reason = field.read(value)
    if not number then
      exit.usage("%s: %s", where, reason)
    end
    value = number
  end
  if type(value) ~= "number" or value ~= value or value == math.huge then
    exit.usage("%s must be a number, not %s", where, tostring(value))
  elseif value < field.least then
    exit.usage("%s must be at least %s", where, ("%.14g"):format(field.least))
  elseif field.most and value > field.most then
    exit.usage("%s must be at most %s", where, ("%.14g"):format(field.most))
  elseif field.whole and not math.tointeger(value) then
    exit.usage("%s must be a whole number, not %s", where, ("%.14g"):format(value))
  end
  return field.whole and math.tointeger(value) or value
end

local function from_script(own)
  local fields = {}
  for name, value in pairs(own) do
    if not FIELDS[name] then
      exit.usage("unknown field scenario.%s%s; there are: %s", tostring(name),
        did_you_mean(name, names_of(FIELDS)),
        table.concat(names_of(FIELDS), ", "))
    elseif name ~= "update" then
      fields[name] = read_field(name, value, "scenario." .. name)
    elseif type(value) ~= "function" then
      exit.usage("scenario.update must be a function, not %s", type(value))
    end
  end
  return fields
end

local function from_options(options)
  local fields = {}
  for name in pairs(FIELDS) do
    if options[name] then
      fields[name] = read_field(name, options[name], "--" .. name:gsub("_", "-"))
    end
  end
  local given = {}
  for _, name in ipairs(AMOUNTS) do
    given[#given + 1] = fields[name] and "--" .. name:gsub("_", "-")
  end
  if #given > 1 then
    exit.usage("%s and %s exclude each other: --commits in all, --per-worker for each, or " ..
      "--duration", given[1], given[2])
  end
  return fields
end

local function has_amount(fields)
  return fields.commits or fields.per_worker or fields.duration
end

-- Which of several amounts counts: a duration, then updates of each worker, then updates in all.
local function one_amount(fields)
  if fields.duration then
    fields.commits, fields.per_worker = nil, nil
  elseif fields.per_worker then
    fields.commits = nil
  end
end

-- Raises what does not go together.
local function check(fields)
  if fields.rate and fields.think > 0 then
    exit.usage("--rate (an open loop: updates begin when they are due) and --think (a closed " ..
      "one) exclude each other")
  end
  exit.refuse(exit.USAGE, key_choice.new, fields.dist, fields.keys)
end

--- The scenario that the command line and, under it, a script's own table ask for. defaults: what
-- else is not the usual, as { duration = 0.5 }. Raises a usage error.
function scenario.new(options, own, defaults)
  local fields = from_options(options)
  local below = from_script(own or {})
  if has_amount(fields) then
    for _, name in ipairs(AMOUNTS) do
      below[name] = nil
    end
  elseif not has_amount(below) and defaults then
    below.duration = defaults.duration
  end
  for _, layer in ipairs { below, DEFAULTS } do
    for name, value in pairs(layer) do
      if fields[name] == nil and not (name == "commits" and has_amount(fields)) then
        fields[name] = value
      end
    end
  end
  one_amount(fields)
  check(fields)
  return fields
end

--- The same scenario with one field changed, by its name on the command line ("per-worker") and a
-- text; nil where it has no such field.
function scenario.with(fields, option, text)
  local name = option:gsub("-", "_")
  if not FIELDS[name] or name == "update" then
    return nil
  end
  local changed = {}
  for key, value in pairs(fields) do
    changed[key] = value
  end
  changed[name] = read_field(name, text, "--sweep " .. option)
  if name == "commits" or name == "per_worker" or name == "duration" then
    for _, amount in ipairs(AMOUNTS) do
      changed[amount] = amount == name and changed[name] or nil
    end
  end
  check(changed)
  return changed
end

--- The names that `with` knows, as on the command line.
function scenario.names()
  local names = {}
  for _, name in ipairs(names_of(FIELDS)) do
    if name ~= "update" then
      names[#names + 1] = (name:gsub("_", "-"))
    end
  end
  return names
end

--- How many connections its workers share.
function scenario.connections(fields)
  return fields.connections or math.min(fields.workers, MOST_CONNECTIONS)
end

-- ---- the default update: a counter, which makes each value unique

local function count_up(value)
  return tostring(math.tointeger(tonumber(value) or 0) + 1)
end

-- What fills values up, by its length: all workers share it, and large ones take long to make.
local fillings = cache.new(16)

local function filling(length)
  local text = fillings:get(length)
  if not text then
    text = " " .. ("."):rep(length - 1)
    fillings:put(length, text)
  end
  return text
end

-- The same in a value of so many bytes: the number, a space, and dots to fill it up.
local function padded_counter(size)
  return function(value)
    local text = count_up(value and value:match("^%d+"))
    return #text < size and text .. filling(size - #text) or text
  end
end

--- A worker's update function: fn(value, worker's number).
function scenario.update_of(fields)
  if fields.new_update then
    return fields.new_update()
  end
  return fields.value_size and padded_counter(fields.value_size) or count_up
end

--- What of it stands in a result.
function scenario.shown(fields)
  return {
    workers = fields.workers,
    keys = fields.keys,
    dist = fields.dist,
    commits = fields.commits,
    per_worker = fields.per_worker,
    duration = fields.duration,
    think = fields.think,
    rate = fields.rate,
    value_size = fields.value_size,
    connections = scenario.connections(fields),
    combine = fields.combine,
  }
end

return scenario
