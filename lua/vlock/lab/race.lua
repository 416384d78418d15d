-- Runs entrants against each other: interleaved, round by round, so that what disturbs the machine for a while disturbs them all; the same
-- seed for all of one round, the next for the next round.

local core = require "vlock.core"
local lab = require "vlock.lab.run"
local lab_core = require "vlock.lab_core"
local statistics = require "vlock.lab.statistics"

local race = {}

local function new_entry(lane)
  return {
    label = lane.entrant.label,
    entrant = lane.entrant,
    scenario = lane.scenario,
    swept = lane.swept,
    results = {},
    latencies = lab_core.histogram(),
  }
end

local function run_once(entry, setup, seed, watch)
  local entrant = entry.entrant
  local result, run = lab.run {
    label = entry.label,
    url = setup.url,
    password_file = setup.password_file,
    guards = setup.guards,
    connect = setup.connect,
    history = setup.history,
    scenario = entry.scenario,
    seed = seed,
    new_policy = function()
      return entrant:new_policy()
    end,
    new_store = function()
      return entrant:new_store()
    end,
    store_name = entrant.store_name,
    interrupt = setup.interrupt,
    interval = setup.interval,
    watch = watch,
  }
  entry.results[#entry.results + 1] = result
  entry.latencies:add(run.latencies)
  entry.first_error = entry.first_error or run.first_error
  entry.give_up_reason = entry.give_up_reason or run.give_up_reason
end

local function run_rounds(entries, setup)
  local count = #entries * setup.runs
  for round = 1, setup.runs do
    for i = 1, #entries do
      local entry = entries[(i + round - 2) % #entries + 1] -- each round begins with another one
      if setup.interrupt.reason then
        return
      end
      run_once(entry, setup, setup.seed + round - 1, setup.watch and function(run)
        return setup.watch(run, { label = entry.label, number = (round - 1) * #entries + i, count = count })
      end)
    end
  end
end

--- Runs each lane `runs` times. lanes: a list of { entrant, scenario, swept }. setup: url, password_file, guards, connect, seed, runs,
-- interrupt (a table, whose field `reason` is set when the run is interrupted), interval, history, watch(run, {label, number, count}). Returns the
-- entries in the order of the lanes: label, swept, result (the median of the runs: vlock.lab.statistics), latencies (a histogram of all
-- runs), first_error, give_up_reason. A lane that an interrupt left without any run is not among them.
function race.run(lanes, setup)
  local entries, complete = {}, {}
  for i, lane in ipairs(lanes) do
    entries[i] = new_entry(lane)
  end
  core.on_interrupt(function(reason)
    setup.interrupt.reason = reason
  end)
  run_rounds(entries, setup)
  core.on_interrupt(nil)
  for _, entry in ipairs(entries) do
    if #entry.results > 0 then
      entry.result = statistics.merge(entry.results)
      complete[#complete + 1] = entry
    end
  end
  return complete
end

return race
