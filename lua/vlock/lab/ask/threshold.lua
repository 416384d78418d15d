-- What `--require` asks of a run: "p99<20ms", "commits_per_second>=5k", "fairness.jain>0.8",
-- "verified==true". A field is named as in the JSON; a few have short names. A time may have a
-- unit; without one it is in the field's own: milliseconds in latency_ms, else seconds.

local core = require "vlock.core"
local exit = require "vlock.command.exit"
local json = require "vlock.text.json"
local measures = require "vlock.lab.measure.measures"
local did_you_mean = require "vlock.text.did_you_mean"
local statistics = require "vlock.lab.measure.statistics"

local threshold = {}

-- Every field that a threshold may be set on, by its path: the unit of the figure. SHORT: by other
-- names, the path.
local FIELDS, SHORT = {}, {}
for _, measure in ipairs(measures.all) do
  FIELDS[measure.path] = measure.unit
  for _, name in ipairs(measure.short or {}) do
    SHORT[name] = measure.path
  end
  for _, statistic in ipairs(measure.stat and statistics.STATISTICS or {}) do
    FIELDS[("stats.%s.%s"):format(measure.stat, statistic)] = measure.unit -- stats.p99.max
  end
end

local PER_SECOND = { s = 1, ms = 1000 }

local compare = {
  ["<"] = function(a, b) return a < b end,
  ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end,
  ["=="] = function(a, b) return a == b end,
  ["!="] = function(a, b) return a ~= b end,
}
compare["="], compare["~="] = compare["=="], compare["!="]

local function refuse_field(name, text)
  local names = {}
  for _, known in ipairs { SHORT, FIELDS } do
    for field in pairs(known) do
      names[#names + 1] = field
    end
  end
  table.sort(names)
  exit.usage("--require '%s': the result has no field '%s'%s; there are: %s", text, name,
    did_you_mean(name, names),
    table.concat(names, ", "))
end

local function limit_of(kind, word, text)
  if kind == "boolean" then
    if word ~= "true" and word ~= "false" then
      exit.usage("--require '%s': this field is true or false", text)
    end
    return word == "true"
  end
  local limit, reason
  if PER_SECOND[kind] and not tonumber(word) then
    limit, reason = core.duration(word)
    limit = limit and limit * PER_SECOND[kind]
  else
    limit, reason = core.count(word)
  end
  return limit or exit.usage("--require '%s': %s", text, reason)
end

--- Reads one expression; raises a usage error.
function threshold.parse(text)
  local name, operator, word = text:match("^%s*([%w_.]+)%s*([<>=!~]+)%s*(%S+)%s*$")
  if not name or not compare[operator] then
    exit.usage("--require '%s': say FIELD, one of < <= > >= == !=, and a value: p99<20ms", text)
  end
  local field = SHORT[name] or name
  local kind = FIELDS[field] or refuse_field(name, text)
  if kind == "boolean" and operator ~= "==" and operator ~= "=" and operator ~= "!="
    and operator ~= "~=" then
    exit.usage("--require '%s': this field is true or false, which only == and != compare", text)
  end
  return { text = text, field = field, kind = kind, is_met_by = compare[operator],
    limit = limit_of(kind, word, text) }
end

--- Measures a result against thresholds: a list of { require = text, measured, met }, as the JSON
-- has it. What was not measured (a latency, where nothing was committed) is not met.
function threshold.check(thresholds, result)
  local findings = {}
  for i, one in ipairs(thresholds) do
    local measured = measures.read(result, one.field)
    local is_there = type(measured) == (one.kind == "boolean" and "boolean" or "number")
    if not is_there then
      measured = json.null
    end
    findings[i] = { require = one.text, measured = measured, met = is_there
      and one.is_met_by(measured, one.limit) }
  end
  return findings
end

local function shown(one, measured)
  if measured == json.null then
    return "not measured"
  elseif one.kind == "ms" or one.kind == "s" then
    return core.format_duration(measured / PER_SECOND[one.kind])
  elseif type(measured) == "boolean" then
    return tostring(measured)
  end
  return ("%.6g"):format(measured)
end

--- The findings in words, a list of { text, met }: "p99<20ms: 3.2ms".
function threshold.texts(thresholds, findings)
  local texts = {}
  for i, finding in ipairs(findings) do
    texts[i] = { text = ("%s: %s"):format(finding.require, shown(thresholds[i], finding.measured)),
      met = finding.met }
  end
  return texts
end

return threshold
