-- What the workers of a run saw of its keys: every commit they were told of, on which state it was
-- made and which state it made. One record per key; at the end each must lead from the first state
-- to the one that stands on the server. Where a history is wanted, each attempt is written there as
-- well.

local key_records = require "vlock.lab.check.key_record"
local core = require "vlock.core"
local verdict = require "vlock.lab.check.verdict"
local states = require "vlock.cell.state"

local Recorder = {}
Recorder.__index = Recorder

local READERS = 64 -- tasks

-- What they make of a counter is a number that nobody has had.
local UNIQUE_MERGES = { recompute = true, counter = true }

--- How the states of a run can be told apart (see vlock.lab.check.key_record): "stamp" or "value";
-- or nil, and why they cannot. is_counter: whether the update is the default one; merge: the name
-- of the policy's.
local function identity_of(store, is_counter, merge)
  if store.version then
    return "stamp"
  elseif not is_counter then
    return nil, "the store has no versions, and the update is the scenario's own: its values " ..
      "may repeat"
  elseif not UNIQUE_MERGES[merge] then
    return nil, ("the store has no versions, and the merge '%s' may write a value " ..
      "twice"):format(merge)
  end
  return "value"
end

local function read_state(store, cell)
  local value, stamp = states.read_again(store, cell)
  return { value = value, stamp = stamp, version = store.version and store.version(stamp) }
end

-- f(element) for all of a list, several at a time: their round trips go side by side. is_stopped(),
-- or nil: whether to leave the rest.
local function for_each(list, f, is_stopped)
  local at, tasks = 0, {}
  for i = 1, math.min(READERS, #list) do
    tasks[i] = core.spawn(function()
      while at < #list and not (is_stopped and is_stopped()) do
        at = at + 1
        f(list[at])
      end
    end)
  end
  for _, task in ipairs(tasks) do
    task:join()
  end
end

--- A recorder for these cells, which `store` reads as they stand before the run. about: is_counter,
-- whether the update adds one to a counter; merge, the name of the policy's; combines, whether a
-- commit may hold several updates; is_stopped(), whether the reading is to end early; history,
-- where one is written (vlock.lab.check.history_writer): a run of it.
local function new(list, store, about)
  local identity, reason = identity_of(store, about.is_counter, about.merge)
  local is_counter = about.is_counter and UNIQUE_MERGES[about.merge] or false
  local self = setmetatable({
    cells = list,
    records = {},
    first = {},
    calls = 0,
    identity = identity,
    is_counter = is_counter,
    not_verified = reason,
    is_default_update = about.is_counter,
    counts_updates = about.combines and is_counter and identity ~= nil,
    history = about.history,
  }, Recorder)
  if self.history then
    self.history:begin(identity, reason, is_counter)
  end
  local absent -- most of them are: one table for all of these
  for_each(list, function(cell)
    local state = read_state(store, cell)
    if state.value == nil then
      absent = absent and absent.stamp == state.stamp and absent or state
      state = absent
    end
    self.first[cell.key] = state
    if self.history then
      self.history:first(cell.key, state)
    end
  end, about.is_stopped)
  return self
end

-- The record of a key, which is opened when it is first asked for; nil where states cannot be told
-- apart.
function Recorder:record(key)
  local record = self.records[key]
  if not record and self.identity then
    record = key_records.new(self.identity, self.is_counter)
    self.records[key] = record
  end
  return record
end

-- How a write ended, in the words of a history: what the server refused is surely not applied; of
-- one that stood on a history that is lost nobody knows.
local ENDED = { committed = "committed", conflict = "conflict", unknown = "unknown",
  history_lost = "unknown", refused = "error", busy = "error" }

--- A function that is told of every write of a worker when it has ended, and writes it down.
-- self.calls counts the copies that were sent. store: the worker's.
function Recorder:observer(store, worker)
  return function(cell, base, value, token, started, copies, action, stamp)
    self.calls = self.calls + copies
    local outcome, made = ENDED[action], { value = value }
    if outcome == "committed" then
      made.stamp, made.version = stamp, store.version and store.version(stamp)
    elseif outcome == "unknown" then
      made.stamp = store.version and store.made and store.made(base, token)
    end
    local record = self:record(cell.key)
    if record and outcome == "committed" then
      record:commit(base, made)
    elseif record and outcome == "unknown" then
      record:unknown(base, made)
    end
    if self.history then
      self.history:attempt(cell.key, worker, outcome, base, made, token, started)
    end
  end
end

-- A commit of combined updates says what came of them all, and not that each is in it: that is told
-- by the counters, which must have grown by the number of updates that were reported.
local function check_updates(found, grown, updates)
  if grown ~= updates then
    local name = grown < updates and "lost_updates" or "duplicated"
    found[name] = math.max(found[name], math.abs(grown - updates))
    found.verified = false
  end
end

--- Whether all of it is whole, as `store` reads the cells now: see vlock.lab.check.verdict; and
-- `dropped`, the updates of the default counter that are in no value because the merge wrote
-- another one, where it may do so. The history, where there is one, ends with it. seen:
-- is_interrupted; commits and unknown, the updates that were reported.
function Recorder:verify(store, seen)
  local list, grown = {}, 0
  for_each(self.cells, function(cell)
    if seen.is_interrupted and not self.records[cell.key] then
      return -- nobody touched it, and somebody waits for the report
    end
    local first, last = self.first[cell.key], read_state(store, cell)
    if self.identity then
      local record = self.records[cell.key] or key_records.new(self.identity, self.is_counter)
      local found = record:check(first, last)
      if not found.whole or found.unknown_applied > 0 then
        list[#list + 1] = found -- the others add nothing
      end
    end
    if self.is_default_update then
      grown = grown + (key_records.number_of(last.value) or 0) - (key_records.number_of(first.value)
        or 0)
    end
    if self.history then
      self.history:last(cell.key, last)
    end
  end)
  if self.history then
    self.history:finish(seen.is_interrupted)
  end
  local found = verdict.sum(list, self.not_verified)
  if self.counts_updates and seen.unknown == 0 then
    check_updates(found, grown, seen.commits)
  elseif self.is_default_update and not self.is_counter then
    -- The merge may keep one side's change only, as it says.
    found.dropped = math.max(seen.commits - grown, 0)
  end
  return found
end

return { new = new }
