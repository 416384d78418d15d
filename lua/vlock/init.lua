-- The `vlock` library of scripts: one client, the policies, and what scripts need of time and
-- tasks.

local core = require "vlock.core"
local current = require "vlock.engine.current"
local update = require "vlock.cell.update"

local vlock = {
  DELETE = update.DELETE,

  --- spawn(function, …): runs it as a task beside this one; the handle has :join(). The run ends
  -- when all its tasks have ended.
  spawn = core.spawn,
  --- run(function, …): calls it inside of a task and returns its results. In a program that is no
  -- task of ours (module.lua) it is where tasks can be spawned: it waits for all of them. In a task
  -- it is a call.
  run = core.run,
  --- sleep(seconds): other tasks run meanwhile.
  sleep = core.sleep,
  --- now(): seconds on a clock that never goes back; only differences mean something.
  now = core.now,
  --- random(): uniform in [0,1), from the stream that --seed starts.
  random = core.random,
}

--- policy(spec): an instance of a policy, for use outside of `update`: retry(c), backoff(c),
-- merge(c), describe().
vlock.policy = current.policy

--- all {…}, any {…}: several retry policies as one.
function vlock.all(list)
  return require("vlock.policy.policy").all(list)
end

function vlock.any(list)
  return require("vlock.policy.policy").any(list)
end

-- get, compare_and_set, update, delete: see lua/vlock/cell/client.lua.
for _, name in ipairs { "get", "compare_and_set", "update", "delete" } do
  vlock[name] = function(...)
    local one = current.client()
    return one[name](one, ...)
  end
end

return vlock
