-- merge "counter": theirs + (mine - base): both changes count. An absent value counts as 0. Whole
-- numbers are exact up to 2^53; beyond it the merge refuses rather than be wrong. Runs on Lua 5.1
-- and 5.4.

local number = require "vlock.text.number"

return {
  doc = "Add what mine added to base to theirs.",
  merge = function(_, c)
    local sum = number.add_change(c.base.value, c.theirs.value, c.mine, "merge 'counter': ")
    return type(c.mine) == "number" and sum or number.text(sum)
  end,
}
