-- Cells for C programs: what src/engine/cell.c calls. Results are flat: an outcome, then value,
-- version and stamp, or a reason.

local cache = require "vlock.cell.cache"
local codec = require "vlock.cell.codec"
local current = require "vlock.engine.current"
local update = require "vlock.cell.update"
local error_text = require "vlock.text.error_text"

-- A value as it stands in Redis: a merge may have made a number.
local function bytes_of(value)
  return codec.for_server(codec.string, value)
end

local ABORT = {} -- raised where the callback aborts

local embedding = { DELETE = update.DELETE, ABORT = ABORT }

-- The same options are the same table every time: a client keeps by it what it has worked out. A
-- program may name a version key for every key, so they are not kept for ever.
local known = cache.new(1024)

--- The options table of these fields, each nil where it is not given.
function embedding.options(retry, backoff, merge, policy, store, version_key, expire, ttl, deadline,
  receipts)
  local name = table.concat({ tostring(retry), tostring(backoff), tostring(merge), tostring(policy),
    tostring(store),
    tostring(version_key), tostring(expire), tostring(ttl), tostring(deadline),
    tostring(receipts) }, "\0")
  local options = known:get(name)
  if not options then
    options = {
      retry = retry,
      backoff = backoff,
      merge = merge,
      policy = policy,
      store = store,
      version_key = version_key,
      expire = expire,
      ttl = ttl,
      deadline = deadline,
      receipts = receipts and math.max(receipts, 0),
    }
    known:put(name, options)
  end
  return options
end

-- Raises where the key, the options, the policy or the store make no sense; otherwise `fate` tells
-- of this call from here on.
local function begin(key, options)
  local plan = current.client():prepare(key, options)
  plan.attempting, plan.committed = nil, nil
end

--- What became of a call whose run was cut: "committed" and the rest as of the call itself, where
-- its store had said so; "unknown", where an attempt was under way; else nil: surely nothing was
-- applied. was_cut_before_sending: whether what it waited for was never sent, which says nothing
-- where a copy had been sent before; was_nothing_sent: whether the call has sent no command at all.
function embedding.fate(key, options, was_cut_before_sending, was_nothing_sent)
  local plan = current.client():plan(key, options)
  local committed = plan.committed
  if committed then
    return "committed", bytes_of(committed.value), committed.version, committed.stamp
  end
  -- A store that keeps nothing has written nothing but by a command.
  local is_unsent = was_cut_before_sending or was_nothing_sent and plan.store.stateless
  if plan.attempting and (plan.is_ambiguous or not is_unsent) then
    return "unknown"
  end
end

-- What was raised, as an outcome and a reason.
local function failure(reason)
  if reason == ABORT then
    return "aborted", "the callback aborted the update"
  end
  local outcome = type(reason) == "table" and reason.outcome
  if reason == "not enough memory" or outcome == "unread" then
    return "memory", error_text(reason)
  elseif outcome == "unreachable" or outcome == "unknown" then
    return outcome, error_text(reason)
  end
  return type(reason) == "table" and reason.err and "refused" or "failed", error_text(reason)
end

-- The same of a call that has not begun: a write whose reply was lost is another one's, as of a
-- policy's file that writes while it is loaded.
local REFUSALS = { failed = "misuse", unknown = "misuse" }

local function refusal(reason)
  local outcome, text = failure(reason)
  return REFUSALS[outcome] or outcome, text
end

-- f(key, options, …), of which an error becomes an outcome. One that came after all was decided, as
-- of memory, changes nothing. on_begin() is called before anything may be applied.
local function guarded(f)
  return function(on_begin, key, options, ...)
    local has_begun, reason = pcall(begin, key, options)
    if not has_begun then
      return refusal(reason)
    end
    on_begin()
    local results = table.pack(pcall(f, key, options, ...))
    if results[1] then
      return table.unpack(results, 2, results.n)
    end
    local fate, value, version, stamp = embedding.fate(key, options)
    if fate == "unknown" then
      return fate, error_text(results[2])
    elseif fate then
      return fate, value, version, stamp
    end
    return failure(results[2])
  end
end

embedding.get = guarded(function(key, options)
  return "committed", current.client():get(key, options)
end)

embedding.compare_and_set = guarded(function(key, options, value, expected, is_present)
  local version, stamp = current.client():compare_and_set(key, value, expected, options, is_present)
  if version then
    return "committed", value, version, stamp
  end
  local outcome = stamp
  if outcome.outcome == "conflict" then
    return "conflict", outcome.value, outcome.version, outcome.stamp
  end
  return outcome.outcome, tostring(outcome)
end)

embedding.update = guarded(function(key, options, fn)
  local value, version, state = current.client():update_state(key, fn, options)
  if state then
    return "committed", bytes_of(value), state.version, state.stamp
  end
  return version.outcome, tostring(version)
end)

return embedding
