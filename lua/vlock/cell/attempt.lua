-- One attempt: a write is sent, and sent again where its reply is lost, until it is known what
-- became of it or nobody can know any more. The rules are vlock.cell.resolver's.

local connections = require "vlock.redis_core"
local core = require "vlock.core"
local error_text = require "vlock.text.error_text"
local hook = require "vlock.cell.hook"
local limited = require "vlock.cell.limited"
local outcome = require "vlock.cell.outcome"
local resolver = require "vlock.cell.resolver"
local server_error = require "vlock.cell.server_error"
local stamps = require "vlock.cell.stamp"
local state = require "vlock.cell.state"

local kept, now, commands_sent = connections.kept, core.now, connections.commands_sent

local attempt = {}

-- What a store may say of a write.
local SAID = { committed = true, conflict = true, history_lost = true, undecidable = true }

-- The state that a commit made. Whatever the store's `version` raises now: it is written.
local function committed_state(plan, value, stamp, expires_at)
  local ok, made = pcall(state.new, plan.store, value, stamp, expires_at)
  if ok then
    return made
  end
  hook.call(("version of the store '%s'"):format(plan.store_name), error, made, 0)
  return { value = value, is_present = value ~= nil, stamp = stamp, version = 0 }
end

-- What raised tells of a copy: an event of the resolver and what to say, or to raise.
local function event_of_error(reason, has_sent)
  local text = type(reason) == "table" and rawget(reason, "err")
  if outcome.is(reason, "unknown") then
    return "lost", error_text(reason)
  elseif outcome.is(reason, "unread") then
    return "unread", error_text(reason)
  elseif outcome.is(reason, "unreachable") then
    return server_error.event(text) or "unreachable", server_error.advised(reason)
  elseif type(text) == "string" then
    -- A store raises what the server has refused: whatever it is, it was not applied.
    return server_error.event(text) or "refused", server_error.advised(reason)
  elseif not has_sent then
    return "refused", reason
  end
  return "broken", reason
end

-- The event that the store's answer to a copy is.
local function event_of(plan, ok, result, has_sent)
  if not ok then
    return event_of_error(result, has_sent)
  elseif SAID[result] then
    return result
  end
  return "broken", ("the store '%s' returned %s from commit: it must be \"committed\" or " ..
    "\"conflict\""):format(plan.store_name, tostring(result))
end

-- One more copy: the event, its reason, and what else the store said.
local function send_again(plan, cell, base, value, token, last, merge, deadline)
  local sent_before = connections.commands_sent()
  local ok, result, a, b = limited(deadline, plan.store.resolve, cell, base, value, token, last,
    merge)
  local event, reason = event_of(plan, ok, result, connections.commands_sent() > sent_before)
  return event, reason, a, b
end

-- How long after it was sent "conflict" is to be believed. A record that this write made, and that
-- has a lifetime, may be gone before, and another one in its place.
local function trust_of(cell, base)
  local expire = cell.expire or 0
  if base.version == 0 and expire > 0 then
    return math.min(cell.receipts, expire)
  end
  return cell.receipts
end

local function outcome_of(kind, reason, token, event)
  return outcome.new(kind, {
    reason = event == "broken" and "the store failed after it had sent a command: " ..
      error_text(reason) or error_text(reason),
    token = token,
    attempts = 1,
    raised = event == "broken" and reason or nil,
  })
end

local LOST_HISTORY = "the server went back behind what was read or written: it lost writes, or " ..
  "the version record was deleted"

-- What becomes of a write whose first copy, sent at `sent`, met this event. Sends copies until the
-- resolver ends it: the action, its reason, what the store said last, the event that ended it, and
-- the number of copies.
local function resolve(session, plan, cell, base, value, token, last, merge, sent, event, reason,
  a, b, ...)
  local copies = 1
  local trust = trust_of(cell, base)
  local limit = sent + trust
  local deadline_of, course = ...
  local deadline = event == "lost" and deadline_of and deadline_of(session, plan, cell, course)
  if deadline then
    limit = math.min(limit, deadline)
  end
  local write = resolver.new(sent, plan.store.resolve and trust > 0, trust, limit)
  local action, detail = resolver.hear(write, event, now(), reason)
  while action == "again" do
    plan.is_ambiguous = true
    if detail > 0 then
      core.sleep(detail)
    end
    if session.is_stopped() then
      event = "stopped"
    else
      copies = copies + 1
      event, reason, a, b = send_again(plan, cell, base, value, token, last, merge,
        deadline)
    end
    action, detail = resolver.hear(write, event, now(), reason)
  end
  return action, detail or reason, a, b, event, copies
end

-- What the caller of `run` gets for an action that is no commit.
local function result_of(session, plan, action, reason, a, b, token, event)
  if action == "conflict" then
    session.conflicts = session.conflicts + 1
    return "conflict", b and state.new(plan.store, a, b) or nil
  elseif action == "history_lost" then
    return action, outcome_of(action, LOST_HISTORY, token)
  elseif action == "unknown" then
    return action, outcome_of(action, reason, token, event)
  end
  return action, reason -- busy, refused
end

-- Writes down that a write, sent at `sent`, is committed; returns the state that it made. merged:
-- what the store says of a write that the server has merged: its value, the base that it stands on,
-- and its lifetime.
local function settle(session, plan, cell, base, value, token, sent, copies, stamp, merged)
  session.rtt = now() - sent
  if merged then
    base, value = merged.base, merged.value
    base.expires_at = state.expiry_of(merged.lifetime, sent)
  end
  if plan.store.version ~= stamps.version then -- one that might wait, and be cut there
    plan.committed = { value = value, stamp = stamp, version = 0 }
  end
  local is_lost = merged and merged.is_lost
  local made = committed_state(plan, value, stamp,
    not is_lost and state.expiry_of_written(cell, base, value, sent) or nil)
  plan.attempting, plan.committed = nil, made
  if merged then
    made.is_merged, made.is_lost = true, is_lost
    session:note_others(cell)
  end
  session:remember(cell, made, sent)
  if session.observe then
    session:observe(cell, base, value, token, sent, copies, "committed", made)
  end
  return made
end

-- The write from what came of its first copy to what its caller is told of it.
local function resolve_first(session, plan, cell, base, value, token, last, merge, sent,
  deadline_of, course, has_sent, ok, said, first, second)
  local event, reason = event_of(plan, ok, said, has_sent)
  local action, a, b, copies
  action, reason, a, b, event, copies = resolve(session, plan, cell, base, value, token, last,
    merge, sent, event, reason, first, second, deadline_of, course)
  if action == "committed" then
    return action, settle(session, plan, cell, base, value, token, sent, copies, a,
      merge and b)
  end
  session.rtt = now() - sent
  plan.attempting = nil
  session:forget(cell)
  if action == "history_lost" then
    session:forget_last(cell)
  end
  if session.observe then
    session:observe(cell, base, value, token, sent, copies, action, a, b)
  end
  return result_of(session, plan, action, reason, a, b, token, event)
end

-- An outcome that is made before the write is sent: afterwards there may be no memory for one.
local function spare_outcome(session)
  session.spare = session.spare or outcome.new("unknown", { reason = "", token = "", attempts = 1,
    raised = false })
  return session.spare
end

local LOST_SIGHT = "the write was sent, and then something failed here, memory perhaps, before " ..
  "it was known what became of it"

--- Sends one attempt. value: text for the server, nil to delete. Returns "committed" and the new
-- base; "conflict" and what stands there now (nil where the store did not say); "busy" and the
-- server's words: it cannot work just now; or "unknown" or "history_lost" and an outcome. Raises
-- what the server or the caller refused, and what failed before anything was sent: never after.
-- "late": nothing was sent, the plan's deadline had passed. started: when that began to count.
--
-- deadline_of(session, plan, cell, course), or nil: by when an attempt whose reply was lost has to
-- end; asked only then.
-- From outside, if the run is cut, plan.attempting tells that it was under way, plan.is_ambiguous
-- that an earlier copy of it may have been applied, and plan.committed that it was.
function attempt.run(session, plan, cell, base, value, started, deadline_of, course)
  local limit = plan.deadline and started + plan.deadline
  if limit and now() >= limit then
    return "late"
  end
  local token, holder = session:begin_write(cell)
  local spare = session.spare or spare_outcome(session)
  local sent_before, sent = commands_sent(), now()
  session.attempts = session.attempts + 1
  plan.attempting, plan.is_ambiguous = token, nil
  local merge = plan.merge and value ~= nil and not base.is_bare and plan.merge or nil
  -- What the server merges may stand on more than this base.
  local last = session:last_before(cell, not merge and base or nil)
  local ok, result, a, b = limited(limit, plan.store.commit, cell, base, value, token, last, merge)
  local action = "committed"
  local is_committed = ok and result == action
  if is_committed then
    ok, result = pcall(settle, session, plan, cell, base, value, token, sent, 1, a,
      merge and b)
  else
    local has_sent = commands_sent() > sent_before
    ok, action, result = pcall(resolve_first, session, plan, cell, base, value, token, last, merge,
      sent, deadline_of, course, has_sent, ok, result, a, b)
    if not ok then
      result = action
    end
  end
  session:end_write(holder)
  if ok and action ~= "refused" then
    return action, result
  elseif ok or not is_committed and commands_sent() == sent_before then
    plan.attempting = nil
    error(result, 0)
  end
  -- From here on nothing may need memory.
  session.spare = nil
  spare.reason, spare.token, spare.raised = LOST_SIGHT, token, result
  return "unknown", spare
end

local UNRECORDED = -2 -- what kept.write says of a commit for which there was no memory any more

-- What became of a write that kept.write sent at `sent`, and that met this: as `run`, and the base.
local function resolve_kept(session, plan, cell, known, base_value, value, sequence, spare, sent,
  deadline_of, started, met, said)
  local token = session.writer .. "." .. sequence
  spare.token = token
  if met == UNRECORDED then
    error("not enough memory to write the commit down", 0)
  end
  local base = kept.base_of_write(known, base_value)
  local action, answer = resolve_first(session, plan, cell, base, value, token, nil, nil, sent,
    deadline_of, started, true, pcall(plan.undisturbed.answered, cell, base, value, token, met,
      said))
  return action, answer, base
end

--- The same on what is kept of the cell, `known`, in this edition, with this value: where nobody
-- disturbs it, by the way of src/lua/kept_write.c, which knows nothing but commits; all else is as
-- above.
-- Returns "committed", known and the version; or else the base as third result. nil: what is kept
-- is another state by now, and nothing was sent.
function attempt.run_on_kept(session, plan, cell, known, edition, base_value, value, started,
  deadline_of)
  local way, writing, place = plan.undisturbed, session.writing, cell.version_key
  if way and session.goes_unseen and not writing[place] then
    local spare, sequence = session.spare or spare_outcome(session), session.sequence + 1
    session.sequence, session.attempts = sequence, session.attempts + 1
    plan.attempting, plan.is_ambiguous = known, nil
    local version, at, met, said = kept.write(known, edition, writing, way.sha1, cell.key,
      place, value, session.writer, sequence, cell.expire or 0, cell.receipt_ms)
    if version then
      writing[place] = nil
      session.rtt = at -- for so long
      plan.attempting, plan.committed = nil, known
      return "committed", known, version
    elseif at then
      local ok, action, answer, base = pcall(resolve_kept, session, plan, cell, known, base_value,
        value, sequence, spare, at, deadline_of, started, met, said)
      writing[place] = nil
      if ok and action ~= "refused" then
        return action, answer, base
      elseif ok then
        error(answer, 0)
      end
      -- From here on nothing may need memory.
      session.spare = nil
      spare.reason, spare.raised = LOST_SIGHT, action
      return "unknown", spare
    end
    writing[place], plan.attempting = nil, nil
    session.attempts = session.attempts - 1
  end
  local base = kept.base_of(known, edition)
  if not base then
    return nil
  end
  local action, answer = attempt.run(session, plan, cell, base, value, started, deadline_of,
    started)
  return action, answer, base
end

return attempt
