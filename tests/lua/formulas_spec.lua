-- Properties of the bundled backoffs over the whole range of their parameters, the smallest and the
-- largest included; deadlines in time.

local policy = require "vlock.policy.policy"
local search = require "vlock.policy.search"

local function instance(spec)
  return policy.new(spec, search.context("."))
end

-- Seconds: what a backoff may return at all.
local TIMES = { 0, 1e-290, 1e-9, 0.001, 1, 86400, 1e9 - 1 }
local ATTEMPTS = { 1, 2, 3, 52, 1022, 1023, 1024, 5000, 2 ^ 53 }
local RANDOMS = { 0, 0.5, 1 - 2 ^ -53 }

local function each(f)
  for _, base in ipairs(TIMES) do
    for _, cap in ipairs(TIMES) do
      for _, attempt in ipairs(ATTEMPTS) do
        for _, random in ipairs(RANDOMS) do
          f(base, cap, attempt, random)
        end
      end
    end
  end
end

local function wait_of(one, attempt, random, state)
  return one.backoff { attempt = attempt, state = state or {}, gap = 1, rtt = 0.001, elapsed = 0,
    random = function() return random end }
end

-- The exponential ceiling, by doubling: what 2^n means where 2^n is no float any more.
local function ceiling(base, cap, attempt)
  local value = base
  for _ = 1, math.min(attempt, 2200) do
    value = value * 2
    if value >= cap then
      return cap
    end
  end
  return math.min(value, cap)
end

describe("for all parameters", function()
  local expected = {
    exponential = function(limit) return limit end,
    full_jitter = function(limit, random) return limit * random end,
    equal_jitter = function(limit, random) return limit / 2 + limit / 2 * random end,
  }
  for name, formula in pairs(expected) do
    it(name .. " is its formula", function()
      each(function(base, cap, attempt, random)
        local one = instance { backoff = { name, base = base, cap = cap } }
        local seconds, wanted = wait_of(one, attempt, random),
          formula(ceiling(base, cap, attempt), random)
        assert.is_true(math.abs(seconds - wanted) <= wanted * 1e-12,
          ("%s %g %g %g %g: %g"):format(name, base, cap, attempt, random, seconds))
      end)
    end)
  end

  it("fast_first is full_jitter, one attempt behind", function()
    each(function(base, cap, attempt, random)
      local spec = { "full_jitter", base = base, cap = cap }
      local jitter = instance { backoff = spec }
      spec[1] = "fast_first"
      local one = instance { backoff = spec }
      assert.are.equal(0, wait_of(one, 1, random))
      assert.are.equal(wait_of(jitter, attempt, random), wait_of(one, attempt + 1, random))
    end)
  end)

  it("linear and decorrelated stay between 0 and their cap", function()
    each(function(base, cap, attempt, random)
      local linear, decorrelated = instance { backoff = { "linear", base = base, cap = cap } },
        instance { backoff = { "decorrelated", base = base, cap = cap } }
      assert.are.equal(math.min(cap, base * attempt), wait_of(linear, attempt, random))
      local state = {}
      for _ = 1, 50 do
        local seconds = wait_of(decorrelated, attempt, random, state)
        assert.is_true(seconds >= 0 and seconds <= cap)
      end
    end)
  end)
end)

describe("a deadline", function()
  local function add(value)
    return (tonumber(value) or 0) + 1
  end

  -- An update that conflicts every time; returns the outcome and how long it took.
  local function contended(options)
    local key = "deadline:" .. vlock.random()
    local started = vlock.now()
    local value, outcome = vlock.update(key, function(value, version)
      vlock.compare_and_set(key, add(value), version)
      return add(value)
    end, options)
    assert.is_nil(value)
    return outcome, vlock.now() - started
  end

  -- The pauses are long: a deadline that passes while a write is under way leaves it unknown.
  it("is not overslept, whether the policy sets it or the options do", function()
    for _, options in ipairs {
      { retry = { "deadline", max = "500ms" }, backoff = { "fixed", pause = "20s" } },
      { retry = "forever", deadline = "500ms", backoff = { "fixed", pause = "20s" } },
      { retry = { "deadline", max = "500ms" }, backoff = { "fixed", pause = "200ms" } },
      { retry = "forever", deadline = "500ms", backoff = { "fixed", pause = "200ms" } },
    } do
      local outcome, seconds = contended(options)
      assert.are.equal("gave_up", outcome.outcome)
      assert.matches("^the deadline of .* would pass$",
        -- Where the machine is slow.
        (outcome.reason:gsub("has passed.*", "would pass")))
      assert.is_true(seconds < 3, seconds)
    end
  end)
end)

describe("the cause of a retry", function()
  it("is a conflict, or a server that is busy", function()
    local causes, key = {}, "cause"
    local policy_of = {
      retry = function(_, c)
        causes[#causes + 1] = c.cause
        return c.attempt < 500
      end,
      backoff = function(_, c) return c.cause == "busy" and 0.005 or 0 end,
    }
    local is_first = true
    vlock.update(key, function(_, version)
      if is_first then
        is_first = false
        vlock.compare_and_set(key, "theirs", version)
      end
      return "mine"
    end, { policy = policy_of })
    assert.are.same({ "conflict" }, causes)

    causes = {}
    local before = redis.call("CONFIG", "GET", "busy-reply-threshold")[2]
    redis.call("CONFIG", "SET", "busy-reply-threshold", 20)
    local control <close> = redis.connect()
    local slow = vlock.spawn(function()
      return control:pcall("EVAL",
        "local t = redis.call('TIME') repeat local n = redis.call('TIME') until (n[1] - t[1]) " ..
        "* 1e6 + n[2] - t[2] > 200000", 0)
    end)
    vlock.sleep(0.05)
    assert.is_string((vlock.update(key, function() return "again" end, { policy = policy_of })))
    slow:join()
    redis.call("CONFIG", "SET", "busy-reply-threshold", before)
    assert.are.equal("busy", causes[1])
    assert.are.equal("again", redis.call("GET", key))
  end)
end)
