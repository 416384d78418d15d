-- backoff "full_jitter": U(0, min(cap, base * 2^n)), n = failed attempts. "Full Jitter" of M.
-- Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
return {
  doc = "Sleep a uniform random time below an exponentially growing ceiling.",
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)
    return c.random() * math.min(p.cap, p.base * 2 ^ math.min(c.attempt, 1023))
  end,
}
