-- What becomes of one write, whatever becomes of the copies of it that are sent: the rules, and
-- nothing else. A state machine without a clock, a socket or a server: an event goes in, an action
-- comes out. vlock.cell.attempt carries the actions out.
--
-- A copy whose reply was lost may have been applied, and may yet be: its bytes can lie in a buffer.
-- It is never looked for by a read, which could come before it. The same write is sent again, and
-- the server's script says what became of it (lua/cas.lua, "Receipts").
--
-- The two states of a write that has not ended:
--   clear      no copy of it was applied, or can be
--   ambiguous  the reply to a copy was lost
--
-- The events: what the answer to the last copy was.
--   committed     it is applied
--   conflict      it is not: another state stands there
--   history_lost  it is not there, and the server went back behind what it was written on
--   undecidable   the server cannot tell what became of the earlier copies
--   busy          the server can do nothing just now: LOADING, BUSY …
--   held_back     it refused this copy for now: OOM, READONLY …
--   refused       it refused this copy, and will refuse the next
--   unreachable   this copy was not sent: there is no connection
--   lost          it was sent and not answered, or answered with what nobody can make sense of
--   unread        it was answered, and there was no memory to take the answer in
--   broken        the store failed, and not the server
--   stopped       there is no more time, or somebody wants it to end: instead of another copy
--
-- The actions: "again", with the seconds to wait before the same write is sent once more; all
-- others end it: "committed"; "conflict", "busy", "refused", surely not applied; "history_lost";
-- "unknown". The second result is the reason, where there is one.

local resolver = {}

local FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5 -- seconds between two copies

local clear, ambiguous = {}, {}

--- A write that is sent now. at: the time, in seconds; is_resolvable: whether its store can send it
-- again; trust: seconds for which "conflict" is believed, which is how long receipts are kept;
-- limit: the time at which it has to end. Returns the machine, a table.
function resolver.new(at, is_resolvable, trust, limit)
  return { state = clear, at = at, is_resolvable = is_resolvable, trust = trust,
    limit = limit, pause = 0 }
end

local function again(write, at, reason)
  local pause = write.pause
  if at + pause >= write.limit then
    return "unknown", reason
  end
  write.pause = math.min(math.max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
  return "again", pause
end

local function ends_as(action)
  return function(_, _, reason)
    return action, reason
  end
end

-- ---- no copy was applied

clear.committed = ends_as "committed"
clear.conflict = ends_as "conflict"
clear.history_lost = ends_as "history_lost"
clear.busy = ends_as "busy"
clear.held_back = ends_as "refused"
clear.refused = ends_as "refused"
clear.unreachable = ends_as "refused"
clear.broken = ends_as "unknown"

-- The answer to the next copy may be a shorter one.
function clear.unread(write, at, reason)
  return clear.lost(write, at, reason)
end

function clear.lost(write, at, reason)
  write.state = ambiguous
  if not write.is_resolvable then
    return "unknown", reason
  end
  return again(write, at, reason)
end

-- ---- a copy may have been applied: an error says nothing of earlier copies

ambiguous.committed = ends_as "committed"
ambiguous.history_lost = ends_as "history_lost"
ambiguous.undecidable = ends_as "unknown"
ambiguous.refused = ends_as "unknown"
ambiguous.unread = ends_as "unknown"
ambiguous.broken = ends_as "unknown"
ambiguous.stopped = ends_as "unknown"
ambiguous.busy = again
ambiguous.held_back = again
ambiguous.unreachable = again
ambiguous.lost = again

function ambiguous.conflict(write, at)
  if at - write.at > write.trust then
    return "unknown", "the server answered later than it keeps receipts"
  end
  return "conflict"
end

--- Tells a write of an event at a time; returns the action and its reason, or the seconds to wait.
function resolver.hear(write, event, at, reason)
  return write.state[event](write, at, reason)
end

--- Whether a copy may have been applied.
function resolver.is_ambiguous(write)
  return write.state == ambiguous
end

return resolver
