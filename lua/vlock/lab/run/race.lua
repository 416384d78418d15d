-- Runs entrants against each other: interleaved, round by round, so that what disturbs the machine
-- for a while disturbs them all; the same seed for all of one round, the next for the next round.

local core = require "vlock.core"
local contention = require "vlock.lab.run.contention"
local lab_core = require "vlock.lab_core"
local statistics = require "vlock.lab.measure.statistics"
local outcomes = require "vlock.cell.outcome"

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
  local result, run = contention.run {
    label = entry.label,
    url = setup.url,
    login = setup.login,
    guards = setup.guards,
    connect = setup.connect,
    model = setup.model,
    history = setup.history,
    trace = setup.trace,
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

-- One run of an entry. What ends it, a broken policy or a server that is gone, is the entry's
-- `failure`: it takes no further part, and what others did is shown all the same. Returns false
-- where no entry can go on.
local function take_turn(entry, setup, round, number, count)
  local watch = setup.watch and function(run)
    return setup.watch(run, { label = entry.label, number = number, count = count })
  end
  local ok, reason = pcall(run_once, entry, setup, setup.seed + round - 1, watch)
  if not ok and reason ~= contention.INTERRUPTED then
    entry.failure = reason
    return not outcomes.is(reason, "unreachable")
  end
  return true
end

local function run_rounds(entries, setup)
  local count, number = #entries * setup.runs, 0
  for round = 1, setup.runs do
    for i = 1, #entries do
      local entry = entries[(i + round - 2) % #entries + 1] -- each round begins with another one
      number = number + 1
      if setup.interrupt.reason or not entry.failure and not take_turn(entry, setup, round, number,
        count) then
        return
      end
    end
  end
end

-- In the place of os.exit: what a policy asks for must not end the lab, without a report and as if
-- all were fine.
local function refuse_exit()
  error("os.exit: a policy or an update function may not end the program", 2)
end

--- Runs each lane `runs` times. lanes: a list of { entrant, scenario, swept }. setup: url,
-- login, guards, connect, or model; seed, runs, interrupt (a table, whose field `reason` is set
-- when the run is interrupted), interval, history, trace, watch(run, {label, number, count}).
-- Returns the entries in the order of the lanes: label, swept, result (the median of the runs:
-- vlock.lab.measure.statistics), latencies (a histogram of all runs), first_error, give_up_reason.
-- A lane without any complete run, because an interrupt left none or it failed, is not among them.
-- Second result: the entries that failed, each with its `failure`.
function race.run(lanes, setup)
  local entries, complete, failed = {}, {}, {}
  for i, lane in ipairs(lanes) do
    entries[i] = new_entry(lane)
  end
  core.on_interrupt(function(reason)
    setup.interrupt.reason = reason
  end)
  local exit = os.exit
  os.exit = refuse_exit -- luacheck: ignore
  run_rounds(entries, setup)
  os.exit = exit -- luacheck: ignore
  core.on_interrupt(nil)
  for _, entry in ipairs(entries) do
    if #entry.results > 0 then
      entry.result = statistics.merge(entry.results)
      complete[#complete + 1] = entry
    end
    failed[#failed + 1] = entry.failure and entry
  end
  return complete, failed
end

return race
