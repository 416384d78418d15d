-- What the workers of a run did and when, in Chrome's trace format, which Perfetto
-- (https://ui.perfetto.dev) and chrome://tracing open: a process for each run, a track for each
-- worker, a span for each update, and in it spans for attempts, reads and sleeps.
-- (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU, "Complete
-- Events")

local core = require "vlock.core"
local json = require "vlock.text.json"
local record_file = require "vlock.text.record_file"

local now = core.now

local trace = {}

local BEGINNING = '{"displayTimeUnit":"ms","traceEvents":['

local Trace = {}
Trace.__index = Trace

local Run = {}
Run.__index = Run

--- A new trace in this file; one that is there is overwritten. Raises where it cannot be written.
function trace.create(path)
  local file = record_file.create(path, "trace", BEGINNING)
  file:write(BEGINNING)
  return setmetatable({ file = file, runs = 0, separator = "\n" }, Trace)
end

-- One event: a text of JSON.
function Trace:write_event(text)
  self.file:write(self.separator, text)
  self.separator = ",\n"
end

--- Writes the end of it. Raises where that, or anything before, could not be written.
function Trace:close()
  self.file:write("\n]}\n")
  self.file:close()
end

--- One more run in it, from now on, of so many workers.
function Trace:run(label, workers)
  self.runs = self.runs + 1
  local run = setmetatable({ trace = self, number = self.runs, began = now() }, Run)
  run:name("process_name", 0, ("run %d: %s"):format(self.runs, label))
  for worker = 1, workers do
    run:name("thread_name", worker, ("worker %d"):format(worker))
  end
  return run
end

function Run:name(what, worker, text)
  self.trace:write_event(('{"name":"%s","ph":"M","pid":%d,"tid":%d,"args":{"name":%s}}')
    :format(what, self.number, worker, json.encode(text)))
end

-- A span of a worker, from then till now.
function Run:span(name, worker, started, arguments)
  local ended = now()
  self.trace:write_event(('{"name":"%s","ph":"X","pid":%d,"tid":%d,"ts":%.3f,"dur":%.3f,"args":%s}')
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
