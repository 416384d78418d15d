-- retry "deadline": for a time, counted from the beginning of the update.
return {
  doc = "Give up once max has passed since the update began.",
  params = { max = { default = "30s", doc = "time" } },
  retry = function(p, c)
    if c.elapsed < p.max then
      return true
    end
    return false, ("the deadline of %g s has passed"):format(p.max)
  end,
}
