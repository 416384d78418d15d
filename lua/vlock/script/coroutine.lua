-- Coroutines for scripts. A function that waits (redis.call, vlock.sleep) parks the task by
-- yielding a tag. Where the waiting code runs inside a coroutine of the script's own, that yield
-- first arrives at whoever resumed it: here. It is handed on, outwards to the scheduler, and what
-- the scheduler answers is handed back, so that a generator may call the server between two of its
-- values.

local core = require "vlock.core"

local create, yield, status, close = coroutine.create, coroutine.yield, coroutine.status,
  coroutine.close
local resume = core.resume
local TAG = core.tag()

-- Variables that are closed here cannot wait: an error of theirs says why.
local function close_saying(co, why)
  local ok, closed, reason = core.close(why, close, co)
  if not ok then
    error(closed, 3)
  end
  return closed, reason
end

-- Coroutines that wait for the scheduler: nobody else may resume them.
local waiting = setmetatable({}, { __mode = "k" })

local pass

local function go_on(co, ...)
  waiting[co] = nil
  return pass(co, resume(co, ...))
end

function pass(co, ok, first, ...)
  if ok and first == TAG and status(co) == "suspended" then
    waiting[co] = true
    return go_on(co, yield(TAG))
  end
  return ok, first, ...
end

local function resume_and_pass(co, ...)
  if waiting[co] then
    return false, "cannot resume a coroutine that waits for the server"
  end
  return pass(co, resume(co, ...))
end

local function raise_or_return(co, ok, ...)
  if ok then
    return ...
  end
  local reason = ...
  if status(co) == "dead" then
    local closed, other = close_saying(co, "whose coroutine has failed")
    reason = closed and reason or other
  end
  if type(reason) == "string" and not reason:find("^[^\n]-:%d+: ") then
    error(reason, 3)
  end
  error(reason, 0)
end

return {
  create = create,
  resume = resume_and_pass,

  wrap = function(f)
    local co = create(f)
    return function(...)
      return raise_or_return(co, resume_and_pass(co, ...))
    end
  end,

  close = function(co)
    if waiting[co] then
      error("cannot close a coroutine that waits for the server", 2)
    end
    return close_saying(co, "that coroutine.close closes")
  end,
}
