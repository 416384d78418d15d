-- A session: one writer of cells. It names its attempts, and remembers of every cell what its next
-- update can begin with.

local cache = require "vlock.cell.cache"
local core = require "vlock.core"
local hex = require "vlock.text.hex"

local CELL_LIMIT = 1024 -- cells that are remembered
local STREAK, DISTURBED = 16, 32 -- updates: see Session:pause_before

local USUAL = require("vlock.cell.cell").RECEIPTS
local OUTSIDE = {} -- writes where code outside of tasks does

local Session = {}
Session.__index = Session

local session = {}

-- Sixteen hexadecimal digits that no other session has.
local function new_writer()
  return hex(core.entropy(8))
end

local function never()
  return false
end

--- opts, each with a default: writer (its name), worker (its number, 1), random (a function that
-- returns numbers in [0,1)), sleep (a function of seconds: the pauses of a policy), is_stopped (a
-- function: whether a write whose reply was lost is to be left undecided), observe (a function that
-- is told of every write, when it has ended: see vlock.lab.check.recorder).
function session.new(opts)
  return setmetatable({
    writer = opts.writer or new_writer(),
    sequence = 0,
    worker = opts.worker or 1,
    random = opts.random or core.random,
    sleep = opts.sleep or core.sleep,
    is_stopped = opts.is_stopped or never,
    observe = opts.observe,
    writing = setmetatable({}, { __mode = "v" }), -- see begin_write
    attempts = 0, -- commits sent
    conflicts = 0,
    rtt = 0, -- seconds that the last attempt took
    cells = cache.new(CELL_LIMIT), -- what it knows of cells, by version key
  }, Session)
end

local function is_held(holder)
  return holder ~= nil and (holder == OUTSIDE and core.task() ~= nil or holder ~= OUTSIDE
    and core.is_alive(holder))
end

--- Begins a write: returns a token that names it, who and which, and what end_write takes. A server
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
  return ("%s.%d"):format(writer, sequence), place
end

--- The write has ended, whatever became of it.
function Session:end_write(place)
  self.writing[place] = nil
end

-- base: the state that its last commit made; disturbed: how many more updates begin with a read,
-- because others were seen at work; streak: updates in a row on its own commits; seen: the stamp
-- of the value that was read last.
local function known_of(self, cell)
  local known = self.cells:get(cell.version_key)
  if not known then
    known = { disturbed = 0, streak = 0 }
    self.cells:put(cell.version_key, known)
  end
  return known
end

local function is_base_good(known)
  return known.base and known.disturbed == 0 and known.base.expires_at > core.now()
end

--- The state to build the next update on without a read; nil: it has to read.
function Session:base_of(cell)
  local known = known_of(self, cell)
  return is_base_good(known) and known.base or nil
end

--- How many seconds the next update lets pass first, so that others have their chance.
--
-- A session that builds on its own commits sends one every round trip. Another one, which must
-- read first, needs two round trips without a commit in between, and would never have them: the
-- losers of a conflict leave no trace by which the winner could know of them. So
-- (1) after a conflict a session reads first, like everybody, for its next DISTURBED updates, and
--     lets up to four round trips pass before it reads;
-- (2) one that was never disturbed pauses for a round trip after every STREAK updates, which
--     costs it no command.
function Session:pause_before(cell)
  local known = known_of(self, cell)
  if known.base and known.disturbed > 0 then
    return 4 * self.rtt * self.random()
  elseif not is_base_good(known) then
    return 0
  end
  known.streak = known.streak + 1
  return known.streak % STREAK == 0 and self.rtt or 0
end

--- After a commit: this is the state that it made.
function Session:remember(cell, base)
  local known = known_of(self, cell)
  known.base = base.expires_at and base or nil
  known.disturbed = math.max(known.disturbed - 1, 0)
end

--- After a conflict, or what may have been one.
function Session:forget(cell)
  local known = known_of(self, cell)
  known.base, known.disturbed, known.streak = nil, DISTURBED, 0
end

--- That a value with this stamp was read; nil: there was none.
function Session:note_seen(cell, stamp)
  known_of(self, cell).seen = stamp
end

--- Whether the value that was read last had this stamp.
function Session:has_seen(cell, stamp)
  return known_of(self, cell).seen == stamp
end

return session
