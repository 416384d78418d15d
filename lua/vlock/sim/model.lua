-- Models of a network and a server, as files: found, checked, and put into the words of
-- vlock.sim_core. A model returns a table:
--
-- doc             a line about it
-- server          "redis" (default; vlock.sim.redis_server) or "register" (vlock.sim.register)
-- delay           of one hop: see below
-- service         how long the server takes for a command, one after the other: a duration, or a
--                 table of durations by the commands' names, `default` for all others; default: 0
-- ordered         true: messages of a connection do not overtake each other
-- timeout         how long a client waits for a reply; default: 10s
-- conflict_value  false: a conflict does not tell what stands there; default: true
-- faults          probabilities of each message, by their names: lost_request, lost_reply (nothing
--                 comes), cut_request, cut_reply (the connection ends), late_request (it ends, and
--                 the command arrives all the same, `lateness` later, which is given as a delay is)
-- stall           { at, every, takes }: the server stands still
-- failover        { at, every, takes, forgets }: another server takes over, which lacks what was
--                 written in the last `forgets`
-- defaults        retry, backoff, merge: what policies leave out
--
-- A delay is a duration, always the same; or { "uniform", from, to }; { "normal", mean, deviation,
-- minimum }, of which what is less than the minimum is drawn again; { "folded", mean, deviation },
-- |Normal|; { "lognormal", median, sigma }; { "exponential", mean, minimum }; { "quantiles", least,
-- …, greatest }, measured ones at equal steps of probability.

local chunk = require "vlock.policy.chunk"
local core = require "vlock.core"
local did_you_mean = require "vlock.text.did_you_mean"
local names_of = require "vlock.text.names_of"
local search = require "vlock.policy.search"

local model = {}

local FAULTS = { "lost_request", "lost_reply", "cut_request", "cut_reply", "late_request" }
local LONGEST = 1e6 -- seconds, of any time in a model

local function fail(where, ...)
  error(("%s: %s"):format(where, string.format(...)), 0)
end

local function shown(value)
  return type(value) == "string" and ("'%s'"):format(value) or tostring(value)
end

local function check_names(fields, known, where)
  for name in pairs(fields) do
    if not known[name] then
      local names = names_of(known)
      fail(where, "unknown field '%s'%s; there are: %s", tostring(name),
        did_you_mean(tostring(name), names), table.concat(names, ", "))
    end
  end
end

local function check_table(value, where)
  if type(value) ~= "table" then
    fail(where, "must be a table, not %s", shown(value))
  end
  return value
end

local function seconds(value, where)
  local number = value
  if type(value) == "string" then
    number = core.duration(value)
  end
  if type(number) ~= "number" or not (number >= 0 and number <= LONGEST) then
    fail(where, "must be a duration like \"2ms\", from 0 to %g s, not %s", LONGEST, shown(value))
  end
  return number
end

local function number_from_0(value, where)
  if type(value) ~= "number" or not (value >= 0 and value < 100) then
    fail(where, "must be a number from 0 to 100, not %s", shown(value))
  end
  return value
end

-- ---- distributions

-- By kind: its parameters, in the order of sim_core's a and b, each with what reads it; minimum: it
-- may have one.
local KINDS = {
  constant = { { "of", seconds } },
  uniform = { { "from", seconds }, { "to", seconds } },
  normal = { { "mean", seconds }, { "deviation", seconds }, minimum = true },
  folded = { { "mean", seconds }, { "deviation", seconds } },
  lognormal = { { "median", seconds }, { "sigma", number_from_0 } },
  exponential = { { "mean", seconds }, minimum = true },
}
local KIND_NAMES = { "constant", "exponential", "folded", "lognormal", "normal", "quantiles",
  "uniform" }

local function read_quantiles(value, where)
  local quantiles, texts = {}, {}
  for i = 2, #value do
    quantiles[i - 1] = seconds(value[i], ("%s, quantile %d"):format(where, i - 1))
    texts[i - 1] = core.format_duration(quantiles[i - 1])
    if i > 2 and quantiles[i - 1] < quantiles[i - 2] then
      fail(where, "quantiles must rise: %s stands behind %s", texts[i - 1], texts[i - 2])
    end
  end
  if #quantiles < 2 then
    fail(where, "quantiles: at least two, the least and the greatest")
  end
  return { kind = "quantiles", quantiles = quantiles,
    text = ("quantiles (%s … %s)"):format(texts[1], texts[#texts]) }
end

local function read_kind(value, kind, where)
  local read, known, texts = { kind = kind }, { true }, {}
  for i, parameter in ipairs(KINDS[kind]) do
    local name, reader = parameter[1], parameter[2]
    if value[name] == nil then
      fail(where, "%s needs %s", kind, name)
    end
    known[name] = true
    read[i == 1 and "a" or "b"] = reader(value[name], where .. "." .. name)
    texts[i] = name .. "=" .. tostring(value[name])
  end
  if KINDS[kind].minimum then
    known.minimum = true
    read.minimum = seconds(value.minimum or 0, where .. ".minimum")
    texts[#texts + 1] = value.minimum and "minimum=" .. tostring(value.minimum) or nil
  end
  check_names(value, known, where)
  read.text = ("%s (%s)"):format(kind, table.concat(texts, ", "))
  return read
end

local function read_delay(value, where)
  if type(value) ~= "table" then
    local constant = seconds(value, where)
    return { kind = "constant", a = constant, text = core.format_duration(constant) }
  end
  local kind = value[1]
  local read
  if kind == "quantiles" then
    return read_quantiles(value, where)
  elseif not KINDS[kind] then
    fail(where, "a delay is a duration, or begins with its kind, not %s%s; there are: %s",
      shown(kind), did_you_mean(tostring(kind), KIND_NAMES), table.concat(KIND_NAMES, ", "))
  end
  read = read_kind(value, kind, where)
  if kind == "uniform" and read.b < read.a then
    fail(where, "uniform: from must not be more than to")
  elseif kind == "normal" and read.minimum > read.a + 3 * read.b then
    fail(where, "normal: the minimum is so far above the mean that hardly anything reaches it")
  end
  return read
end

-- ---- the other fields

local readers = {}

function readers.doc(value, where)
  return type(value) == "string" and value or fail(where, "must be a text, not %s", shown(value))
end

function readers.server(value, where)
  if value ~= "redis" and value ~= "register" then
    fail(where, "must be \"redis\" or \"register\", not %s", shown(value))
  end
  return value
end

local function switch(value, where)
  if type(value) ~= "boolean" then
    fail(where, "must be true or false, not %s", shown(value))
  end
  return value
end

readers.delay, readers.ordered, readers.conflict_value = read_delay, switch, switch

function readers.timeout(value, where)
  local read = seconds(value, where)
  return read > 0 and read or fail(where, "must be more than 0")
end

function readers.service(value, where)
  if type(value) ~= "table" then
    return { default = seconds(value, where) }
  end
  local read = { default = 0 }
  for name, time in pairs(value) do
    if type(name) ~= "string" then
      fail(where, "durations by the commands' names, not by %s", shown(name))
    end
    read[name == "default" and name or name:upper()] = seconds(time, where .. "." .. name)
  end
  return read
end

function readers.faults(value, where)
  local known, read, sums = { lateness = true }, {}, { request = 0, reply = 0 }
  for _, name in ipairs(FAULTS) do
    known[name] = true
  end
  check_names(check_table(value, where), known, where)
  for _, name in ipairs(FAULTS) do
    local chance = value[name] or 0
    if type(chance) ~= "number" or not (chance >= 0 and chance <= 1) then
      fail(where .. "." .. name, "must be a probability from 0 to 1, not %s", shown(chance))
    end
    local of = name:match("_(.*)")
    read[name], sums[of] = chance, sums[of] + chance
    if sums[of] > 1 then
      fail(where, "what happens to a %s is more than certain: the probabilities add up to %g", of,
        sums[of])
    end
  end
  if read.late_request > 0 or value.lateness ~= nil then
    read.lateness = read_delay(value.lateness == nil and "1s" or value.lateness,
      where .. ".lateness")
  end
  return read
end

local function outage(more)
  return function(value, where)
    local known = { at = true, every = true, takes = true }
    known[more or "at"] = true
    check_names(check_table(value, where), known, where)
    local read = {}
    for name in pairs(known) do
      read[name] = seconds(value[name] or 0, where .. "." .. name)
    end
    if read.at == 0 and read.every == 0 then
      fail(where, "says when: at, or every, or both")
    elseif read.every > 0 and read.every <= read.takes then
      fail(where, "takes longer than the time to the next one")
    end
    return read
  end
end

readers.stall, readers.failover = outage(), outage("forgets")

function readers.defaults(value, where)
  check_names(check_table(value, where), { retry = true, backoff = true, merge = true }, where)
  return value
end

local KNOWN = {}
for name in pairs(readers) do
  KNOWN[name] = true
end

--- A model from its table, checked. `where` begins the messages about it.
function model.new(spec, where)
  check_names(check_table(spec, where), KNOWN, where)
  local read = { server = "redis", service = { default = 0 }, ordered = false, timeout = 10,
    conflict_value = true, faults = {}, defaults = {}, delay = read_delay(0, where) }
  for name, reader in pairs(readers) do
    if spec[name] ~= nil then
      read[name] = reader(spec[name], ("%s: %s"):format(where, name))
    end
  end
  return read
end

--- The model of this name, or in this file (a name that ends in .lua). Raises on anything that is
-- not there or is broken.
function model.find(name)
  local context = search.context(".")
  local text, path
  if name:find("%.lua$") then
    path = name
    local reason
    text, reason = search.read_file(path)
    if not text then
      error("cannot read the model: " .. reason, 0)
    end
  else
    text, path = search.find(context, "model", name)
    if not text then
      search.fail(context, "model", name)
    end
  end
  local read = model.new(chunk.compile(text, path, {})(), path)
  read.name = path:match("([^/]*)%.lua$")
  return read
end

--- What vlock.sim_core's `begin` takes.
function model.settings(read, seed)
  local settings = { seed = seed, delay = read.delay, ordered = read.ordered,
    timeout = read.timeout, stall = read.stall, failover = read.failover }
  for name, value in pairs(read.faults) do
    settings[name] = value
  end
  return settings
end

--- What stands of it in a result.
function model.shown(read)
  local faults = {}
  for _, name in ipairs(FAULTS) do
    local chance = read.faults[name]
    faults[name] = chance and chance > 0 and chance or nil
  end
  if read.faults.lateness then
    faults.lateness = read.faults.lateness.text
  end
  return {
    model = read.name,
    server = read.server,
    delay = read.delay.text,
    service = read.service,
    ordered = read.ordered,
    timeout = read.timeout,
    conflict_value = read.conflict_value,
    faults = next(faults) and faults or nil,
    stall = read.stall,
    failover = read.failover,
  }
end

return model
