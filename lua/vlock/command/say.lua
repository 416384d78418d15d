-- What vlockrun has to say beside its results, on standard error.

local core = require "vlock.core"
local printable = require "vlock.text.printable"

--- say(format, ...): a message, behind the command's name and without passwords.
return function(...)
  io.stderr:write("vlockrun: ", printable.text(core.hidden(string.format(...))), "\n")
end
