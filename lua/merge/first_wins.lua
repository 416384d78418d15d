-- merge "first_wins": theirs stays. The update commits theirs once more, as its own: its version
-- moves on, its value does not. Runs on Lua 5.1 and 5.4.
return {
  doc = "Keep theirs.",
  merge = function(_, c)
    return c.theirs.value
  end,
}
