-- retry "budget": a token bucket filled by successes. Each commit earns a part of a token, each
-- retry takes one: where little succeeds, little is tried again, which keeps a storm of retries
-- from feeding itself. (A tenth of a token for each success: M. Brooker, "Fixing retries with token
-- buckets and circuit breakers", 2022. Finagle's RetryBudget: a fifth, and a floor of 10 a second.)
-- A conflict is proof that the server works and somebody else was faster, so retries of conflicts
-- want a generous budget or none: c.cause tells them from overload. Updates of one client share a
-- bucket where name and parameters are the same; other parameters, another bucket. The file's chunk
-- runs once per engine, and in the lab once per worker.

local buckets = {} -- by name and parameters

local function bucket_of(p)
  local key = ("%s\0%s\0%s\0%s"):format(p.name, p.earns, p.floor, p.burst)
  local bucket = buckets[key] or { tokens = p.burst }
  buckets[key] = bucket
  return bucket
end

return {
  doc = "Give up when more is tried again than what succeeds pays for.",
  params = {
    earns = { default = 0.1, doc = "tokens that a success earns" },
    floor = { default = 10, doc = "tokens a second that are earned whatever succeeds" },
    burst = { default = 50, min = 1, doc = "tokens that can be saved up" },
    name = { default = "", doc = "of the bucket: uses of the same name and parameters share one" },
  },
  retry = function(p, c)
    local bucket, now = bucket_of(p), c.now()
    bucket.tokens = math.min(p.burst,
      bucket.tokens + math.max(now - (bucket.filled_at or now), 0) * p.floor)
    bucket.filled_at = now
    if bucket.tokens < 1 - 1e-9 then -- tenths add up to a little less
      return false, "the budget of retries is used up"
    end
    -- Called where the retry is made: no other part of the policy refused it.
    return true, nil, function()
      bucket.tokens = bucket.tokens - 1
    end
  end,
  on_success = function(p)
    local bucket = bucket_of(p)
    bucket.tokens = math.min(p.burst, bucket.tokens + p.earns)
  end,
}
