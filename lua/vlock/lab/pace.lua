-- When a worker begins its updates. In a closed loop: as soon as the last one has ended, and it has thought. In an open loop: when they
-- are due, at the arrivals of a Poisson process, however long earlier ones take; one that waits for its worker is late, and its latency
-- counts from when it was due. So a server that stands still for a while is seen by all that would have come meanwhile, and not by one
-- update per worker only ("coordinated omission", G. Tene).

local core = require "vlock.core"

local now, sleep = core.now, core.sleep
local LONGEST_SLEEP = 0.05 -- seconds: so long until an interrupt is heeded

local MOST_DRAWN = 10000 -- arrivals of one worker that are counted one by one

local pace = {}

local function is_stopped(run)
  return run.interrupt.reason or run.fatal
end

-- Sleeps until `due`, or until the run is stopped; returns the seconds that are left.
local function sleep_until(run, due)
  local left = due - now()
  while left > 0 and not is_stopped(run) do
    sleep(math.min(left, LONGEST_SLEEP))
    left = due - now()
  end
  return left
end

local function closed(run, worker, think)
  return {
    next = function()
      if think > 0 and worker.begun > 0 then
        local due = now() + think
        if run.deadline and due >= run.deadline or sleep_until(run, due) > 0 then
          return nil
        end
      end
      return now()
    end,
    behind = function()
      return 0
    end,
  }
end

local Open = {}
Open.__index = Open

-- The time to the next arrival: exponentially distributed, by inversion.
function Open:draw()
  self.due = self.due - math.log(1 - self.random()) / self.rate
end

-- Waits until the next update is due; returns when that was, or nil where it is not due within this run.
function Open:next()
  local run = self.run
  self:draw()
  if run.deadline and self.due >= run.deadline then
    return nil
  end
  local is_idle = self.due > now()
  local left = sleep_until(run, self.due)
  if is_idle and left <= 0 then
    run.lateness:record(-left)
  end
  return left <= 0 and self.due or nil
end

-- How many updates were due before `moment` that this worker has not begun.
function Open:behind(moment)
  local count = -1 -- the one drawn last has begun, or is not due before
  repeat
    count = count + 1
    if count >= MOST_DRAWN then
      return count + math.floor((moment - self.due) * self.rate) -- as many as are to be expected
    end
    self:draw()
  until self.due >= moment
  return count
end

--- The pace of one worker of a run: next() waits until its next update begins and returns since when it counts, or nil: no more in this
-- run; behind(moment): how many were due and have not begun.
function pace.new(run, worker)
  local scenario = run.scenario
  if not scenario.rate then
    return closed(run, worker, scenario.think)
  end
  return setmetatable({
    run = run,
    rate = scenario.rate / scenario.workers,
    random = core.stream(run.seed, -worker.index), -- not the policy's stream: arrivals are the same for every policy
    due = run.started,
  }, Open)
end

return pace
