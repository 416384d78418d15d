-- When a worker begins its updates. In a closed loop: as soon as the last one has ended, and it has
-- thought. In an open loop: when they are due, at the arrivals of a Poisson process, however long
-- earlier ones take. Whichever worker is free takes the next arrival; one that had to wait for a
-- worker is late, and its latency counts from when it was due. So a server that stands still for a
-- while is seen by all that would have come meanwhile, and not by one update per worker only
-- ("coordinated omission", G. Tene).

local core = require "vlock.core"

local now, sleep = core.now, core.sleep
local LONGEST_SLEEP = 0.05 -- seconds: so long until an interrupt is heeded
-- The random stream of arrivals: not a policy's, so that they are the same for every policy.
local ARRIVALS = -1

local MOST_DRAWN = 10000 -- arrivals that are counted one by one
local MOST_BEHIND = 0.01 -- of the updates that were due

local arrivals = {}

local function is_stopped(run)
  return run.interrupt.reason or run.fatal
end

-- Sleeps until `due`, or until the run is stopped; returns the seconds that are left.
local function sleep_until(run, due)
  local left = due - now()
  while left > 0 and not is_stopped(run) do
    sleep(run.world and left or math.min(left, LONGEST_SLEEP)) -- virtual time goes by at once
    left = due - now()
  end
  return left
end

-- ---- the closed loop

local Closed = {}
Closed.__index = Closed

--- Waits until this worker's next update begins; returns since when it counts, or nil: no more in
-- this run.
function Closed:next(worker)
  local run = self.run
  if self.think > 0 and worker.begun > 0 then
    local due = now() + self.think
    if run.deadline and due >= run.deadline or sleep_until(run, due) > 0 then
      return nil
    end
  end
  return now()
end

--- How the loop went: nil, for there is nothing to tell.
function Closed.summary()
  return nil
end

-- ---- the open loop

local Open = {}
Open.__index = Open

-- The time to the next arrival: exponentially distributed, by inversion.
local function gap(random, rate)
  return -math.log(1 - random()) / rate
end

-- How many updates there will be, where that is known, and when the last of them is due.
local function last_due(run, count)
  local random, due = core.stream(run.seed, ARRIVALS), run.started
  for _ = 1, count do
    due = due + gap(random, run.scenario.rate)
  end
  return due
end

function Open:next()
  local run = self.run
  self.due = self.due + gap(self.random, self.rate)
  local due = self.due
  if run.deadline and due >= run.deadline then
    return nil
  end
  local is_idle = due > now()
  local left = sleep_until(run, due)
  if left > 0 then
    return nil
  elseif is_idle then
    run.lateness:record(-left)
  end
  self.begun = self.begun + 1
  if self.count and now() > self.ends + LONGEST_SLEEP then
    self.behind = self.behind + 1 -- all were due, and this one had not begun
  end
  return due
end

-- How many more arrivals there are before `moment`.
function Open:count_due(moment)
  local count, due = 0, self.due
  while due < moment do
    if count >= MOST_DRAWN then
      return count + math.floor((moment - due) * self.rate) -- as many as are to be expected
    end
    due = due + gap(self.random, self.rate)
    count = count + (due < moment and 1 or 0)
  end
  return count
end

--- How the open loop went: wanted and begun, a second; behind, updates that had not begun when all
-- of the run's were due; late_ms, the p99 of how late workers woke that were idle; kept_up. An
-- update that was due while all workers were busy begins late, which its latency shows; one that
-- has not begun at the end is shown by nothing else, so more than a hundredth of these is a
-- failure.
function Open:summary()
  local run = self.run
  local ended = math.min(run.deadline or now(), now())
  local behind = self.behind
  if not self.count or is_stopped(run) then
    behind = behind + self:count_due(ended)
  else
    ended = math.max(self.ends, self.due)
  end
  local seconds = ended - run.started
  return {
    wanted = run.scenario.rate,
    begun = seconds > 0 and (self.begun - self.behind) / seconds or 0,
    behind = behind,
    late_ms = run.lateness:percentile(99) * 1000,
    kept_up = behind <= math.max(10, MOST_BEHIND * (self.begun + behind)),
  }
end

--- The pace of a run that has started: next(worker), summary().
function arrivals.new(run)
  local scenario = run.scenario
  if not scenario.rate then
    return setmetatable({ run = run, think = scenario.think }, Closed)
  end
  local count = scenario.commits or scenario.per_worker and scenario.per_worker * scenario.workers
  return setmetatable({
    run = run,
    rate = scenario.rate,
    random = core.stream(run.seed, ARRIVALS),
    due = run.started, -- of the last arrival that was taken
    begun = 0,
    behind = 0,
    count = count,
    ends = count and last_due(run, count), -- when the last update is due
  }, Open)
end

return arrivals
