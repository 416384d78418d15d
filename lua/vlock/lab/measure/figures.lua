-- Figures and scenarios in words, as reports, tables and pictures show them.

local core = require "vlock.core"

local figures = {}

--- 1234567 -> "1,234,567"; rounded.
function figures.grouped(number)
  local text = ("%.0f"):format(number)
  local sign, digits = text:match("^(-?)(%d+)$")
  return sign .. digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
end

local grouped = figures.grouped

--- 1.5 -> "1.5ms": a time in milliseconds, with its unit.
function figures.ms(value)
  return core.format_duration(value / 1000)
end

--- 2.345 -> "2.35"
function figures.two_digits(value)
  return ("%.2f"):format(value)
end

-- A number, or the numbers that a sweep goes through, as a text.
local function shown(number)
  if type(number) == "string" then
    return number
  end
  return number % 1 == 0 and grouped(number) or ("%.6g"):format(number)
end

local function shown_time(seconds)
  return type(seconds) == "string" and seconds or core.format_duration(seconds)
end

--- "1 key", "3 keys".
function figures.counted(number, noun)
  return ("%s %s%s"):format(shown(number), noun, number == 1 and "" or "s")
end

local function amount(scenario)
  if scenario.duration then
    return shown_time(scenario.duration)
  elseif scenario.per_worker then
    return shown(scenario.per_worker) .. " updates each"
  end
  return shown(scenario.commits) .. " updates"
end

--- "50 workers on 1 key, 50 connections, 10,000 updates". s: a result's scenario; a field that is
-- swept is a text, "1/10/50".
function figures.scenario(s)
  local words = {
    ("%s on %s%s"):format(figures.counted(s.workers, "worker"), figures.counted(s.keys, "key"),
      s.keys ~= 1 and " (" .. s.dist .. ")" or ""),
    figures.counted(s.connections, "connection"),
    amount(s),
  }
  if s.rate then
    words[#words + 1] = ("open loop of %s updates/s"):format(shown(s.rate))
  elseif s.think ~= 0 then
    words[#words + 1] = shown_time(s.think) .. " think time"
  end
  if s.combine == true then
    words[#words + 1] = "combined"
  end
  if s.value_size then
    words[#words + 1] = ("values of %s bytes"):format(shown(s.value_size))
  end
  return table.concat(words, ", ")
end

--- What the runs were made on: the server's version, or "simulated (aws)".
function figures.server(result)
  local sim = result.sim
  if type(sim) == "table" and sim.model then
    return ("simulated (%s)"):format(sim.model)
  end
  return result.server.version
end

-- Every value that a field of the scenario has among these entries, as texts.
local function values_of(entries, name)
  local texts, seen = {}, {}
  for _, entry in ipairs(entries) do
    local text = tostring(entry.result.scenario[name])
    for _, point in ipairs(entry.swept or {}) do
      text = point.name:gsub("-", "_") == name and point.text or text -- as it was written
    end
    if not seen[text] then
      seen[text] = true
      texts[#texts + 1] = text
    end
  end
  return texts
end

--- The scenario of several entries: a field that is swept has all its values.
function figures.common_scenario(entries)
  local common = {}
  for name, value in pairs(entries[1].result.scenario) do
    local texts = values_of(entries, name)
    common[name] = #texts == 1 and value or table.concat(texts, "/")
  end
  return common
end

--- The points of sweeps in words: "workers=10". from: the first of them that counts.
function figures.points(swept, from)
  local words = {}
  for i = from or 1, #(swept or {}) do
    words[#words + 1] = swept[i].name .. "=" .. swept[i].text
  end
  return words
end

--- What tells an entry from the others: its label, and where it stands in the sweeps.
function figures.name_of(entry, separator)
  return table.concat({ entry.label, table.unpack(figures.points(entry.swept)) }, separator)
end

return figures
