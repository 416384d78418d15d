-- merge "last_wins": mine is written over theirs, which is lost knowingly: for values of which only
-- the newest counts. Runs on Lua 5.1 and 5.4.
return {
  doc = "Write mine over theirs.",
  merge = function(_, c)
    return c.mine
  end,
}
