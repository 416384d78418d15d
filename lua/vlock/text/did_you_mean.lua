-- What a mistyped word may have meant.

local core = require "vlock.core"

--- ", did you mean 'attempts'?" where one of the known words is near to this one; else "". As it
-- goes on behind the word.
return function(word, known)
  local near = core.nearest(tostring(word), known)
  return near and (", did you mean '%s'?"):format(near) or ""
end
