-- busted's own runner, started as a script of vlockrun.
arg[0] = "busted"
require "busted.runner" ({ standalone = false })
