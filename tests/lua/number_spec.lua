-- Decimal texts are compared by their value, whatever their spelling and size.

local number = require "vlock.text.number"

-- m * 10^e, spelled in one of several ways.
local function spelled(way, m, e)
  if way == 1 then
    return ("%de%d"):format(m, e)
  elseif way == 2 then
    return ("%d.0E%+d"):format(m, e)
  elseif way == 3 then
    return ("%d00e%d"):format(m, e - 2)
  end
  return e >= 0 and ("%d%s"):format(m, ("0"):rep(e)) or ("%de%d"):format(m, e)
end

describe("number.compare", function()
  it("agrees with whole numbers, for random decimals in random spellings", function()
    local random = math.random
    for _ = 1, 20000 do
      local m1, m2, e1, e2 = random(-1000, 1000), random(-1000, 1000), random(-6, 6), random(-6, 6)
      local a, b = m1 * 10 ^ (e1 + 6), m2 * 10 ^ (e2 + 6)
      local expected = a < b and -1 or a > b and 1 or 0
      local text_a, text_b = spelled(random(4), m1, e1), spelled(random(4), m2, e2)
      assert.are.equal(expected, number.compare(text_a, text_b), text_a .. " " .. text_b)
    end
  end)

  it("tells apart what no float can", function()
    for _, pair in ipairs {
      { "1e399", "1e400" }, { "9007199254740992.5", "9007199254740993" }, { "-1e400", "-1e399" },
      { "1e-401", "1e-400" },
      { "18446744073709551614", "18446744073709551615" }, { "0.1", "0.10000000000000000001" },
      { "0", "1e-999" },
    } do
      assert.are.equal(-1, number.compare(pair[1], pair[2]))
      assert.are.equal(1, number.compare(pair[2], pair[1]))
    end
    assert.are.equal(0, number.compare("-0", "0e9"))
    assert.are.equal(0, number.compare("1.50", 1.5))
  end)
end)
