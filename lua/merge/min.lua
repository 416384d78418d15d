-- merge "min": the smaller of theirs and mine, both numbers; an absent one loses. Whole numbers of
-- any length are compared exactly. Runs on Lua 5.1 and 5.4.

local number = require "vlock.text.number"

return {
  doc = "Write the smaller of theirs and mine.",
  merge = function(_, c)
    local theirs = number.read(c.theirs.value, "merge 'min': theirs", nil)
    local mine = number.read(c.mine, "merge 'min': mine", nil)
    if theirs and (not mine or number.compare(c.theirs.value, c.mine) < 0) then
      return c.theirs.value
    end
    return c.mine
  end,
}
