-- retry "attempts": up to a number of failed attempts.
return {
  doc = "Give up after max failed attempts.",
  params = { max = { default = 20, min = 1, doc = "failed attempts" } },
  retry = function(p, c)
    if c.attempt < p.max then
      return true
    end
    return false, ("%d attempt%s failed"):format(c.attempt, c.attempt == 1 and "" or "s")
  end,
}
