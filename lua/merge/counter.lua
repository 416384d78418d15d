-- merge "counter": theirs + (mine - base): both changes count. An absent value counts as 0. A sum of whole numbers beyond 2^53 cannot be
-- exact and is refused. Runs on Lua 5.1 and 5.4.

local number = require "vlock.number"

return {
  doc = "Add what mine added to base to theirs.",
  merge = function(_, c)
    local base = number.read(c.base.value, "merge 'counter': base", 0)
    local theirs = number.read(c.theirs.value, "merge 'counter': theirs", 0)
    local sum = theirs + (number.read(c.mine, "merge 'counter': mine", 0) - base)
    if sum == math.floor(sum) and (sum > number.EXACT or sum < -number.EXACT) then
      error("merge 'counter': the sum is beyond 2^53 and cannot be exact", 0)
    end
    return type(c.mine) == "number" and sum or number.text(sum)
  end,
}
