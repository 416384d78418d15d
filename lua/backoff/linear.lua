-- backoff "linear": min(cap, base * n), n = failed attempts.
return {
  doc = "Sleep base * n, at most cap.",
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)
    return math.min(p.cap, p.base * c.attempt)
  end,
}
