-- One attempt: a write is sent, and sent again where its reply is lost, until it is known what
-- became of it or nobody can know any more. The rules are vlock.cell.resolver's.

local connections = require "vlock.redis_core"
local core = require "vlock.core"
local error_text = require "vlock.text.error_text"
local hook = require "vlock.cell.hook"
local outcome = require "vlock.cell.outcome"
local resolver = require "vlock.cell.resolver"
local server_error = require "vlock.cell.server_error"
local state = require "vlock.cell.state"

local now = core.now

local attempt = {}

-- What a store may say of a write.
local SAID = { committed = true, conflict = true, history_lost = true, undecidable = true }

-- The state that a commit made. Whatever the store's `version` raises now: it is written.
local function committed_state(plan, value, stamp, expires_at)
  local what = ("version of the store '%s'"):format(plan.store_name)
  return hook.call(what, state.new, plan.store, value, stamp, expires_at)
    or { value = value, is_present = value ~= nil, stamp = stamp, version = 0 }
end

-- What raised tells of a copy: an event of the resolver and what to say, or to raise.
local function event_of_error(reason, has_sent)
  local text = type(reason) == "table" and rawget(reason, "err")
  if outcome.is(reason, "unknown") then
    return "lost", error_text(reason)
  elseif outcome.is(reason, "unreachable") then
    return "unreachable", reason
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

-- One copy, by `send`: the event, its reason, and what else the store said.
local function send_copy(plan, send, cell, base, value, token)
  local sent_before = connections.commands_sent()
  local ok, result, a, b = pcall(send, cell, base, value, token)
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
    raised = event == "broken" and reason or nil,
  })
end

local LOST_HISTORY = "the server went back behind what was read or written: it lost writes, or " ..
  "the version record was deleted"

-- Sends copies until the resolver ends it: the action, its reason, what the store said last, the
-- event that ended it, and the number of copies.
local function resolve(session, plan, cell, base, value, token, deadline_of, course)
  local sent = now()
  local copies = 1
  local event, reason, a, b = send_copy(plan, plan.store.commit, cell, base, value, token)
  if event == "committed" then
    return event, nil, a, b, event, copies
  end
  local trust = trust_of(cell, base)
  local limit = sent + trust
  if event == "lost" and deadline_of then
    limit = math.min(limit, deadline_of(course))
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
      event, reason, a, b = send_copy(plan, plan.store.resolve, cell, base, value, token)
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
  elseif action == "busy" then
    return "busy", reason
  elseif action == "history_lost" then
    return action, outcome_of(action, LOST_HISTORY, token)
  elseif action == "unknown" then
    return action, outcome_of(action, reason, token, event)
  end
  error(reason, 0)
end

--- Sends one attempt. value: text for the server, nil to delete. Returns "committed" and the new
-- base; "conflict" and what stands there now (nil where the store did not say); "busy" and the
-- server's words: it cannot work just now; or "unknown" or "history_lost" and an outcome. Raises
-- what the server or the caller refused.
--
-- deadline_of(course), or nil: by when an attempt whose reply was lost has to end; asked only then.
-- From outside, if the run is cut, plan.attempting tells that it was under way, plan.is_ambiguous
-- that an earlier copy of it may have been applied, and plan.committed that it was.
function attempt.run(session, plan, cell, base, value, deadline_of, course)
  local token, holder = session:begin_write(cell)
  local sent = now()
  session.attempts = session.attempts + 1
  plan.attempting, plan.is_ambiguous = token, nil
  local action, reason, a, b, event, copies = resolve(session, plan, cell, base, value, token,
    deadline_of, course)
  session:end_write(holder)
  session.rtt = now() - sent
  if action == "committed" then
    plan.committed = { value = value, stamp = a, version = 0 }
    local expires_at = state.expiry_of_written(cell, base, value, sent)
    local committed = committed_state(plan, value, a, expires_at)
    plan.attempting, plan.committed = nil, committed
    session:remember(cell, committed)
    if session.observe then
      session.observe(cell, base, value, token, sent, copies, action, a)
    end
    return action, committed
  end
  plan.attempting = nil
  session:forget(cell)
  if session.observe then
    session.observe(cell, base, value, token, sent, copies, action)
  end
  return result_of(session, plan, action, reason, a, b, token, event)
end

return attempt
