-- backoff "equal_jitter": e/2 + U(0, e/2) with e = min(cap, base * 2^n), n = failed attempts.
-- "Equal Jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
return {
  doc = "Sleep half of an exponentially growing time, and a random part of the other half.",
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)
    local half = math.min(p.cap, p.base * 2 ^ math.min(c.attempt, 1023)) / 2
    return half + c.random() * half
  end,
}
