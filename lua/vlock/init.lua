-- The `vlock` library of scripts: one client, the policies, and what scripts need of time and tasks.

local clients = require "vlock.client"
local core = require "vlock.core"
local update = require "vlock.update"

local vlock = {
  DELETE = update.DELETE,

  --- spawn(function, …): runs it as a task beside this one; the handle has :join(). The run ends when all its tasks have ended.
  spawn = core.spawn,
  --- sleep(seconds): other tasks run meanwhile.
  sleep = core.sleep,
  --- now(): seconds on a clock that never goes back; only differences mean something.
  now = core.now,
  --- random(): uniform in [0,1), from the stream that --seed starts.
  random = core.random,
}

local function policies()
  return require "vlock.policy"
end

local context -- where the script's policies are looked for

--- Where files are looked for first: called by the command with the script's folder.
function vlock.set_script_folder(folder)
  context = require("vlock.search").context(folder)
end

local function present_context()
  context = context or require("vlock.search").context(nil)
  return context
end

--- policy(spec): an instance of a policy, for use outside of `update`: retry(c), backoff(c), merge(c), describe().
function vlock.policy(spec)
  return policies().new(spec, present_context())
end

--- all {…}, any {…}: several retry policies as one.
function vlock.all(list)
  return policies().all(list)
end

function vlock.any(list)
  return policies().any(list)
end

local function policy_of(opts)
  return vlock.policy(opts.policy or { retry = opts.retry, backoff = opts.backoff, merge = opts.merge })
end

local function store_of(name)
  return require("vlock.store").new(name, present_context())
end

local client -- made at first use

local function present_client()
  client = client or clients.new { policies = policy_of, stores = store_of }
  return client
end

-- get, compare_and_set, update, delete: see lua/vlock/client.lua.
for _, name in ipairs { "get", "compare_and_set", "update", "delete" } do
  vlock[name] = function(...)
    local one = present_client()
    return one[name](one, ...)
  end
end

return vlock
