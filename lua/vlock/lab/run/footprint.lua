-- What a run will need: keys and memory on the server, and memory here. Said before a run that
-- needs much, so that nobody fills a shared server by a slip of the finger.

local figures = require "vlock.lab.measure.figures"

local footprint = {}

local WORTH_SAYING = 100e6 -- bytes

-- Bytes, measured with Redis 7.0.15 and Lua 5.4.4 by tests/bench/footprint.
local OF_A_KEY_THERE = 255 -- the value's key and its version record, besides the value
local OF_A_KEY_HERE = 590
local OF_A_WORKER = 9800 -- without conflicts; its policy's instance comes on top
-- Of a worker of a crowd (vlock.lab.run.crowd), in the middle of a conflict; and of its policy,
-- where it has one of its own. By tests/bench/simulator.
local IN_A_CROWD, OF_AN_INSTANCE = 680, 1150
local OF_A_COMMIT = 38 -- in its chain, when that is checked (tests/bench/verification)
local OF_A_COUNTER = 8 -- a value, where no size is given

local OF_WORKERS = { tasks = OF_A_WORKER, crowd = IN_A_CROWD + OF_AN_INSTANCE, shared = IN_A_CROWD }

-- How many updates it will make, as far as that can be told beforehand.
local function expected_updates(scenario)
  if scenario.duration then
    return (scenario.rate or 0) * scenario.duration
  end
  return scenario.per_worker and scenario.per_worker * scenario.workers or scenario.commits
end

--- What one run of this scenario needs: keys; server and here, in bytes. An estimate; of a closed
-- loop that runs for a duration the updates are not in it. way: what the workers are, "tasks",
-- "crowd" (with a policy each) or "shared".
function footprint.of(scenario, way)
  return {
    keys = scenario.keys,
    server = scenario.keys * (OF_A_KEY_THERE + (scenario.value_size or OF_A_COUNTER)),
    here = scenario.keys * OF_A_KEY_HERE
      + scenario.workers * OF_WORKERS[way]
      + expected_updates(scenario) * OF_A_COMMIT,
  }
end

local function megabytes(bytes)
  return figures.grouped(math.max(bytes / 1e6, 1)) .. " MB"
end

--- The largest of these needs, of runs one after the other, in words; nil where it is not worth
-- saying.
function footprint.warning(needs)
  local largest
  for _, need in ipairs(needs) do
    if not largest or need.server + need.here > largest.server + largest.here then
      largest = need
    end
  end
  if largest.server + largest.here < WORTH_SAYING then
    return nil
  end
  return ("this run needs %s, about %s on the server and %s " ..
    "here"):format(figures.counted(largest.keys, "key"), megabytes(largest.server),
    megabytes(largest.here))
end

return footprint
