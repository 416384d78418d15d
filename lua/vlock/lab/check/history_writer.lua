-- Histories: what every run of the lab saw and did, as JSON lines, written while it goes
-- (--history). lua/vlock/lab/README.md describes every field; vlock.lab.check.history_reader reads
-- them. A run is a header, the first state of every key, a line for each attempt and each read, the
-- last state of every key, and an end; several runs follow one another.

local core = require "vlock.core"
local json = require "vlock.text.json"
local lab_core = require "vlock.lab_core"
local record_file = require "vlock.text.record_file"

local now = core.now

-- LOST: what stands for a value that nobody knows. A value that begins with # is never written as
-- it is.
local history_writer = { FORMAT = 2, LOST = "#lost", BEGINNING = '{"history":"vlock","format":' }

local LONGEST_TEXT = 64 -- bytes of a value or a stamp that is written as it is

-- A text as JSON. What is long or not plain ASCII is written as #HASH:BYTES: a run of large values
-- would make a history of nothing else.
local function quoted(text, is_lost)
  if is_lost then
    return '"' .. history_writer.LOST .. '"'
  elseif text == nil then
    return "null"
  elseif #text > LONGEST_TEXT or text:find("^#") or text:find('[%c"\\\127-\255]') then
    return ('"#%s:%d"'):format(lab_core.id(text), #text)
  end
  return '"' .. text .. '"'
end

local History = {}
History.__index = History

local Run = {}
Run.__index = Run

--- A new history in this file; one that is there is overwritten. Raises where it cannot be written.
function history_writer.create(path)
  local file = record_file.create(path, "history", history_writer.BEGINNING)
  return setmetatable({ file = file, runs = 0 }, History)
end

--- Writes out what is still in memory. Raises where that fails, or has failed before.
function History:close()
  self.file:close()
end

--- One more run in it. about: the fields of its header, a table: label, policy, store, server,
-- scenario, seed.
function History:run(about)
  self.runs = self.runs + 1
  about.run = self.runs
  about.vlockrun = core.version
  return setmetatable({ file = self.file, about = about, attempts = 0, reads = 0, began = now() },
    Run)
end

--- Writes the header. identity: how its states are told apart ("stamp", "value"; nil: they cannot
-- be, and `reason` says why); is_counter: whether each update adds one to a
-- number; merges: whether the server merges.
function Run:begin(identity, reason, is_counter, merges)
  self.about.identity = identity or json.null
  self.about.not_verified = reason
  self.about.counter = is_counter
  self.about.merges = merges or nil
  self.file:write(history_writer.BEGINNING, history_writer.FORMAT, ",",
    json.encode(self.about):sub(2), "\n")
end

--- What stands before the first attempt: state is { value, stamp }.
function Run:first(key, state)
  self.file:write(('{"first":%s,"stamp":%s,"value":%s}\n'):format(json.encode(key),
    quoted(state.stamp), quoted(state.value)))
end

-- Versions, where the store has them.
local function versions(base, made)
  return made.version and ('"base_version":%d,"version":%d,'):format(base.version, made.version)
    or ""
end

local ATTEMPT = '{"attempt":"%s","worker":%d,"outcome":"%s","base":%s,"base_value":%s,' ..
  '"made":%s,"value":%s,%s%s"token":"%s","start":%.6f,"end":%.6f}\n'
local READ = '{"read":"%s","worker":%d,"stamp":%s,"value":%s,"start":%.6f,"end":%.6f}\n'
local END = '{"end":%d,"attempts":%d,"reads":%d,"interrupted":%s,"seconds":%.6f}\n'

-- What stood there instead, where the store said it.
local function finding(found)
  return found and ('"found":%s,"found_value":%s,'):format(quoted(found.stamp),
    quoted(found.value)) or ""
end

--- One attempt: outcome "committed", "conflict", "unknown" or "error"; base, made and found are {
-- value, stamp, version }, found nil where nothing is known of what a conflict met; started, ended:
-- when it began and when its outcome was known, as core.now() says it.
function Run:attempt(key, worker, outcome, base, made, found, token, started, ended)
  self.attempts = self.attempts + 1
  self.file:write(ATTEMPT:format(key, worker, outcome, quoted(base.stamp),
    quoted(base.value, base.is_lost), quoted(made.stamp), quoted(made.value, made.is_lost),
    versions(base, made), finding(found), token,
    started - self.began, ended - self.began))
end

--- One read, and what it found.
function Run:read(key, worker, value, stamp, started, ended)
  self.reads = self.reads + 1
  self.file:write(READ:format(key, worker, quoted(stamp), quoted(value), started - self.began,
    ended - self.began))
end

--- Has what was written so far reach the file: whatever becomes of this process, it stands there.
function Run:flush()
  self.file:flush()
end

--- What stands after the last attempt.
function Run:last(key, state)
  self.file:write(('{"last":%s,"stamp":%s,"value":%s}\n'):format(json.encode(key),
    quoted(state.stamp), quoted(state.value)))
end

--- The run is complete.
function Run:finish(is_interrupted)
  self.file:write(END:format(self.about.run, self.attempts, self.reads, tostring(is_interrupted),
    now() - self.began))
end

return history_writer
