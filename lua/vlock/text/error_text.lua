-- An error value in words.

local core = require "vlock.core"

--- The text of what was raised: also of a table that carries it as `err`, as error replies do and
-- scripts may.
return function(reason)
  if type(reason) == "table" and type(rawget(reason, "err")) == "string" then
    return rawget(reason, "err")
  end
  if reason == "not enough memory" then
    return core.shortage()
  end
  return tostring(reason)
end
