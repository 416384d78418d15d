-- backoff "decorrelated": s = min(cap, U(base, 3 * s)); s starts at base. "Decorrelated Jitter" of
-- M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
return {
  doc = "Sleep a random time between base and three times the last sleep, at most cap.",
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)
    local last = c.state.slept or p.base
    c.state.slept = math.min(p.cap, p.base + c.random() * (3 * last - p.base))
    return c.state.slept
  end,
}
