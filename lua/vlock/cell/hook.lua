-- Functions of others that are told of an update, or asked about it, where what they raise changes
-- nothing of it.

local cache = require "vlock.cell.cache"
local connections = require "vlock.redis_core"
local error_text = require "vlock.text.error_text"

local hook = {}

local logged = cache.new(64) -- by what raised: its last line in the log

-- A line in the log, but not the same one again and again.
local function log_failure(what, reason)
  local line = ("%s raised: %s"):format(what, error_text(reason))
  if logged:get(what) ~= line then
    logged:put(what, line)
    connections.log(connections.LOG_WARNING, line)
  end
end

--- f(…), called `what` in the log where it raises: then nil.
function hook.call(what, f, ...)
  local ok, result = pcall(f, ...)
  if ok then
    return result
  end
  log_failure(what, result)
end

return hook
