-- What vlockrun has to say beside its results, on standard error.

local printable = require "vlock.printable"

--- say(format, ...): a message, behind the command's name.
return function(...)
  io.stderr:write("vlockrun: ", printable.text(string.format(...)), "\n")
end
