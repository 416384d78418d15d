-- Options tables are found again by what they hold.

local new = require("vlock.cell.plans").new

-- What is found for these options after a plan was kept for those.
local function found(kept, asked)
  local plans, plan = new(), {}
  local _, content = plans:get(kept)
  plans:put(kept, content, plan)
  assert.are.equal(plan, plans:get(kept))
  return plans:get(asked) == plan
end

describe("the plan of an options table", function()
  it("is found by another table that holds the same", function()
    assert.is_true(found({}, {}))
    assert.is_true(found({ backoff = "none", deadline = 1 }, { deadline = 1, backoff = "none" }))
    assert.is_true(found({ retry = { "attempts", max = 3 } }, { retry = { max = 3, "attempts" } }))
  end)

  it("is not that of a table that holds anything else", function()
    local different = {
      {}, { deadline = 1 }, { deadline = 1.0 }, { deadline = "1" }, { deadline = true },
      { deadline = "true" }, { "deadline", 1 }, { deadline = 1, expire = 1 }, { expire = 1 },
      { deadline = { 1 } }, { deadline = { { 1 } } }, { deadline = {} }, { deadline = "{}" },
      { a = "b", c = "d" }, { a = "bc", [""] = "d" }, { ["a string 1 b"] = "d" }, { [1] = "a" },
      { ["1"] = "a" }, { a = 0 / 0 }, { a = "nan" },
    }
    for i, one in ipairs(different) do
      for j, other in ipairs(different) do
        assert.are.equal(i == j, found(one, other), i .. " and " .. j)
      end
    end
  end)

  it("is found by its own table only, where that holds what has no text", function()
    local function f() end
    local cycle = {}
    cycle.cycle = cycle
    for _, content in ipairs { { policy = "mine.lua" }, { f }, { [f] = 1 }, { retry = { f } },
      cycle, setmetatable({}, { __index = { deadline = 1 } }), { io.stdout } } do
      assert.is_true(found(content, content))
      local copy = {}
      for name, value in pairs(content) do
        copy[name] = value
      end
      assert.is_false(found(content, copy))
    end
  end)

  it("is forgotten when many others have come", function()
    local plans = new()
    for i = 1, 1000 do
      local _, content = plans:get { deadline = i }
      assert.is_string(content)
      plans:put({ deadline = i }, content, i)
    end
    assert.is_nil((plans:get { deadline = 1 }))
    local known = { deadline = 1000 }
    assert.are.equal(1000, (plans:get(known)))
    plans:forget_contents()
    assert.is_nil((plans:get { deadline = 1000 }))
    assert.are.equal(1000, (plans:get(known)))
  end)
end)
