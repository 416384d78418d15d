-- busted's own runner in a stock lua5.4, with the module `vlock`: specs see the names that files of
-- policies see, and their calls block.
local vlock = require "vlock"
vlock.open { private_server = true }

local names = require "module_names" (vlock)
for name, value in pairs(names) do
  if name ~= "coroutine" then -- the program's own: what waits inside of them blocks
    _G[name] = value
  end
end

arg[0] = "busted"
require "busted.runner" ({ standalone = false })
