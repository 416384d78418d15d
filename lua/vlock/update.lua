-- The update loop: read, compute, compare-and-set, and what happens when somebody else was faster.
--
-- The order of a conflict: retry (may give up) -> backoff -> sleep -> where that took longer than a round trip, read again -> merge, or
-- the update function, on what was just read -> attempt. The value that a conflict carries serves immediate retries only: a base that
-- was carried through a sleep is as old as the sleep, and loses to whoever has just committed.

local codecs = require "vlock.codec"
local core = require "vlock.core"
local outcome = require "vlock.outcome"

local now, sleep = core.now, core.sleep

local DELETE = setmetatable({}, {
  __tostring = function()
    return "vlock.DELETE"
  end,
})

local update = { DELETE = DELETE }

-- A state of the cell as its store reported it.
local function new_base(store, value, stamp)
  return { value = value, stamp = stamp, version = store.version and store.version(stamp) or 0 }
end

local function is_unknown(reason)
  return type(reason) == "table" and reason.outcome == "unknown"
end

local MOST_READS = 5 -- of one state, where connections die

--- store.read(cell), once more where the connection died meanwhile: what was only read may be read again.
function update.read_again(store, cell)
  for _ = 2, MOST_READS do
    local ok, value, stamp = pcall(store.read, cell)
    if ok then
      return value, stamp
    elseif not is_unknown(value) then
      error(value, 0)
    end
  end
  return store.read(cell)
end

--- One atomic read: a base.
function update.read(_, plan, cell)
  return new_base(plan.store, update.read_again(plan.store, cell))
end

--- Sends one attempt. value: text for the server, nil to delete. Returns "committed" and the new base; "conflict" and what stands there
-- now (nil where the store did not say); or "unknown" and an outcome. Raises what the server or the caller refused.
function update.attempt(client, plan, cell, base, value, token)
  client.attempts = client.attempts + 1
  local sent = now()
  local ok, result, a, b = pcall(plan.store.commit, cell, base, value, token)
  client.rtt = now() - sent
  if not ok then
    client:forget_base(cell)
    if not is_unknown(result) then
      error(result, 0)
    end
    return "unknown", outcome.new("unknown", { reason = tostring(result), token = token })
  end
  if result == "committed" then
    local committed = new_base(plan.store, value, a)
    client:keep_base(cell, committed)
    return "committed", committed
  elseif result == "conflict" then
    client.conflicts = client.conflicts + 1
    client:forget_base(cell)
    return "conflict", b and new_base(plan.store, a, b) or nil
  end
  error(("the store '%s' returned %s from commit: it must be \"committed\" or \"conflict\""):format(plan.store_name, tostring(result)), 0)
end

--- What the update function makes of a base: "write", the text to write and what to return for it; or "leave", as it is. A plan may have
-- another `compute` (vlock.combine has), which is also told whether the base was only kept.
function update.compute(plan, fn, base)
  local wanted = fn(plan.codec.decode(base.value), base.version)
  if wanted == nil then
    return "leave"
  elseif wanted == DELETE then
    return "write", nil, nil
  end
  return "write", codecs.for_server(plan.codec, wanted), wanted
end

-- A decision not to write, or an error, on a base that was only kept counts for nothing: the same on a fresh read.
local function first_decision(client, plan, cell, fn)
  local base = client:kept_base(cell)
  if base then
    local ok, decision, text, wanted = pcall(plan.compute, plan, fn, base, true)
    if ok and decision == "write" then
      return base, decision, text, wanted
    end
  end
  base = update.read(client, plan, cell)
  return base, plan.compute(plan, fn, base, false)
end

local function shown(plan, base)
  return { value = plan.codec.decode(base.value), version = base.version }
end

-- What the policy is told: see lua/README.md for every field.
local function new_conflict(client, plan, cell)
  return {
    key = cell.key,
    codec = plan.codec.name,
    attempt = 0,
    elapsed = 0,
    rtt = 0,
    gap = 0,
    worker = client.worker,
    state = {},
    random = client.random,
    now = now,
  }
end

local function give_up(policy, c, reason)
  if policy.on_give_up then
    policy.on_give_up(c, reason)
  end
  return nil, outcome.new("gave_up", { reason = reason, attempts = c.attempt, theirs = c.theirs })
end

-- Sleeps as the policy says, within the deadline of the options. False and a reason: it gave up.
local function wait(plan, policy, c, started)
  c.elapsed = now() - started
  local goes_on, reason = policy.retry(c)
  if not goes_on then
    return false, reason or "the policy ended it"
  end
  local seconds = policy.backoff(c)
  if plan.deadline and c.elapsed + seconds > plan.deadline then
    return false, ("the deadline of %s would pass"):format(core.format_duration(plan.deadline))
  end
  if seconds > 0 then
    sleep(seconds)
  end
  return true, seconds
end

-- What to write over theirs: the merge's result, or what the update function makes of it. A deletion is not merged: whether it still
-- holds is the update function's to say.
local function resolve(plan, policy, c, fn, theirs)
  local merged
  if c.mine ~= nil then -- false is a value, under the json codec
    merged = policy.merge(c)
  end
  if merged ~= nil then
    if merged == DELETE then
      return "write", nil, nil
    end
    return "write", codecs.for_server(plan.codec, merged), merged
  end
  return plan.compute(plan, fn, theirs, false)
end

--- See Client:update. The third result is the state that was written or left, the fourth whether it was left.
function update.run(client, plan, cell, fn)
  local started = now()
  local base, decision, text, wanted = first_decision(client, plan, cell, fn)
  local policy, c = plan.policy, nil
  while decision == "write" do
    local result, theirs = update.attempt(client, plan, cell, base, text, client:token())
    if result == "committed" then
      if c and policy.on_commit then
        c.elapsed = now() - started
        policy.on_commit(c)
      end
      return wanted, theirs.version, theirs
    elseif result == "unknown" then
      theirs.attempts = (c and c.attempt or 0) + 1
      return nil, theirs
    end

    c = c or new_conflict(client, plan, cell)
    c.attempt = c.attempt + 1
    c.rtt = client.rtt
    c.base, c.mine = shown(plan, base), wanted
    if theirs then
      c.theirs, c.gap = shown(plan, theirs), theirs.version - base.version
    end
    if policy.on_conflict then
      policy.on_conflict(c)
    end
    local goes_on, slept = wait(plan, policy, c, started)
    if not goes_on then
      return give_up(policy, c, slept)
    end
    if not theirs or slept > c.rtt then
      theirs = update.read(client, plan, cell)
      c.theirs, c.gap = shown(plan, theirs), theirs.version - base.version
    end
    decision, text, wanted = resolve(plan, policy, c, fn, theirs)
    base = theirs
  end
  return plan.codec.decode(base.value), base.version, base, true
end

return update
