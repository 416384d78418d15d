-- The record of one key: every commit that somebody was told of and every write of unknown
-- outcome, in the order in which they were reported, and whether they make one chain from the first
-- state to the last. Used while a run is going, and on one that was recorded.
--
-- How the states are told apart, the record's `identity`: "stamp", by the stamps of a store that
-- has versions; then what each state held is compared too, and each commit must move the version by
-- one. "value", by the values, where the update makes each one unique.

local lab_core = require "vlock.lab_core"

local MOST_SKIPS = 8 -- that are named

local Record = {}
Record.__index = Record

--- identity: as above. is_counter: whether each update adds one to the number that the value begins
-- with; then the numbers tell updates that were lost from those that were applied twice, where
-- states differ from what they were made with.
local function new(identity, is_counter)
  return setmetatable({
    identity = identity,
    is_counter = is_counter,
    chain = lab_core.chain(),
    count = 0,
    unknowns = 0,
    sum = 0, -- by which the counter must have grown; nil: values that are no numbers
    skips = 0, -- commits that did not move the version by one
    first_skips = {}, -- {fault, commit, from, to}
  }, Record)
end

local function name_of(record, stamp, value)
  if record.identity == "value" then
    return value == nil and "absent" or "value:" .. value
  elseif type(stamp) ~= "string" then
    error(("a store that has `version` must say the stamp of every state, a text, not " ..
      "%s"):format(type(stamp)), 0)
  end
  return stamp
end

-- What a state held, where that is not what it is named by.
local function content_of(record, value)
  return record.identity == "stamp" and value or nil
end

local function number_of(value)
  return value == nil and 0 or tonumber(value:match("^%d+"))
end

local function add_up(record, base_value, value)
  local from, to = number_of(base_value), number_of(value)
  record.sum = record.sum and from and to and record.sum + to - from
end

local function note_skip(record, from, to)
  record.skips = record.skips + 1
  if record.skips <= MOST_SKIPS then
    record.first_skips[record.skips] = { fault = "duplicated", commit = record.count,
      from = from, to = to }
  end
end

--- A commit that somebody was told of. base, made: { value, stamp, version }; version nil where the
-- store has none.
function Record:commit(base, made)
  self.chain:commit(name_of(self, base.stamp, base.value), content_of(self, base.value),
    name_of(self, made.stamp, made.value),
    content_of(self, made.value))
  self.count = self.count + 1
  if made.version and made.version ~= base.version + 1 then
    note_skip(self, base.version, made.version)
  end
  if self.is_counter then
    add_up(self, base.value, made.value)
  end
end

--- A write of which nobody knows whether it was applied. made.stamp: the stamp that it would have
-- made; nil: that is not known either.
function Record:unknown(base, made)
  local name = (self.identity == "value" or made.stamp) and name_of(self, made.stamp, made.value)
    or nil
  self.chain:unknown(name_of(self, base.stamp, base.value), content_of(self, base.value), name,
    content_of(self, made.value))
  self.count = self.count + 1
  self.unknowns = self.unknowns + 1
end

-- What the counter says, beside the chain: by how much the last value differs from the sum of all
-- commits. Less: so many updates are lost; more than the writes of unknown outcome can have added:
-- so many were applied twice, or are not reported.
local function judge_by_number(record, found, first, last)
  local from, to = number_of(first.value), number_of(last.value)
  if not record.is_counter or not (record.sum and from and to) then
    return
  end
  local drift = to - from - record.sum
  if drift < 0 then
    local more = math.max(-drift - found.lost_updates, 0)
    found.lost_updates = found.lost_updates + more
    found.missing = math.max(found.missing - more, 0) -- it was these
    found.whole = false
  elseif drift > record.unknowns then
    local name = found.unreported > 0 and "unreported" or "duplicated"
    found[name] = math.max(found[name], drift - record.unknowns)
    found.whole = false
  end
end

-- What the versions say, where the first and the last are known: each commit moved them by one, and
-- so did what was applied of unknown outcome.
local function judge_by_version(record, found, first, last)
  if not (found.whole and first.version and last.version) then
    return
  end
  local moved, commits = last.version - first.version, record.count - record.unknowns
  if moved < commits then
    found.whole, found.lost_updates = false, commits - moved
  elseif moved > commits + record.unknowns then
    found.whole, found.unreported = false, moved - commits - record.unknowns
  end
end

--- Whether it is one chain from `first` to `last`, each { value, stamp, version where it is known
-- }: the table of lab_core's check. Commits in `culprits` are numbered from 1 in the order in which
-- they were told of, writes of unknown outcome counted in.
function Record:check(first, last)
  local found = self.chain:check(name_of(self, first.stamp, first.value),
    content_of(self, first.value),
    name_of(self, last.stamp, last.value), content_of(self, last.value))
  if found.whole and self.skips > 0 then -- where states are missing it is they that were skipped
    found.whole, found.duplicated, found.culprits = false, self.skips, self.first_skips
  end
  judge_by_version(self, found, first, last)
  judge_by_number(self, found, first, last)
  return found
end

--- number_of(value): the number that a counter's value begins with, 0 where it is absent; nil where
-- it begins with none.
return { new = new, number_of = number_of }
