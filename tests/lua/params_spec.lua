-- Parameters: what a declaration means, what is accepted for it, and what is refused.

local params = require "vlock.policy.params"

local function resolved(default, given)
  return params.resolve({ x = default }, { x = given }, "here").x
end

local function refusal(declared, given)
  local ok, reason = pcall(params.resolve, declared, given, "here")
  assert.is_false(ok)
  return reason
end

describe("a parameter", function()
  it("is a duration where its default is one, and reaches the function in seconds", function()
    assert.are.equal(0.001, resolved("1ms"))
    for text, seconds in pairs { ["250us"] = 0.00025, ["2ms"] = 0.002, ["1s"] = 1, ["5m"] = 300,
      ["1.5s"] = 1.5 } do
      assert.are.equal(seconds, resolved("1ms", text))
    end
    assert.are.equal(0.5, resolved("1ms", 0.5))
    assert.matches('parameter \'x\': "1 parsec" is not a duration',
      refusal({ x = "1ms" }, { x = "1 parsec" }), 1, true)
    assert.matches("must be a duration like 2ms, or seconds", refusal({ x = "1ms" }, { x = true }),
      1, true)
  end)

  it("is a duration in round trips, which follows them within its range", function()
    local values, trips = params.resolve({ x = "1ms", y = "3rtt", z = { default = "1ms",
      min = "500us", max = "10ms" } }, { x = "0.5rtt", z = "4rtt" }, "here")
    assert.are.same({ x = 0.0005, y = 0.003, z = 0.004 }, values) -- of a millisecond
    params.measure(values, trips, 0.02)
    assert.are.same({ x = 0.01, y = 0.06, z = 0.01 }, values)
    params.measure(values, trips, 0.0001)
    assert.are.same({ x = 0.5 * 0.0001, y = 3 * 0.0001, z = 0.0005 }, values)
    assert.are.equal("0.5rtt", params.text("1ms", trips.x))
    assert.are.equal("0.5rtt", params.shown(trips.x))
    assert.is_nil(select(2, params.resolve({ x = "1ms" }, nil, "here")))
    for _, text in ipairs { "rtt", "-1rtt", "1 rtt", "1rtts", "1e3rtt", "2RTT" } do
      assert.matches("is not a duration like 250us, 2ms, 1.5s, 5m or 1h, or 2rtt, in round trips",
        refusal({ x = "1ms" }, { x = text }), 1, true)
    end
    assert.matches("is declared with a min that is not of its kind: 1rtt",
      refusal({ x = { default = "1ms", min = "1rtt" } }), 1, true)
  end)

  it("is a count where its default is a number", function()
    assert.are.equal(10000, resolved(5, "10k"))
    assert.are.equal(1e6, resolved(5, "1M"))
    assert.are.equal(7, resolved(5, 7))
    assert.matches('"many" is not a number', refusal({ x = 5 }, { x = "many" }), 1, true)
    assert.matches("must be a number", refusal({ x = 5 }, { x = true }), 1, true)
  end)

  it("is a switch, or a text, where its default is", function()
    assert.is_false(resolved(false))
    assert.is_true(resolved(false, true))
    assert.is_false(resolved(true, "no"))
    assert.is_true(resolved(false, "yes"))
    assert.matches("must be true or false", refusal({ x = true }, { x = "perhaps" }), 1, true)
    assert.are.equal("mine", resolved("theirs", "mine"))
    assert.matches("must be a text", refusal({ x = "theirs" }, { x = 5 }), 1, true)
  end)

  it("keeps to its range, and is never negative unless that says so", function()
    local declared = { x = { default = "10ms", min = "1ms", max = "1s" } }
    assert.are.equal(1, params.resolve(declared, { x = "1s" }, "here").x)
    assert.are.equal(0.001, params.resolve(declared, { x = "1ms" }, "here").x)
    assert.matches("'x' is 1us: it must be at least 1ms", refusal(declared, { x = "1us" }), 1, true)
    assert.matches("'x' is 2s: it must be at most 1s", refusal(declared, { x = "2s" }), 1, true)
    assert.matches("'x' is -1: it must not be negative", refusal({ x = 5 }, { x = -1 }), 1, true)
    assert.matches("must not be negative", refusal({ x = 5 }, { x = 0 / 0 }), 1, true)
    assert.are.equal(-1, params.resolve({ x = { default = 0, min = -2 } }, { x = -1 }, "here").x)
    assert.matches("'x' is 0: it must be at least 1", refusal({ x = { default = 0, min = 1 } }), 1,
      true)
  end)

  it("is judged by its own check where it has one", function()
    local declared = { x = { default = "a", check = function(value)
      return type(value) ~= "table" and value ~= "a" and "must be a or a table" or nil
    end } }
    assert.are.same({ "t" }, params.resolve(declared, { x = { "t" } }, "here").x)
    assert.are.equal("a", params.resolve(declared, {}, "here").x)
    assert.matches("here: parameter 'x': must be a or a table", refusal(declared, { x = "b" }), 1,
      true)
  end)

  it("whose check returns anything but a text is the file's fault, and says so", function()
    for _, answer in ipairs { true, 1, {} } do
      assert.matches("here: parameter 'x' has a check that returned", refusal({
        x = { default = "a", check = function()
          return answer
        end },
      }, {}), 1, true)
    end
  end)

  it("of any value is shown in words that JSON has", function()
    local cycle = {}
    cycle[1] = cycle
    for shown, value in pairs { inf = math.huge, ["-inf"] = -math.huge, ["a function"] = print,
      ["a table"] = cycle, ['{"a":1}'] = { a = 1 }, ["redis://me:***@h"] = "redis://me:pw@h" } do
      assert.are.equal(shown, params.shown(value))
      assert.are.equal(shown, params.text({ default = value, check = print }, value))
    end
    assert.are.equal(1.5, params.shown(1.5))
    assert.are.equal(false, params.shown(false))
    assert.are.equal("-1e+299", params.text({ default = "1ms", min = -1e300 }, -1e299))
  end)

  it("that is not declared is refused, with the known ones and the nearest", function()
    assert.matches("here: unknown parameter 'bse', did you mean 'base'?; there are: base, cap",
      refusal({ base = 1, cap = 2 }, { bse = 1 }), 1, true)
    assert.matches("unknown parameter 'a'; it has none", refusal(nil, { a = 1 }), 1, true)
  end)

  it("whose declaration is broken is refused, not ignored", function()
    assert.matches("is declared with an unknown 'defalt', did you mean 'default'?",
      refusal { x = { defalt = 1 } }, 1, true)
    assert.matches("is declared without a default", refusal { x = { min = 1 } }, 1, true)
    assert.matches("neither a text, a number, true nor false", refusal { x = print }, 1, true)
    assert.matches("is declared with a min that is not of its kind: x",
      refusal { x = { default = 1, min = "x" } }, 1, true)
    assert.matches("is declared with a max that is not of its kind: 1",
      refusal { x = { default = "a", max = 1 } }, 1, true)
    assert.matches("here: the name of a parameter must be a text, not 1", refusal { 5 }, 1, true)
    assert.matches("is declared with a check that is no function",
      refusal { x = { default = 1, check = 1 } }, 1, true)
  end)
end)
