-- What is found of all keys together.

local json = require "vlock.text.json"
local verdict = require "vlock.lab.check.verdict"

-- What one key comes to, with these counts beside zeros.
local function found(whole, counts)
  local one = { whole = whole }
  for _, name in ipairs(verdict.NAMES) do
    one[name] = counts and counts[name] or 0
  end
  return one
end

describe("the verdict on several keys", function()
  local whole = found(true, { unknown_applied = 1 })
  local lossy = found(false, { lost_updates = 2, unknown_applied = 3 })
  local doubled = found(false, { lost_updates = 1, duplicated = 5 })

  it("is whole where all are, and broken wherever the broken one stands", function()
    assert.is_true(verdict.sum { whole, whole }.verified)
    assert.is_true(verdict.sum {}.verified)
    for place = 1, 3 do
      local list = { whole, whole, whole }
      list[place] = lossy
      assert.is_false(verdict.sum(list).verified)
    end
  end)

  it("sums up the counts of all keys", function()
    local sum = verdict.sum { lossy, whole, doubled }
    local wanted = found(nil, { lost_updates = 3, duplicated = 5, unknown_applied = 4 })
    wanted.verified = false
    assert.are.same(wanted, sum)
    assert.are.equal("3 lost updates, 5 updates applied twice", verdict.words(sum))
  end)

  it("says nothing, neither true nor a count, where nothing can be said", function()
    local sum = verdict.sum({ lossy }, "why")
    assert.are.equal("why", sum.not_verified)
    for _, name in ipairs { "verified", table.unpack(verdict.NAMES) } do
      assert.are.equal(json.null, sum[name], name)
    end
  end)
end)

describe("the verdict on several runs", function()
  it("is false where one is false, else null where one cannot be said", function()
    local unsaid = json.null
    for _, case in ipairs { { true }, { true, true, true }, { false, true, false, true },
      { false, unsaid, false }, { false, false, unsaid }, { unsaid, true, unsaid },
      { unsaid, unsaid, true } } do
      assert.are.equal(case[1], verdict.of_all { table.unpack(case, 2) })
    end
  end)
end)
