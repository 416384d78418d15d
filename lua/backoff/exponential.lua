-- backoff "exponential": min(cap, base * 2^n), n = failed attempts. Without jitter: see M. Brooker,
-- "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, for why it is not enough.
return {
  doc = "Sleep base * 2^n, at most cap.",
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)
    return math.min(p.cap, p.base * 2 ^ math.min(c.attempt, 1023))
  end,
}
