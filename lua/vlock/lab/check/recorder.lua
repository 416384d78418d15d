-- What the workers of a run saw of its keys: every commit they were told of, on which state it was
-- made and which state it made, and every read. One record per key; at the end each must lead from
-- the first state to the one that stands on the server, in the order of time. Where a history is
-- wanted, each attempt and each read is written there as well.

local key_records = require "vlock.lab.check.key_record"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local patient = require "vlock.cell.patient"
local stamps = require "vlock.cell.stamp"
local states = require "vlock.cell.state"
local verdict = require "vlock.lab.check.verdict"

local kept, now = connections.kept, core.now

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
  local value, stamp = patient(states.read_again, store, cell)
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
  local failed, reason
  for _, task in ipairs(tasks) do
    local ok, why = pcall(task.join, task) -- all of them: else each says for itself how it failed
    if not ok and not failed then
      failed, reason = true, why
    end
  end
  if failed then
    error(reason, 0)
  end
end

--- A recorder for these cells, which `store` reads as they stand before the run. about: is_counter,
-- whether the update adds one to a counter; merge, the name of the policy's; merges, whether the
-- server does it; combines, whether a commit may hold several updates; is_new, whether the
-- server is, and all cells are absent (then no history is written); is_stopped(), whether the
-- reading is to end early; history, where one is written (vlock.lab.check.history_writer): a run of
-- it.
local function new(list, store, about)
  local identity, reason = identity_of(store, about.is_counter, about.merge)
  local is_counter = about.is_counter and UNIQUE_MERGES[about.merge] or false
  local self = setmetatable({
    cells = list,
    records = {},
    first = {},
    told = 0, -- copies of writes of which it was told
    recorded_before = kept.recorded(),
    identity = identity,
    is_counter = is_counter,
    not_verified = reason,
    merges = about.merges and identity == "stamp",
    is_default_update = about.is_counter,
    counts_updates = about.combines and is_counter and identity ~= nil,
    history = about.history,
  }, Recorder)
  if self.history then
    self.history:begin(identity, reason, is_counter, self.merges)
  end
  if about.is_new then
    local state = read_state(store, list[1])
    self.first = setmetatable({}, { __index = function()
      return state
    end })
    return self
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
  self:flush()
  return self
end

-- The record of a key, which is opened when it is first asked for; false where states cannot be
-- told apart.
function Recorder:record(key)
  local record = self.records[key]
  if record == nil then
    record = self.identity and key_records.new(self.identity, self.is_counter, self.merges)
      or false
    self.records[key] = record
  end
  return record
end

--- Has what was written of the history reach its file.
function Recorder:flush()
  if self.history then
    self.history:flush()
  end
end

-- How a write ended, in the words of a history: what the server refused is surely not applied; of
-- one that stood on a history that is lost nobody knows.
local ENDED = { committed = "committed", conflict = "conflict", unknown = "unknown",
  history_lost = "unknown", refused = "error", busy = "error" }

-- The stamp that a write of unknown outcome would have made; nil: it is not known. A copy that was
-- sent again makes a record under another name than the first one (see lua/cas.lua).
local function stamp_of_unknown(store, base, token, copies)
  local is_known = store.version and store.made
    and (copies == 1 or type(base.stamp) == "string" and stamps.id(base.stamp))
  return is_known and store.made(base, token) or nil
end

--- A function that opens the record of a cell for writes that nobody disturbs, which go into it
-- unseen (see src/lua/kept_write.c); nil: they are to be told like all others.
function Recorder:opener()
  if self.identity == "stamp" and not self.history and not self.merges then
    return function(cell)
      return self:record(cell.key).chain
    end
  end
end

--- Counts writes of one copy each that were written down by others.
function Recorder:count(writes)
  self.told = self.told + writes
end

--- How many copies of writes were sent.
function Recorder:calls()
  return self.told + kept.recorded() - self.recorded_before
end

--- A method of sessions that is told of every write when it has ended, and writes it down.
-- store: the sessions'. The last two arguments are, of
-- a commit, the state that it made; of a conflict, the value and the stamp that the store found.
function Recorder:observer(store)
  return function(session, cell, base, value, token, started, copies, action, a, b)
    local ended, record = now(), self:record(cell.key)
    self.told = self.told + copies
    local outcome, made, found = ENDED[action], nil, nil
    if outcome == "committed" then
      made = a
      if record then
        record:commit(base, made, started, ended)
      end
    elseif outcome == "unknown" and self.merges and value ~= nil then
      made = { is_lost = true }
      record:unknown_merge(token, started)
    elseif outcome == "unknown" then
      made = { value = value, stamp = stamp_of_unknown(store, base, token, copies) }
      if record then
        record:unknown(base, made, started)
      end
    elseif outcome == "conflict" and b then
      found = { value = a, stamp = b }
      if record then
        record:read(a, b, started, ended)
      end
    end
    if self.history then
      self.history:attempt(cell.key, session.worker, outcome, base, made or { value = value },
        found, token, started, ended)
    end
  end
end

--- The same for reads.
function Recorder:reader()
  return function(session, cell, value, stamp, started)
    local ended = now()
    local record = self:record(cell.key)
    if record then
      record:read(value, stamp, started, ended)
    end
    if self.history then
      self.history:read(cell.key, session.worker, value, stamp, started, ended)
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
    if seen.is_interrupted and self.records[cell.key] == nil then
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
