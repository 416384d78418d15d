-- Cells for C programs: what src/cell.c calls. Results are flat: an outcome, then value, version and stamp, or a reason.

local present = require "vlock.present"
local update = require "vlock.update"

local embedding = { DELETE = update.DELETE }

-- The same options are the same table every time: a client keeps by it what it has worked out.
local known = {}

--- The options table of these fields, each nil where it is not given.
function embedding.options(retry, backoff, merge, policy, store, version_key, expire, ttl, deadline)
  local name = table.concat({ tostring(retry), tostring(backoff), tostring(merge), tostring(policy), tostring(store),
    tostring(version_key), tostring(expire), tostring(ttl), tostring(deadline) }, "\0")
  local options = known[name]
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
    }
    known[name] = options
  end
  return options
end

function embedding.get(key, options)
  return "committed", present.client():get(key, options)
end

function embedding.compare_and_set(key, options, value, expected)
  local version, stamp = present.client():compare_and_set(key, value, expected, options)
  if version then
    return "committed", value, version, stamp
  end
  local outcome = stamp
  if outcome.outcome == "conflict" then
    return "conflict", outcome.value, outcome.version, outcome.stamp
  end
  return outcome.outcome, tostring(outcome)
end

function embedding.update(key, options, fn)
  local value, version, state = present.client():update_state(key, fn, options)
  if state then
    return "committed", value, state.version, state.stamp
  end
  return version.outcome, tostring(version)
end

return embedding
