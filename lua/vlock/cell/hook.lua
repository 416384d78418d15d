-- Functions of others that are told of an update, or asked about it, where what they raise changes
-- nothing of it.

local cache = require "vlock.cell.cache"
local connections = require "vlock.redis_core"
local error_text = require "vlock.text.error_text"

local hook = {}

local logged = cache.new(64) -- by what it was about: the last line in the log

--- A line in the log, but not the same one again and again: about what, and what is the matter.
function hook.note(what, matter)
  if logged:get(what) ~= matter then
    logged:put(what, matter)
    connections.log(connections.LOG_WARNING, what .. matter)
  end
end

--- f(…), called `what` in the log where it raises: then nil.
function hook.call(what, f, ...)
  local ok, result = pcall(f, ...)
  if ok then
    return result
  end
  hook.note(what, " raised: " .. error_text(result))
end

return hook
