-- How a run goes while it goes, on standard error: a bar that moves, on a terminal, or a line every
-- so often.

local core = require "vlock.core"
local figures = require "vlock.lab.measure.figures"
local lab_core = require "vlock.lab_core"

local progress = {}

local BAR = 24 -- columns
local STEP = 0.1 -- seconds between two pictures of the bar

-- The part of the run that is done, 0 to 1.
local function part_done(run, seconds)
  local scenario = run.scenario
  if scenario.duration then
    return math.min(seconds / scenario.duration, 1)
  end
  local wanted = scenario.per_worker and scenario.per_worker * scenario.workers or scenario.commits
  return wanted > 0 and math.min(run.commits / wanted, 1) or 1
end

local function conflict_percent(calls, commits)
  return calls > 0 and math.max(calls - commits, 0) / calls * 100 or 0
end

local function bar_line(run, turn)
  local seconds = core.now() - run.started
  local part = part_done(run, seconds)
  local full = math.floor(part * BAR)
  local name = turn.count > 1 and ("%d/%d %s "):format(turn.number, turn.count, turn.label) or ""
  return ("\r%s[%s%s] %3d%%  %s commits/s  %.0f%% conflicts\27[K"):format(name, ("#"):rep(full),
    ("-"):rep(BAR - full),
    math.floor(part * 100), figures.grouped(seconds > 0 and run.commits / seconds
      or 0), conflict_percent(run.recorder:calls(), run.commits))
end

-- Calls `show` every `seconds` until the returned function is called.
local function every(seconds, show)
  local task = core.spawn(function()
    while true do
      core.sleep(seconds)
      show()
    end
  end)
  return function()
    task:cancel()
  end
end

--- Shows a bar that moves until the returned function is called.
function progress.bar(run, turn)
  local stop = every(STEP, function()
    if run.started then
      io.stderr:write(bar_line(run, turn))
    end
  end)
  return function()
    stop()
    io.stderr:write("\r\27[K")
  end
end

local function interval_line(run, before, turn)
  local seconds = core.now() - before.at
  local commits, calls = run.commits - before.commits, run.recorder:calls() - before.calls
  local latency = run.recent:count() == 0 and "no commits"
    or ("p50 %s  p99 %s"):format(core.format_duration(run.recent:percentile(50)),
      core.format_duration(run.recent:percentile(99)))
  return ("%s%7.1fs  %9s commits/s  %3.0f%% conflicts  %s\n"):format(turn.count > 1 and turn.label
    .. " " or "", core.now() - run.started,
    figures.grouped(commits / seconds), conflict_percent(calls, commits), latency)
end

--- Writes a line every `seconds` on what happened since the last one, until the returned function
-- is called.
function progress.lines(seconds)
  return function(run, turn)
    local before = { at = core.now(), commits = 0, calls = 0 }
    return every(seconds, function()
      if run.started then
        io.stderr:write(interval_line(run, before, turn))
        before = { at = core.now(), commits = run.commits, calls = run.recorder:calls() }
        run.recent = lab_core.histogram()
      end
    end)
  end
end

return progress
