-- A session: one writer of cells. It names its attempts, and remembers of every cell what its next
-- update can begin with.

local cache = require "vlock.cell.cache"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local hex = require "vlock.text.hex"

local CELL_LIMIT = 1024 -- cells that are remembered

local USUAL = require("vlock.cell.cell").RECEIPTS
local kept = connections.kept
local OUTSIDE = {} -- writes where code outside of tasks does

local Session = {}

local session = {}

-- Sixteen hexadecimal digits that no other session has.
local function new_writer()
  return hex(core.entropy(8))
end

local function never()
  return false
end

local WEAK = { __mode = "v" }

--- What sessions have in common, of which there may be many thousands; returns a function that
-- makes one. common, each with a default: sleep (a function of seconds: the pauses of a policy),
-- is_stopped (a function: whether a write whose reply was lost is to be left undecided), observe
-- and observe_read (methods of the session that are told of every write and every read, when it has
-- ended: see vlock.lab.check.recorder); record_of (a function from a cell to what is told in the
-- place of observe where nobody disturbs a write: see src/lua/kept_write.c).
--
-- The function takes, each with a default: writer (its name), worker (its number, 1), random (a
-- function that returns numbers in [0,1)).
function session.kind(common)
  local kind = {
    sleep = common.sleep or core.sleep,
    is_stopped = common.is_stopped or never,
    observe = common.observe,
    observe_read = common.observe_read,
    record_of = common.record_of,
    -- Whether a write can go the way of kept.write: unseen by what would observe it in Lua.
    goes_unseen = not common.observe or common.record_of ~= nil,
  }
  for name, method in pairs(Session) do
    kind[name] = method
  end
  kind.__index = kind
  return function(writer, worker, random)
    return setmetatable({
      writer = writer or new_writer(),
      sequence = 0,
      worker = worker or 1,
      random = random or core.random,
      writing = setmetatable({}, WEAK), -- see begin_write
      attempts = 0, -- commits sent
      conflicts = 0,
      rtt = 0, -- seconds that the last attempt took
      spare = nil, -- an outcome made beforehand: see vlock.cell.attempt
      cells = nil, -- what it knows of cells, by version key, where it is more than one
      near_key = nil, -- the version key of the last one, and what is known of that
      near = nil,
    }, kind)
  end
end

--- The only one of its kind. opts: all of these.
function session.new(opts)
  return session.kind(opts)(opts.writer, opts.worker, opts.random)
end

local function is_held(holder)
  return holder ~= nil and (holder == OUTSIDE and core.task() ~= nil or holder ~= OUTSIDE
    and core.is_alive(holder))
end

--- Begins a write (one that does not go by kept.write, which does the same for the usual name):
-- returns a token that names it, who and which, and what end_write takes. A server
-- remembers one write of a writer on a cell, the last. So tasks that write the same cell side by
-- side do so under different names: WRITER, WRITER_2 … And since all writes of one name ask for
-- receipts of the same length, another length is another name: WRITER_t250ms.
function Session:begin_write(cell)
  local writing = self.writing
  local own = self.writer
  if cell.receipts ~= USUAL then
    own = ("%s_t%dms"):format(own, math.ceil(cell.receipts * 1000))
  end
  local place, writer, number = cell.version_key, own, 1
  while is_held(writing[place]) do
    number = number + 1
    place = ("%s\0%d"):format(cell.version_key, number)
    writer = ("%s_%d"):format(own, number)
  end
  writing[place] = core.task() or OUTSIDE
  local sequence = self.sequence + 1
  self.sequence = sequence
  return writer .. "." .. sequence, place
end

--- The write has ended, whatever became of it.
function Session:end_write(place)
  self.writing[place] = nil
end

--- What it knows of a cell: see src/lua/kept.c. The state that its last commit made, with
-- told_until, by when the record tells of that commit; the pace of its updates (src/base/pace.h);
-- the stamp of the value that was read last.
function Session:about(cell)
  local key = cell.version_key
  if key == self.near_key then
    return self.near
  end
  local known = self.cells and self.cells:get(key)
  if not known then
    known = kept.new(self.record_of and self.record_of(cell))
    self:put(key, known)
  end
  self.near_key, self.near = key, known
  return known
end

-- Many have but one, and no need of a cache.
function Session:put(key, known)
  if self.near_key and not self.cells then
    self.cells = cache.new(CELL_LIMIT)
    self.cells:put(self.near_key, self.near)
  end
  if self.cells then
    self.cells:put(key, known)
  end
end

--- How many seconds the next update rests first, so that others have their chance: up to so many
-- round trips, as kept.next says. has_base: whether it builds on the last commit then; else it
-- reads.
--
-- A session that builds on its own commits sends one every round trip. Another one, which must
-- read first, needs two round trips without a commit in between: it loses as long as that goes on,
-- and the losers of a conflict leave no trace by which the winner could know of them. So sessions
-- take turns (src/base/pace.c says how long they last): one builds on its own commits, for so many
-- updates that follow each other at once, and then
-- (1) where it met a conflict lately, rests at random, on an average for as long as its turn was,
--     and reads like everybody: who wakes from a backoff meanwhile has the next turn;
-- (2) where it did not, rests for one round trip, or, where it has only just begun, for as long as
--     its turn was: which costs it no command.
-- Why turns, and not a read for each update: an update is open to others from its read to its
-- write, and of a turn that is the first alone. In the rest of it all that other sessions try
-- fails; but asleep as most of them are, they try little.
function Session:rest_of(round_trips, has_base)
  return round_trips * self.rtt * (has_base and 1 or self.random())
end

--- After a commit that was sent then, and took `rtt`: this is the state that it made.
function Session:remember(cell, base, sent)
  base.told_until = sent + cell.receipts
  kept.remember(self:about(cell), base, self.rtt)
end

--- After a commit over what others have made: they are not kept out.
function Session:note_others(cell)
  kept.begin_turn(self:about(cell))
end

--- After a conflict, or what may have been one.
function Session:forget(cell)
  kept.forget(self:about(cell), self.rtt)
end

--- After the server was found to have lost writes: there is no need to be told again.
function Session:forget_last(cell)
  kept.forget_last(self:about(cell))
end

--- What a write on this base comes after: this session's last commit on the cell, { stamp,
-- told_until }, where the base is another state, or is not yet known (nil); else nil. Where the
-- record does not tell of it before told_until, the server has lost it.
function Session:last_before(cell, base)
  local known = self:about(cell)
  if not base then
    return kept.state(known)
  elseif type(base.stamp) == "string" then
    return kept.last(known, base.stamp)
  end
  local last = kept.state(known)
  return last and last.stamp ~= base.stamp and last or nil
end

--- That a value with this stamp was read; nil: there was none.
function Session:note_seen(cell, stamp)
  kept.see(self:about(cell), stamp)
end

--- Whether the value that was read last is of a later version than this state, which a replica
-- told.
function Session:has_seen_later(cell, store, base)
  local seen = kept.seen(self:about(cell))
  return seen ~= nil and store.version(seen) > base.version
end

--- Whether the value that was read last had this stamp.
function Session:has_seen(cell, stamp)
  return kept.seen(self:about(cell)) == stamp
end

return session
