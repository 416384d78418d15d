-- Policies: the bundled ones, their parameters, how they are found and composed, and what a broken one is told.

local core = require "vlock.core"
local policy = require "vlock.policy"
local search = require "vlock.search"

local here = search.context(nil)

-- A folder of policy files, for one test; removed with what is in it.
local function folder_with(files)
  local folder = os.tmpname()
  os.remove(folder)
  for name, text in pairs(files) do
    local path = folder .. "/" .. name
    os.execute(("mkdir -p '%s'"):format(path:match("^(.*)/")))
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end
  return folder
end

local function remove(folder)
  os.execute(("rm -r '%s'"):format(folder))
end

local function instance(spec, overrides, context)
  context = context or search.context(nil)
  context.overrides = policy.parse_overrides(overrides or {})
  return policy.new(spec, context)
end

local function conflict(attempt, random)
  return {
    attempt = attempt,
    elapsed = 0,
    state = {},
    random = random or function()
      return 0.5
    end,
  }
end

local function message_of(f, ...)
  local ok, reason = pcall(f, ...)
  assert.is_false(ok)
  return tostring(reason)
end

describe("the bundled backoffs", function()
  -- name, parameters, and the seconds for attempts 1, 2, 3, 20 where random() is 0.5
  local expected = {
    { "none", {}, { 0, 0, 0, 0 } },
    { "fixed", { pause = "3ms" }, { 0.003, 0.003, 0.003, 0.003 } },
    { "linear", { base = "1ms", cap = "15ms" }, { 0.001, 0.002, 0.003, 0.015 } },
    { "exponential", { base = "1ms", cap = "250ms" }, { 0.002, 0.004, 0.008, 0.25 } },
    { "full_jitter", { base = "1ms", cap = "250ms" }, { 0.001, 0.002, 0.004, 0.125 } },
    { "equal_jitter", { base = "1ms", cap = "250ms" }, { 0.0015, 0.003, 0.006, 0.1875 } },
    { "decorrelated", { base = "1ms", cap = "250ms" }, { 0.002, 0.002, 0.002, 0.002 } },
  }
  for _, case in ipairs(expected) do
    it(case[1] .. " follow their formula", function()
      local spec = { case[1] }
      for name, value in pairs(case[2]) do
        spec[name] = value
      end
      for i, attempt in ipairs { 1, 2, 3, 20 } do
        local one = instance { backoff = spec }
        assert.is_near(case[3][i], one.backoff(conflict(attempt)), 1e-9)
      end
    end)
  end

  it("decorrelated walks from its last sleep, up to the cap", function()
    local one, c = instance { backoff = "decorrelated" }, conflict(1, function()
      return 0.999999
    end)
    local slept = {}
    for i = 1, 8 do
      slept[i] = one.backoff(c)
    end
    assert.is_near(0.003, slept[1], 1e-5)
    assert.is_near(0.009, slept[2], 1e-4)
    assert.are.equal(0.25, slept[8])
  end)

  it("jitter stays in its range, whatever the random number", function()
    for _, name in ipairs { "full_jitter", "equal_jitter", "decorrelated" } do
      local one, c = instance { backoff = name }, conflict(1, core.stream(1, 1))
      for attempt = 1, 2000 do
        c.attempt = attempt
        local seconds = one.backoff(c)
        assert.is_true(seconds >= 0 and seconds <= 0.25)
      end
    end
  end)
end)

describe("the bundled retries", function()
  it("attempts gives up after max failed attempts", function()
    local one = instance { retry = { "attempts", max = 3 } }
    assert.is_true(one.retry(conflict(2)))
    assert.are.same({ false, "3 attempts failed" }, { one.retry(conflict(3)) })
  end)

  it("deadline gives up after a time; forever does not", function()
    local one, c = instance { retry = { "deadline", max = "2s" } }, conflict(1)
    c.elapsed = 1.99
    assert.is_true(one.retry(c))
    c.elapsed = 2
    assert.is_false((one.retry(c)))
    c.elapsed = 1e9
    assert.is_true(instance({ retry = "forever" }).retry(c))
  end)

  it("budget lets through what its bucket holds, and what comes back with time", function()
    local one, c, now = instance { retry = { "budget", rate = 10, burst = 3 } }, conflict(1), 0
    c.now = function()
      return now
    end
    local allowed = 0
    for _ = 1, 10 do
      allowed = allowed + (one.retry(c) and 1 or 0)
    end
    assert.are.equal(3, allowed)
    now = 0.25
    assert.are.same({ true, true, false }, { one.retry(c), (one.retry(c)), (one.retry(c)) })
    now = 100
    allowed = 0
    for _ = 1, 10 do
      allowed = allowed + (one.retry(c) and 1 or 0)
    end
    assert.are.equal(3, allowed)
  end)

  it("are joined by all and any", function()
    local both = instance { retry = vlock.all { { "attempts", max = 3 }, { "deadline", max = "1s" } } }
    local either = instance { retry = vlock.any { { "attempts", max = 3 }, { "deadline", max = "1s" } } }
    local c = conflict(5)
    assert.is_false((both.retry(c)))
    assert.is_true((either.retry(c)))
    c.elapsed = 2
    assert.is_false((either.retry(c)))
    assert.are.equal("all(attempts, deadline)", both.describe().parts.retry)
  end)
end)

describe("composition", function()
  it("fills in a deadline of 30 s, full jitter, and recompute", function()
    local described = instance({}).describe()
    assert.are.equal("deadline+full_jitter+recompute", described.name)
    assert.are.same({ retry = { max = 30 }, backoff = { base = 0.001, cap = 0.25 } }, described.params)
  end)

  it("takes names, tables with parameters, functions in place, and a bare name", function()
    local one = instance { retry = { "attempts", max = "1k" }, backoff = function(_, c)
      return c.attempt
    end, merge = "counter" }
    assert.is_true(one.retry(conflict(999)))
    assert.are.equal(7, one.backoff(conflict(7)))
    assert.are.equal("decorrelated", instance("decorrelated").describe().parts.backoff)
    assert.are.equal("attempts", instance("attempts").describe().parts.retry)
  end)

  it("gives a file's own functions the file's parameters, and -p changes them", function()
    local spec = { params = { step = "2ms" }, backoff = function(p)
      return p.step
    end }
    assert.are.equal(0.002, instance(spec).backoff(conflict(1)))
    assert.are.equal(0.005, instance(spec, { "step=5ms" }).backoff(conflict(1)))
    assert.are.equal(0.005, instance(spec, { "backoff.step=5ms" }).backoff(conflict(1)))
    assert.are.equal(0.01, instance({}, { "cap=10ms" }).backoff(conflict(30, function()
      return 1
    end)))
    assert.matches("no part of the policy has a parameter 'nosuch'", message_of(instance, {}, { "nosuch=1" }), 1, true)
    assert.matches("several parts have a parameter 'max': say retry.max or backoff.max",
      message_of(instance, { backoff = function() end, params = { max = 1 } }, { "max=1" }), 1, true)
    assert.matches("must be name=value", message_of(instance, {}, { "cap" }), 1, true)
  end)

  it("is there outside of the lab: vlock.policy", function()
    local one = vlock.policy { backoff = { "fixed", pause = "1ms" } }
    assert.are.equal(0.001, one.backoff(conflict(1)))
  end)

  it("passes hooks on to the update loop", function()
    local seen = {}
    local opts = {
      policy = {
        backoff = "none",
        retry = { "attempts", max = 2 },
        on_conflict = function(c)
          seen[#seen + 1] = "conflict " .. c.attempt
        end,
        on_commit = function(c)
          seen[#seen + 1] = "commit " .. c.attempt
        end,
        on_give_up = function(_, reason)
          seen[#seen + 1] = reason
        end,
      },
    }
    local function disturb(times)
      local key = "hooked" .. times
      return vlock.update(key, function(value, version)
        if times > 0 then
          times = times - 1
          vlock.compare_and_set(key, "theirs", version)
        end
        return (value or "") .. "x"
      end, opts)
    end
    disturb(1)
    disturb(2)
    assert.are.same({ "conflict 1", "commit 1", "conflict 1", "conflict 2", "2 attempts failed" }, seen)
  end)
end)

describe("where files are found", function()
  it("is beside the script first, then VLOCK_PATH and the others, then the built-in copy", function()
    local folder = folder_with {
      ["backoff/mine.lua"] = "return { backoff = function() return 0.011 end }",
      ["backoff/fixed.lua"] = "return { backoff = function() return 0.022 end }",
    }
    local context = search.context(folder)
    assert.are.equal(0.011, instance({ backoff = "mine" }, {}, context).backoff(conflict(1)))
    assert.are.equal(0.022, instance({ backoff = "fixed" }, {}, context).backoff(conflict(1)))
    assert.are.equal(0.001, instance({ backoff = "fixed" }).backoff(conflict(1)))
    local names = search.names(context, "backoff")
    assert.are.equal("decorrelated equal_jitter exponential fixed full_jitter linear mine none", table.concat(names, " "))
    remove(folder)
  end)

  it("runs a file's chunk once for every instance, so that nothing is shared", function()
    local folder = folder_with {
      ["backoff/counting.lua"] = "local n = 0 return { backoff = function() n = n + 1 return n end }",
    }
    local one = instance({ backoff = "counting" }, {}, search.context(folder))
    local other = instance({ backoff = "counting" }, {}, search.context(folder))
    assert.are.same({ 1, 2, 1 }, { one.backoff(conflict(1)), one.backoff(conflict(1)), other.backoff(conflict(1)) })
    remove(folder)
  end)
end)

describe("a broken policy is refused, with file, line and reason:", function()
  local function refusal(text, use)
    local folder = folder_with { ["backoff/broken.lua"] = text }
    local message = message_of(function()
      local one = instance({ backoff = "broken" }, {}, search.context(folder))
      return use and use(one)
    end)
    remove(folder)
    assert.matches("backoff/broken.lua", message, 1, true)
    return message
  end

  local function backing_off(one)
    return one.backoff(conflict(1))
  end

  it("a syntax error", function()
    assert.matches("broken.lua:2:", refusal("local x\n= = 1"), 1, true)
  end)

  it("no table, or no function of its kind", function()
    assert.matches("must return a table", refusal("return 5"), 1, true)
    assert.matches("has no function backoff", refusal("return { retry = function() return true end }"), 1, true)
    assert.matches("backoff must be a function, a name or a table, not number", refusal("return { backoff = 5 }"), 1, true)
    assert.matches("unknown field 'bakoff', did you mean 'backoff'?", refusal("return { bakoff = 5 }"), 1, true)
  end)

  it("a backoff that is negative, NaN, infinite or no number", function()
    for text, shown in pairs { ["-1"] = "-1", ["0/0"] = "nan", ["1/0"] = "inf", ['"x"'] = "x", ["nil"] = "nil" } do
      local message = refusal("return {\nbackoff = function()\nreturn " .. text .. " end }", backing_off)
      assert.matches("broken.lua:2: backoff must return seconds, a number from 0 to 1e9, not ", message, 1, true)
      assert.matches(shown, message, 1, true)
    end
  end)

  it("a retry that returns neither true nor false", function()
    local one = instance { retry = function() end }
    assert.matches("retry must return true, or false and a reason, not nil", message_of(one.retry, conflict(1)), 1, true)
  end)

  it("an unknown name or parameter, with the nearest known one", function()
    local message = message_of(instance, { backoff = "ful_jitter" })
    assert.matches("no backoff 'ful_jitter', did you mean 'full_jitter'?", message, 1, true)
    message = message_of(instance, { backoff = { "full_jitter", bse = "1ms" } })
    assert.matches("unknown parameter 'bse', did you mean 'base'?; there are: base, cap", message, 1, true)
    message = message_of(instance, { backoff = { "full_jitter", base = "1 parsec" } })
    assert.matches('parameter \'base\': "1 parsec" is not a duration', message, 1, true)
    message = message_of(instance, { retry = { "attempts", max = 0 } })
    assert.matches("parameter 'max' is 0: it must be at least 1", message, 1, true)
    message = message_of(instance, { retry = { "attempts", max = true } })
    assert.matches("parameter 'max': must be a number", message, 1, true)
    message = message_of(instance, { retry = 5 })
    assert.matches("retry must be a function, a name or a table, not number", message, 1, true)
    message = message_of(policy.new, "nosuch", here)
    assert.matches("no policy 'nosuch'", message, 1, true)
  end)
end)

describe("stores", function()
  it("are checked like policies", function()
    local store = require "vlock.store"
    local folder = folder_with { ["store/half.lua"] = "return { read = function() end }", ["bad.lua"] = "return = 1" }
    local context = search.context(folder)
    assert.matches("a store must have a function commit", message_of(store.new, "half", context), 1, true)
    assert.matches("bad.lua:1:", message_of(store.new, folder .. "/bad.lua", context), 1, true)
    assert.matches("no store 'plan', did you mean 'plain'?", message_of(store.new, "plan", context), 1, true)
    assert.matches("cannot read the store", message_of(store.new, folder .. "/none.lua", context), 1, true)
    remove(folder)
  end)
end)
