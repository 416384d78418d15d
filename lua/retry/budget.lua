-- retry "budget": a token bucket that all updates of one client share. Each retry takes a token; tokens come back at `rate` a second, up
-- to `burst`. However many updates collide, the client sends at most that many retries: what keeps a retry storm from feeding itself.
-- (The idea: M. Brooker, "Fixing retries with token buckets and circuit breakers", 2022.) The bucket belongs to this file's chunk,
-- which runs once per engine, and in the lab once per worker.

local tokens, filled_at

return {
  doc = "Give up when the client's budget of retries is used up.",
  params = {
    rate = { default = 100, doc = "retries a second that are earned" },
    burst = { default = 50, min = 1, doc = "retries that can be saved up" },
  },
  retry = function(p, c)
    local now = c.now()
    tokens = math.min(p.burst, (tokens or p.burst) + (now - (filled_at or now)) * p.rate)
    filled_at = now
    if tokens < 1 then
      return false, "the budget of retries is used up"
    end
    tokens = tokens - 1
    return true
  end,
}
