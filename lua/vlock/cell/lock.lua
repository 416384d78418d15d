-- A lock for steps of several commands: one task at a time. A holder that was ended, wherever it
-- stood, holds it no more.

local core = require "vlock.core"

local Lock = {}
Lock.__index = Lock

local OUTSIDE = {} -- holds it where code outside of tasks does

-- Code outside of tasks waits for what it calls: where it asks again, it is not inside any more.
local function is_held(lock)
  local holder = lock.holder
  if holder == OUTSIDE then
    return core.task() ~= nil
  end
  return holder ~= nil and core.is_alive(holder)
end

--- Waits until nobody holds it, and takes it. Returns whether the last one to hold it let it go
-- itself: else what the lock is for may have been left half done.
function Lock:take()
  while is_held(self) do
    core.sleep(0.001)
  end
  local was_released = self.holder == nil
  self.holder = core.task() or OUTSIDE
  return was_released
end

--- Whether the running task holds it.
function Lock:is_mine()
  return is_held(self) and self.holder == core.task()
end

--- Lets it go.
function Lock:release()
  self.holder = nil
end

return {
  new = function()
    return setmetatable({}, Lock)
  end,
}
