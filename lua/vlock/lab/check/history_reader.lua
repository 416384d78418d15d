-- Reads histories (vlock.lab.check.history_writer writes them; lua/vlock/lab/README.md describes
-- every field), line by line, and refuses what is not one: with the line, and what is wrong with
-- it.

local figures = require "vlock.lab.measure.figures"
local history_writer = require "vlock.lab.check.history_writer"
local json = require "vlock.text.json"

local history_reader = {}

local Reader = {}
Reader.__index = Reader

function Reader:fail(...)
  error(("%s:%d: %s"):format(self.name, self.line, string.format(...)), 0)
end

-- ---- lines

local is_of = {
  text = function(value)
    return type(value) == "string"
  end,
  number = function(value)
    return type(value) == "number"
  end,
  whole = function(value)
    return type(value) == "number" and math.tointeger(value) ~= nil
  end,
  boolean = function(value)
    return type(value) == "boolean"
  end,
  object = function(value)
    return type(value) == "table"
  end,
}

local NAMES = { text = "a text", number = "a number", whole = "a whole number",
  boolean = "true or false", object = "an object" }

-- Every kind of line, by its first field: the fields that it must have, and those that may be null
-- or absent.
local KINDS = {
  history = {
    must = { history = "text", format = "whole", vlockrun = "text", run = "whole", label = "text",
      policy = "object", store = "text",
      server = "object", scenario = "object", seed = "number", counter = "boolean" },
    may = { identity = "text", not_verified = "text", merges = "boolean" },
  },
  first = { must = { first = "text" }, may = { stamp = "text", value = "text" } },
  attempt = {
    must = { attempt = "text", worker = "whole", outcome = "text", token = "text", start = "number",
      ["end"] = "number" },
    may = { base = "text", base_value = "text", made = "text", value = "text",
      found = "text", found_value = "text", base_version = "whole", version = "whole" },
  },
  read = {
    must = { read = "text", worker = "whole", start = "number", ["end"] = "number" },
    may = { stamp = "text", value = "text" },
  },
  last = { must = { last = "text" }, may = { stamp = "text", value = "text" } },
  ["end"] = { must = { ["end"] = "whole", attempts = "whole", interrupted = "boolean",
    seconds = "number" }, may = { reads = "whole" } }, -- format 1 has no reads
}
-- The last ones are rare; an attempt and a read have an `end` too.
local ORDER = { "attempt", "read", "first", "last", "end", "history" }

local function kind_of(reader, entry)
  for _, kind in ipairs(ORDER) do
    if entry[kind] ~= nil then
      return kind
    end
  end
  reader:fail("no line of a history: it has none of history, first, attempt, read, last, end")
end

local function check_fields(reader, entry, kind)
  for name, form in pairs(KINDS[kind].must) do
    if not is_of[form](entry[name]) then
      reader:fail("%s: '%s' must be %s", kind, name, NAMES[form])
    end
  end
  for name, form in pairs(KINDS[kind].may) do
    local value = entry[name]
    if value == json.null then
      entry[name] = nil
    elseif value ~= nil and not is_of[form](value) then
      reader:fail("%s: '%s' must be %s or null", kind, name, NAMES[form])
    end
  end
end

local function parse(reader, text)
  if text:sub(-1) ~= "\n" then
    reader:fail("it ends in the middle of a line: the history was cut off")
  end
  local ok, entry = pcall(json.decode_fast, text)
  if not ok then
    reader:fail("no JSON: %s", tostring(entry):gsub("^.-:%d+: ", ""))
  elseif type(entry) ~= "table" then
    reader:fail("no object")
  end
  local kind = kind_of(reader, entry)
  check_fields(reader, entry, kind)
  return kind, entry
end

-- ---- what stands where

local IDENTITIES = { stamp = true, value = true }

local function begin(reader, entry)
  if reader.run then
    reader:fail("a run begins before that of line %d has ended", reader.run.line)
  elseif entry.history ~= "vlock" then
    reader:fail("a history of '%s', not of vlock", entry.history)
  elseif entry.format < 1 or entry.format > history_writer.FORMAT then
    reader:fail("format %d is not known; this vlockrun reads 1 to %d",
      math.tointeger(entry.format), history_writer.FORMAT)
  elseif entry.identity and not IDENTITIES[entry.identity] then
    reader:fail("identity '%s' is not known; there are stamp and value", entry.identity)
  elseif not entry.identity and not entry.not_verified then
    reader:fail("without an identity it must say why, in not_verified")
  elseif not pcall(figures.scenario, entry.scenario) then
    reader:fail("history: 'scenario' lacks a field, or has one of another type")
  end
  reader.run = { line = reader.line, header = entry, attempts = 0, reads = 0, keys = {} }
  reader.sink.begin(entry, reader.line)
end

local function need_stamp(reader, entry, name)
  if reader.run.header.identity == "stamp" and not entry[name] then
    reader:fail("the states of this run are told apart by their stamps, and here '%s' is null",
      name)
  end
end

local function first(reader, entry)
  if reader.run.keys[entry.first] then
    reader:fail("a second first state of key '%s'", entry.first)
  end
  need_stamp(reader, entry, "stamp")
  reader.run.keys[entry.first] = "begun"
  reader.sink.first(entry)
end

-- That a key may have a line here, which makes it a touched one.
local function check_key(reader, key)
  local state = reader.run.keys[key]
  if state ~= "begun" and state ~= "touched" then
    reader:fail(state and "key '%s' had its last state already" or "key '%s' has no first state",
      key)
  end
  reader.run.keys[key] = "touched"
end

local OUTCOMES = { committed = true, conflict = true, unknown = true, error = true }

local function check_span(reader, entry)
  if entry.start > entry["end"] then
    reader:fail("it ends before it starts")
  end
end

local function attempt(reader, entry)
  check_key(reader, entry.attempt)
  check_span(reader, entry)
  if not OUTCOMES[entry.outcome] then
    reader:fail("outcome '%s' is not known; there are committed, conflict, unknown, error",
      entry.outcome)
  end
  need_stamp(reader, entry, "base")
  if entry.outcome == "committed" then
    need_stamp(reader, entry, "made")
  end
  if entry.version and not entry.base_version then
    reader:fail("a version, and no base_version")
  end
  reader.run.attempts = reader.run.attempts + 1
  reader.sink.attempt(entry, reader.line)
end

local function read(reader, entry)
  check_key(reader, entry.read)
  check_span(reader, entry)
  need_stamp(reader, entry, "stamp")
  reader.run.reads = reader.run.reads + 1
  reader.sink.read(entry, reader.line)
end

local function last(reader, entry)
  check_key(reader, entry.last)
  need_stamp(reader, entry, "stamp")
  reader.run.keys[entry.last] = "ended"
  reader.sink.last(entry, reader.line)
end

local function finish(reader, entry)
  for key, state in pairs(reader.run.keys) do
    -- A run that somebody interrupted does not look at what it never touched.
    if state == "touched" or state == "begun" and not entry.interrupted then
      reader:fail("the run ends, and key '%s' has no last state", key)
    end
  end
  if entry.attempts ~= reader.run.attempts then
    reader:fail("the run had %d attempts, and %d stand here: lines are missing",
      math.tointeger(entry.attempts), reader.run.attempts)
  elseif (entry.reads or 0) ~= reader.run.reads then
    reader:fail("the run had %d reads, and %d stand here: lines are missing",
      math.tointeger(entry.reads or 0), reader.run.reads)
  end
  reader.run = nil
  reader.sink.finish(entry)
end

--- What a line that `read` took says: its fields, of which those that are null are not there.
function history_reader.fields(text)
  local entry = json.decode_fast(text)
  for name, value in pairs(entry) do
    if value == json.null then
      entry[name] = nil
    end
  end
  return entry
end

local TAKE = { history = begin, first = first, attempt = attempt, read = read, last = last,
  ["end"] = finish }

--- Reads the runs of a history from an open file and hands what it says to `sink`, whose functions
-- are called in this order: begin(header, line), first(entry), attempt(entry, line) and read(entry,
-- line), last(entry, line), finish(entry). `name`: what the file is called in messages. Raises
-- "NAME:LINE: what is wrong", a file without any run included.
function history_reader.read(file, name, sink)
  local reader = setmetatable({ name = name, sink = sink, line = 0 }, Reader)
  for text in file:lines("L") do
    reader.line = reader.line + 1
    local kind, entry = parse(reader, text)
    if kind ~= "history" and not reader.run then
      reader:fail("no run has begun: a run begins with a line {\"history\": …}")
    end
    TAKE[kind](reader, entry)
  end
  if reader.run then
    reader:fail("the run that begins in line %d has no end: the history was cut off",
      reader.run.line)
  elseif reader.line == 0 then
    error(("%s: it is empty: no history"):format(name), 0)
  end
end

return history_reader
