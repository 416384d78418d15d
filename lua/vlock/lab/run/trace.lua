-- What the workers of a run did and when, in Chrome's trace format, which Perfetto
-- (https://ui.perfetto.dev) and chrome://tracing open: a process for each run, a track for each
-- worker, a span for each update, and in it spans for attempts, reads and sleeps.
-- (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU, "Complete
-- Events")

local core = require "vlock.core"
local json = require "vlock.text.json"

local now = core.now

local trace = {}

local BEGINNING = '{"displayTimeUnit":"ms","traceEvents":['
local BUFFER = 65536 -- bytes

local File = {}
File.__index = File

local Run = {}
Run.__index = Run

local function fail(path, reason)
  error(("cannot write the trace %s: %s"):format(path, tostring(reason):gsub("^.*: ", "")), 0)
end

-- Somebody's policy is not overwritten by a slip of the hand.
local function check_that_it_may_go(path)
  local file, reason = io.open(path, "a+")
  if not file then
    fail(path, reason)
  end
  local size = file:seek("end")
  local start = size and size > 0 and file:seek("set") and file:read(#BEGINNING)
  file:close()
  if start and start ~= BEGINNING then
    error(("%s is there and is no trace: it is not overwritten"):format(path), 0)
  end
end

--- A new trace in this file; one that is there is overwritten. Raises where it cannot be written.
function trace.create(path)
  check_that_it_may_go(path)
  local file, reason = io.open(path, "w")
  if not file then
    fail(path, reason)
  end
  file:setvbuf("full", BUFFER)
  local self = setmetatable({ path = path, file = file, runs = 0, separator = "\n" }, File)
  self:write_text(BEGINNING)
  return self
end

-- What cannot be written costs no run: `close` says why.
function File:write_text(...)
  local ok, reason = self.file:write(...)
  self.failure = self.failure or not ok and reason or nil
end

-- One event: a text of JSON.
function File:write_event(text)
  self:write_text(self.separator, text)
  self.separator = ",\n"
end

--- Writes the end of it. Raises where that, or anything before, could not be written.
function File:close()
  self:write_text("\n]}\n")
  local ok, reason = self.file:close()
  if self.failure or not ok then
    fail(self.path, self.failure or reason)
  end
end

--- One more run in it, from now on, of so many workers.
function File:run(label, workers)
  self.runs = self.runs + 1
  local run = setmetatable({ file = self, number = self.runs, began = now() }, Run)
  run:name("process_name", 0, ("run %d: %s"):format(self.runs, label))
  for worker = 1, workers do
    run:name("thread_name", worker, ("worker %d"):format(worker))
  end
  return run
end

function Run:name(what, worker, text)
  self.file:write_event(('{"name":"%s","ph":"M","pid":%d,"tid":%d,"args":{"name":%s}}'):format(what,
    self.number, worker, json.encode(text)))
end

-- A span of a worker, from then till now.
function Run:span(name, worker, started, arguments)
  local ended = now()
  self.file:write_event(('{"name":"%s","ph":"X","pid":%d,"tid":%d,"ts":%.3f,"dur":%.3f,"args":%s}')
    :format(name, self.number, worker, (started - self.began) * 1e6, (ended - started) * 1e6,
      arguments))
end

--- An update of a worker has ended. outcome: a text.
function Run:update(worker, key, started, outcome)
  self:span("update", worker, started, ('{"key":%s,"outcome":%s}'):format(json.encode(key),
    json.encode(outcome)))
end

--- For a worker's session: its observe and observe_read (methods of it) and sleep, with spans for
-- what they are told of. Each is called after what is handed in.
function Run:attempts(observe)
  return function(session, cell, base, value, token, started, copies, action, ...)
    observe(session, cell, base, value, token, started, copies, action, ...)
    self:span("attempt", session.worker, started, ('{"outcome":"%s","copies":%d,"token":%s}')
      :format(action, copies, json.encode(token)))
  end
end

function Run:reads(observe)
  return function(session, cell, value, stamp, started)
    observe(session, cell, value, stamp, started)
    self:span("read", session.worker, started, "{}")
  end
end

function Run:sleeps(worker, sleep)
  return function(seconds)
    local started = now()
    sleep(seconds)
    self:span("sleep", worker, started, ('{"asked_ms":%.6f}'):format(seconds * 1000))
  end
end

return trace
