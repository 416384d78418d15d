-- backoff "fast_first": 0 after the first failed attempt, then U(0, min(cap, base * 2^(n-1))),
-- n = failed attempts: full jitter behind one immediate retry, as `fastFirst` in Polly's
-- WaitAndRetry, and "Immediate retry" in "Transient fault handling" of the Azure Architecture
-- Center.
--
-- Where the store's conflict carries what stands there now, as most do, the first retry needs no
-- read, and is half as long open to the next conflict as one after a pause.
return {
  doc = "Retry once at once; then sleep as full_jitter does.",
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)
    if c.attempt == 1 then
      return 0
    end
    return c.random() * math.min(p.cap, p.base * 2 ^ math.min(c.attempt - 1, 1023))
  end,
}
