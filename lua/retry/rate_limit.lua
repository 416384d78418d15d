-- retry "rate_limit": a token bucket filled by time. Each retry takes a token; tokens come back at
-- `rate` a second, up to `burst`. However many updates collide, the client sends at most that many
-- retries. It knows nothing of how many succeed: see "budget". Updates of one client share a bucket
-- where name and parameters are the same; other parameters, another bucket. The file's chunk runs
-- once per engine, and in the lab once per worker.

local buckets = {} -- by name and parameters

return {
  doc = "Give up when more retries come than rate a second, and burst at once.",
  params = {
    rate = { default = 100, doc = "retries a second that are earned" },
    burst = { default = 50, min = 1, doc = "retries that can be saved up" },
    name = { default = "", doc = "of the bucket: uses of the same name and parameters share one" },
  },
  retry = function(p, c)
    local now, key = c.now(), ("%s\0%s\0%s"):format(p.name, p.rate, p.burst)
    local bucket = buckets[key] or { tokens = p.burst, filled_at = now }
    buckets[key] = bucket
    bucket.tokens = math.min(p.burst, bucket.tokens + math.max(now - bucket.filled_at, 0) * p.rate)
    bucket.filled_at = now
    if bucket.tokens < 1 then
      return false, "the limit of retries a second is reached"
    end
    -- Called where the retry is made: no other part of the policy refused it.
    return true, nil, function()
      bucket.tokens = bucket.tokens - 1
    end
  end,
}
