-- retry "deadline": for a time, counted from the beginning of the update. A pause that would
-- outlast it is not begun.
return {
  doc = "Give up once max has passed since the update began.",
  params = { max = { default = "30s", doc = "time" } },
  retry = function(p, c)
    if c.elapsed < p.max then
      return true, p.max -- and until when
    end
    return false, ("the deadline of %g s has passed"):format(p.max)
  end,
}
