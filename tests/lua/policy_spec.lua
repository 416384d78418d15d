-- Policies: the bundled ones, their parameters, how they are found and composed, and what a broken
-- one is told.

local core = require "vlock.core"
local policy = require "vlock.policy.policy"
local search = require "vlock.policy.search"

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
  context.overrides = {}
  for i, text in ipairs(overrides or {}) do
    context.overrides[i] = policy.parse_override(text)
  end
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
    { "fast_first", { base = "1ms", cap = "250ms" }, { 0, 0.001, 0.002, 0.125 } },
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

  -- Asks for so many retries and makes those that are granted; returns how many that were.
  local function retries(one, c, count)
    local made = 0
    for _ = 1, count do
      local goes_on, _, take = one.retry(c)
      if goes_on then
        made = made + 1
        if take then
          take()
        end
      end
    end
    return made
  end

  local function at(moment)
    local c = conflict(1)
    c.now = function()
      return moment[1]
    end
    return c
  end

  it("rate_limit lets through what its bucket holds, and what comes back with time", function()
    local moment = { 0 }
    local one, c = instance { retry = { "rate_limit", rate = 10, burst = 3 } }, at(moment)
    assert.are.equal(3, retries(one, c, 10))
    moment[1] = 0.25
    assert.are.equal(2, retries(one, c, 3))
    moment[1] = 100
    assert.are.equal(3, retries(one, c, 10))
    moment[1] = 50 -- back
    assert.are.equal(0, retries(one, c, 10))
  end)

  it("budget lets through what successes pay for, and a floor", function()
    local moment = { 0 }
    local one, c = instance { retry = { "budget", floor = 0, burst = 3 } }, at(moment)
    assert.are.equal(3, retries(one, c, 10))
    moment[1] = 1000
    assert.are.equal(0, retries(one, c, 10))
    for successes, expected in pairs { [9] = 0, [1] = 1, [20] = 2, [1000] = 3 } do
      one = instance { retry = { "budget", floor = 0, burst = 3, name = "s" .. successes } }
      retries(one, c, 3)
      for _ = 1, successes do
        one.listeners[1]()
      end
      assert.are.equal(successes == 1 and 0 or expected, retries(one, c, 10), successes
        .. " successes")
    end
    one = instance { retry = { "budget", floor = 2, burst = 3, name = "floor" } }
    retries(one, c, 3)
    moment[1] = 1001
    assert.are.equal(2, retries(one, c, 10))
  end)

  it("buckets are each use's own, by name and parameters", function()
    for _, name in ipairs { "budget", "rate_limit" } do
      local c = at { 0 }
      local one = instance { retry = { name, burst = 3, name = "a" } }
      local other = instance({ retry = { name, burst = 5, name = "a" } })
      assert.are.equal(3, retries(one, c, 10))
      assert.are.equal(5, retries(other, c, 10))
    end
  end)

  it("no token goes for a retry that another member refuses", function()
    for _, name in ipairs { "budget", "rate_limit" } do
      for _, order in ipairs { 1, 2 } do
        local list = { { name, burst = 3, name = "order" .. order } }
        table.insert(list, order, { "attempts", max = 2 })
        local one, c = instance { retry = vlock.all(list) }, at { 0 }
        c.attempt = 2
        assert.are.equal(0, retries(one, c, 20))
        c.attempt = 1
        assert.are.equal(3, retries(one, c, 20))
      end
    end
  end)

  it("deadline says until when, and all and any know what that means", function()
    local function limit(spec)
      local goes_on, until_when = instance({ retry = spec }).retry(conflict(1))
      return goes_on and until_when
    end
    local short, long = { "deadline", max = "1s" }, { "deadline", max = "2s" }
    assert.are.equal(1, limit(short))
    assert.are.equal(1, limit(vlock.all { short, long, "forever" }))
    assert.are.equal(2, limit(vlock.any { short, long }))
    assert.are.equal(math.huge, limit(vlock.any { short, "forever" }))
  end)

  it("are joined by all and any", function()
    local both = instance { retry = vlock.all { { "attempts", max = 3 },
      { "deadline", max = "1s" } } }
    local either = instance { retry = vlock.any { { "attempts", max = 3 },
      { "deadline", max = "1s" } } }
    local c = conflict(5)
    assert.is_false((both.retry(c)))
    assert.is_true((either.retry(c)))
    c.elapsed = 2
    assert.is_false((either.retry(c)))
    assert.are.equal("all(attempts, deadline)", both.describe().parts.retry)
  end)

  it("in a group show their parameters by the member's name, and -p reaches them", function()
    local group = { retry = vlock.all { { "attempts", max = 3 }, "deadline",
      { "attempts", max = 9 } } }
    local one = instance(group, { "retry.deadline.max=2s", "retry.attempts2.max=7" })
    assert.are.same({ ["attempts.max"] = 3, ["deadline.max"] = 2, ["attempts2.max"] = 7 },
      one.describe().params.retry)
    local c = conflict(1)
    c.elapsed = 2
    assert.matches("deadline of 2 s", select(2, one.retry(c)), 1, true)
    assert.are.equal(30, instance(group).describe().params.retry["deadline.max"])
    assert.matches("say retry.attempts.max or retry.deadline.max or retry.attempts2.max",
      message_of(instance, group, { "max=1" }), 1, true)
  end)
end)

describe("composition", function()
  it("fills in a deadline of 30 s, full jitter, and recompute", function()
    local described = instance({}).describe()
    assert.are.equal("deadline+full_jitter+recompute", described.name)
    assert.are.same({ retry = { max = 30 }, backoff = { base = 0.001, cap = 0.25 } },
      described.params)
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
    assert.matches("no part of the policy has a parameter 'nosuch'; there are: retry.max, " ..
      "backoff.base, backoff.cap", message_of(instance, {}, { "nosuch=1" }), 1, true)
    assert.matches("several parts have a parameter 'max': say retry.max or backoff.max",
      message_of(instance, { backoff = function() end, params = { max = 1 } }, { "max=1" }), 1,
        true)
    assert.matches("must be name=value", message_of(instance, {}, { "cap" }), 1, true)
  end)

  it("takes one part with its parameters as a whole policy", function()
    local described = instance({ "attempts", max = 3 }).describe()
    assert.are.same({ "attempts", 3 }, { described.parts.retry, described.params.retry.max })
    assert.matches("no policy 'atempts', did you mean 'attempts'?",
      message_of(instance, { "atempts", max = 3 }), 1, true)
  end)

  it("changes a parameter that functions of one table share in all of them, or in the one " ..
    "that is named", function()
    local function step(p)
      return p.step
    end
    local spec = { params = { step = 1 }, backoff = step, retry = function(p)
      return p.step == 1
    end }
    local both = instance(spec, { "step=2" })
    assert.are.same({ 2, false }, { both.backoff(conflict(1)), (both.retry(conflict(1))) })
    local one = instance(spec, { "backoff.step=2" })
    assert.are.same({ 2, true }, { one.backoff(conflict(1)), (one.retry(conflict(1))) })
  end)

  it("follows the round trip with durations that are given in it", function()
    local one = instance({ backoff = "full_jitter" }, { "base=2rtt", "cap=20rtt" })
    local c = conflict(1)
    for rtt, seconds in pairs { [0.001] = 0.002, [0.02] = 0.04, [0] = 0.002 } do
      c.rtt = rtt
      assert.is_near(seconds, one.backoff(c), 1e-9)
    end
    c.attempt, c.rtt = 20, 0.01
    assert.is_near(0.1, one.backoff(c), 1e-9)
    assert.are.same({ base = "2rtt", cap = "20rtt" }, one.describe().params.backoff)
    assert.are.equal("full_jitter (base=2rtt, cap=20rtt)", one.describe().texts.backoff)
    one = instance { retry = policy.all { { "deadline", max = "3rtt" }, "forever" } }
    c.rtt, c.elapsed = 0.1, 0.2
    assert.are.same({ true, 3 * 0.1 }, { one.retry(c) })
    c.elapsed = 0.4
    assert.is_false((one.retry(c)))
  end)

  it("shows a parameter that is a table as JSON", function()
    local one = instance { merge = { "json3", rule = { "theirs", n = "sum" } } }
    assert.are.equal('{"1":"theirs","n":"sum"}', one.describe().params.merge.rule)
    assert.are.equal('{"n":5}',
      one.merge { base = { value = '{"n":1}' }, theirs = { value = '{"n":2}' }, mine = '{"n":4}' })
  end)

  it("leaves the tables that it was given as they were", function()
    local spec = { retry = { "attempts", max = 3 } }
    instance(spec, { "retry.max=9" })
    assert.are.same({ retry = { "attempts", max = 3 } }, spec)
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
    assert.are.same({ "conflict 1", "commit 1", "conflict 1", "conflict 2", "2 attempts failed" },
      seen)
  end)
end)

describe("where files are found", function()
  it("is beside the script first, then VLOCK_PATH and the others, then the built-in copy",
    function()
    local folder = folder_with {
      ["backoff/mine.lua"] = "return { backoff = function() return 0.011 end }",
      ["backoff/fixed.lua"] = "return { backoff = function() return 0.022 end }",
    }
    local context = search.context(folder)
    assert.are.equal(0.011, instance({ backoff = "mine" }, {}, context).backoff(conflict(1)))
    assert.are.equal(0.022, instance({ backoff = "fixed" }, {}, context).backoff(conflict(1)))
    assert.are.equal(0.001, instance({ backoff = "fixed" }).backoff(conflict(1)))
    local names = search.names(context, "backoff")
    assert.are.equal("decorrelated equal_jitter exponential fast_first fixed full_jitter linear " ..
      "mine none", table.concat(names, " "))
    remove(folder)
  end)

  it("runs a file's chunk once for every instance, so that nothing is shared", function()
    local folder = folder_with {
      ["backoff/counting.lua"] = "local n = 0 return { backoff = function() n = n + 1 return " ..
        "n end }",
    }
    local one = instance({ backoff = "counting" }, {}, search.context(folder))
    local other = instance({ backoff = "counting" }, {}, search.context(folder))
    assert.are.same({ 1, 2, 1 },
      { one.backoff(conflict(1)), one.backoff(conflict(1)), other.backoff(conflict(1)) })
    remove(folder)
  end)
end)

describe("a policy file", function()
  local folder, context

  before_each(function()
    folder = folder_with {
      ["retry/both.lua"] = 'return { retry = all { { "attempts", max = 3 }, any { "deadline", ' ..
        '"forever" } } }',
      ["retry/sly.lua"] = "all_there_is = 1 return { retry = function() return all_there_is " ..
        "== 1 end }",
      ["retry/circle.lua"] = 'return { retry = all { "attempts", "circle" } }',
      ["backoff/short.lua"] = 'return { doc = "Fixed, and short.", backoff = { "fixed", pause ' ..
        '= "2us" } }',
      ["backoff/shorter.lua"] = 'return { backoff = { "short", pause = "1us" } }',
      ["backoff/loop.lua"] = 'return { backoff = "loop" }',
      ["backoff/counting.lua"] = "local n = 0 return { backoff = function() n = n + 1 return " ..
        "n end }",
    }
    context = search.context(folder)
  end)

  after_each(function()
    remove(folder)
    all_there_is = nil -- luacheck: ignore
  end)

  it("may say all {…} and any {…}, which are no globals; what it sets is one", function()
    local one = instance({ retry = "both" }, {}, context)
    assert.is_true(one.retry(conflict(2)))
    assert.is_false((one.retry(conflict(3))))
    assert.are.same({ ["attempts.max"] = 3, ["deadline.max"] = 30 }, one.describe().params.retry)
    assert.is_true(instance({ retry = "sly" }, {}, context).retry(conflict(1)))
    assert.are.equal(1, all_there_is) -- luacheck: ignore
    assert.is_nil(all) -- luacheck: ignore
  end)

  it("may name another one, whose parameters reach it", function()
    assert.are.equal(2e-6, instance({ backoff = "short" }, {}, context).backoff(conflict(1)))
    assert.are.equal(3e-6,
      instance({ backoff = { "short", pause = "3us" } }, {}, context).backoff(conflict(1)))
    assert.are.equal(1e-6, instance({ backoff = "shorter" }, {}, context).backoff(conflict(1)))
    assert.are.equal(4e-6,
      instance({ backoff = "shorter" }, { "pause=4us" }, context).backoff(conflict(1)))
    assert.are.equal("shorter",
      instance({ backoff = "shorter" }, {}, context).describe().parts.backoff)
    local message = message_of(instance, { backoff = { "short", puase = "3us" } }, {}, context)
    assert.matches("backoff/short.lua): unknown parameter 'puase', did you mean 'pause'?", message,
      1, true)
    message = message_of(instance, { retry = { "both", max = 1 } }, {}, context)
    assert.matches("retry/both.lua): takes no parameters: it is a group", message, 1, true)
  end)

  it("that names itself is refused, however far around", function()
    assert.matches("backoff/loop.lua: its backoff is named in a circle",
      message_of(instance, { backoff = "loop" }, {}, context), 1, true)
    assert.matches("retry/circle.lua: its retry is named in a circle",
      message_of(instance, { retry = "circle" }, {}, context), 1, true)
    local list = { "attempts" }
    local group = policy.all(list)
    list[2] = policy.any { group }
    assert.matches("retry: all {…} holds itself", message_of(instance, { retry = group }), 1, true)
  end)

  it("is run once for all instances of a context that says so, and for each otherwise", function()
    local function three()
      return instance({ backoff = "counting" }, {}, context).backoff(conflict(1)),
        instance({ backoff = "counting" }, {}, context).backoff(conflict(1)),
        instance({ backoff = "counting" }, {}, context).backoff(conflict(1))
    end
    assert.are.same({ 1, 1, 1 }, { three() })
    context.chunks = {}
    assert.are.same({ 1, 2, 3 }, { three() })
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
    assert.matches("has no function backoff",
      refusal("return { retry = function() return true end }"), 1, true)
    assert.matches("backoff must be a function, a name or a table, not number",
      refusal("return { backoff = 5 }"), 1, true)
    assert.matches("broken.lua:2: unknown field 'bakoff', did you mean 'backoff'?",
      refusal("return {\n bakoff = 5 }"), 1, true)
    assert.matches("doc must be a text, not number",
      refusal("return { doc = 5, backoff = 'none' }"), 1, true)
    assert.matches("declares params, but no function of its own",
      refusal("return { params = { a = 1 }, backoff = 'none' }"), 1, true)
    assert.matches("parameter 'a' is declared without a default",
      refusal("return { params = { a = {} }, backoff = print }"), 1, true)
  end)

  it("a backoff that is negative, NaN, infinite or no number", function()
    for text, shown in pairs { ["-1"] = "-1", ["0/0"] = "nan", ["1/0"] = "inf", ['"x"'] = "x",
      ["nil"] = "nil" } do
      local message = refusal("return {\nbackoff = function()\nreturn " .. text .. " end }",
        backing_off)
      assert.matches("broken.lua:2: backoff must return seconds, a number from 0 to 1e9, not ",
        message, 1, true)
      assert.matches(shown, message, 1, true)
    end
  end)

  it("a retry that returns neither true nor false", function()
    local one = instance { retry = function() end }
    assert.matches("retry must return true, or false and a reason, not nil",
      message_of(one.retry, conflict(1)), 1, true)
  end)

  it("a merge that returns what no codec can write, or a truth value for a text", function()
    local returned
    local one, place = instance { merge = function()
      return returned
    end }, debug.getinfo(1, "l").currentline - 2
    for _, bad in ipairs { print, coroutine.create(print), true, false } do
      returned = bad
      local message = message_of(one.merge, { codec = "string" })
      assert.matches(("policy_spec.lua:%d: merge must return the value to write"):format(place),
        message, 1, true)
      assert.matches(tostring(bad), message, 1, true)
    end
    assert.is_false(one.merge { codec = "json" })
    for _, good in ipairs { "text", 5, {} } do
      returned = good
      assert.are.equal(good, one.merge { codec = "json" })
    end
  end)

  it("a table under the name of its file", function()
    local context = search.context(nil)
    context.where = "mine.lua"
    assert.matches("^mine.lua: unknown field 'bakoff'",
      message_of(instance, { bakoff = 5 }, {}, context))
  end)

  it("a rule that json3 does not have, before there is a conflict", function()
    local message = message_of(instance, { merge = { "json3", rule = "newest" } })
    assert.matches("parameter 'rule': unknown rule 'newest'; there are: fail, max, min, mine, " ..
      "sum, theirs", message, 1, true)
    assert.matches("unknown rule 'sun'",
      message_of(instance, { merge = { "json3", rule = { n = "sun" } } }), 1, true)
    assert.matches("the rule for all else first",
      message_of(instance, { merge = { "json3", rule = { "mine", "max" } } }), 1, true)
    assert.matches("must be a rule", message_of(instance, { merge = { "json3", rule = 5 } }), 1,
      true)
  end)

  it("an unknown name or parameter, with the nearest known one", function()
    local message = message_of(instance, { backoff = "ful_jitter" })
    assert.matches("no backoff 'ful_jitter', did you mean 'full_jitter'?", message, 1, true)
    message = message_of(instance, { backoff = { "full_jitter", bse = "1ms" } })
    assert.matches("unknown parameter 'bse', did you mean 'base'?; there are: base, cap", message,
      1, true)
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
    local store = require "vlock.policy.store"
    local folder = folder_with { ["store/half.lua"] = "return { read = function() end }",
      ["bad.lua"] = "return = 1" }
    local context = search.context(folder)
    assert.matches("a store must have a function commit", message_of(store.new, "half", context), 1,
      true)
    assert.matches("bad.lua:1:", message_of(store.new, folder .. "/bad.lua", context), 1, true)
    assert.matches("no store 'plan', did you mean 'plain'?", message_of(store.new, "plan", context),
      1, true)
    assert.matches("cannot read the store", message_of(store.new, folder .. "/none.lua", context),
      1, true)
    remove(folder)
  end)
end)
