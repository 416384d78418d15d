-- The record of one key: every commit that somebody was told of, every write of unknown outcome and
-- every read, in the order in which they were reported; whether the commits make one chain from the
-- first state to the last, and whether they and the reads keep to real time: what began after
-- something had ended stands on that or on something later. Used while a run is going, and on one
-- that was recorded.
--
-- How the states are told apart, the record's `identity`: "stamp", by the stamps of a store that
-- has versions; then what each state held is compared too, and each commit must move the version by
-- one. "value", by the values, where the update makes each one unique.

local floating = require "vlock.lab.check.floating"
local lab_core = require "vlock.lab_core"

local number_of = lab_core.number

local MOST_SKIPS = 8 -- that are named

local Record = {
  unknowns = 0,
  skips = 0, -- commits that did not move the version by one
  first_skips = nil, -- {fault, commit, from, to}
}

-- What the records of a run have in common, of which there is one for each key: the metatable.
local kinds = {}

local function kind_of(identity, is_counter)
  local name = ("%s %s"):format(identity, is_counter)
  if not kinds[name] then
    local kind = { identity = identity, is_counter = is_counter }
    for field, value in pairs(Record) do
      kind[field] = value
    end
    kind.__index = kind
    kinds[name] = kind
  end
  return kinds[name]
end

--- identity: as above. is_counter: whether each update adds one to the number that the value begins
-- with; then the numbers tell updates that were lost from those that were applied twice, where
-- states differ from what they were made with. merges: whether the server merges.
local function new(identity, is_counter, merges)
  local record = setmetatable({ chain = lab_core.chain(is_counter) }, kind_of(identity, is_counter))
  if merges and identity == "stamp" then
    record.floating = floating.new()
  end
  return record
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

-- What a state held, where that is not what it is named by; true: it is not known.
local function content_of(record, value, is_lost)
  return record.identity == "stamp" and (is_lost or value) or nil
end

local function note_skip(record, from, to)
  record.skips = record.skips + 1
  record.first_skips = record.first_skips or {}
  if record.skips <= MOST_SKIPS then
    record.first_skips[record.skips] = { fault = "duplicated", commit = record.chain:count(),
      from = from, to = to }
  end
end

--- A commit that somebody was told of. base, made: { value, stamp, version }; version nil where the
-- store has none; is_lost where nobody knows the value (see lua/cas_merge.lua). started, ended:
-- when it was sent and when its reply was there, in seconds of one clock that never steps back.
function Record:commit(base, made, started, ended)
  local base_value, value = base.value, made.value
  if self.floating then
    self.floating:commit(base.stamp, made.stamp)
  end
  if self.identity == "stamp" then
    self.chain:commit(base.stamp, content_of(self, base_value, base.is_lost),
      name_of(self, made.stamp), content_of(self, value, made.is_lost), started, ended)
    if made.version and made.version ~= base.version + 1 then
      note_skip(self, base.version, made.version)
    end
  else
    self.chain:commit(name_of(self, nil, base_value), nil, name_of(self, nil, value), nil, started,
      ended)
  end
  if self.is_counter then
    self.chain:grow(base.is_lost or base_value, made.is_lost or value)
  end
end

--- A write of which nobody knows whether it was applied. made.stamp: the stamp that it would have
-- made; nil: that is not known either. started: when it was sent.
function Record:unknown(base, made, started)
  local name = (self.identity == "value" or made.stamp) and name_of(self, made.stamp, made.value)
    or nil
  self.chain:unknown(name_of(self, base.stamp, base.value), content_of(self, base.value), name,
    content_of(self, made.value), started)
  self.unknowns = self.unknowns + 1
end

--- The same of a write that the server may have merged: it would stand anywhere.
-- note: comes back in record.placed, a list of the notes of those that are in the chain.
function Record:unknown_merge(token, started, note)
  self.floating:add(token, started, note)
end

--- A read that found this value with this stamp.
function Record:read(value, stamp, started, ended)
  if self.floating then
    self.floating:read(stamp)
  end
  self.chain:read(name_of(self, stamp, value), content_of(self, value), started, ended)
end

-- What the counter says, beside the chain: by how much the last value differs from the sum of all
-- commits. Less: so many updates are lost; more than the writes of unknown outcome can have added:
-- so many were applied twice, or are not reported.
local function judge_by_number(record, found, first, last)
  local from, to, grown = number_of(first.value), number_of(last.value), record.chain:growth()
  if not record.is_counter or not (grown and from and to) then
    return
  end
  local drift = to - from - grown
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
  local moved = last.version - first.version
  local commits = record.chain:count() - record.unknowns
  if moved < commits then
    found.whole, found.lost_updates = false, commits - moved
  elseif moved > commits + record.unknowns then
    found.whole, found.unreported = false, moved - commits - record.unknowns
  end
end

--- Whether it is one chain from `first` to `last`, each { value, stamp, version where it is known
-- }: the table of lab_core's check. Commits in `culprits` are numbered from 1 in the order in which
-- they were told of, writes of unknown outcome counted in (those that may have been merged behind
-- all others), and so are reads beside them.
function Record:check(first, last)
  if self.floating then
    self.placed = {}
    self.floating:place(first.stamp, last.stamp, function(base, made, started, note)
      self.chain:unknown(base, true, made, true, started)
      self.unknowns = self.unknowns + 1
      self.placed[#self.placed + 1] = note
    end)
  end
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
-- it begins with none, or with one of 2^63 and more.
return { new = new, number_of = number_of }
