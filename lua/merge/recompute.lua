-- merge "recompute": the update function is called again, on theirs. Always right; the update
-- function must have no side effects.
return {
  doc = "Call the update function again on theirs.",
  merge = function()
    return nil
  end,
}
