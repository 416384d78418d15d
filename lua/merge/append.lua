-- merge "append": what mine appended to base goes behind theirs. For texts that only grow: logs,
-- lists with separators. An absent value counts as empty. Runs on Lua 5.1 and 5.4.
return {
  doc = "Append to theirs what mine appended to base.",
  merge = function(_, c)
    local base, theirs, mine = c.base.value or "", c.theirs.value or "", c.mine
    if type(mine) ~= "string" or type(base) ~= "string" or type(theirs) ~= "string" then
      error("merge 'append': values must be texts", 0)
    end
    if string.sub(mine, 1, #base) ~= base then
      error("merge 'append': mine does not begin with base: it was changed, not appended to", 0)
    end
    return theirs .. string.sub(mine, #base + 1)
  end,
}
