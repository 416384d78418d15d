-- JSON and merges on Lua 5.4, by the vectors that Lua 5.1 runs too.

local json = require "vlock.text.json"
local vectors = require "json_vectors"

describe("json", function()
  it("reads and writes every vector exactly", function()
    for _, case in ipairs(vectors.round_trips) do
      assert.are.equal(case[2], json.encode(json.decode(case[1])))
    end
  end)

  it("keeps the digits and bytes that a float or UTF-8 cannot hold, in decode_exact and " ..
    "encode_bytes", function()
    for _, case in ipairs(vectors.exact_round_trips) do
      assert.are.equal(case[2], json.encode_bytes(json.decode_exact(case[1])))
    end
    local kept = json.decode_exact("18446744073709551615")
    assert.are.equal("18446744073709551615", json.digits(kept))
    assert.is_true(kept == json.decode_exact("18446744073709551615"))
    assert.is_false(kept == json.decode_exact("18446744073709551614"))
    assert.is_nil(json.digits { text = "1" })
    assert.are.equal('"a\\u00ffb"', json.encode("a\255b"))
  end)

  it("refuses what is no JSON, with the place", function()
    for _, text in ipairs(vectors.refused) do
      local ok, reason = pcall(json.decode, text)
      assert.is_false(ok, text)
      assert.matches("bad JSON at byte %d+", reason)
    end
  end)

  it("makes whole numbers integers, and keeps integers beyond 2^53", function()
    assert.are.equal("integer", math.type(json.decode("1e2")))
    assert.are.equal("integer", math.type(json.decode("5.0")))
    assert.are.equal("9223372036854775807", json.encode(json.decode("9223372036854775807")))
    assert.are.equal("float", math.type(json.decode("0.5")))
  end)

  it("escapes bytes that are not UTF-8, and refuses what JSON does not have", function()
    assert.are.equal('"a\\u00ff\\u00c3b"', json.encode("a\255\195b"))
    -- Half of a surrogate pair is no UTF-8 either; where it was read, it is written.
    assert.are.equal('"\\u00ed\\u00a0\\u0080"', json.encode("\237\160\128"))
    assert.are.equal('"\\ud800"', json.encode_bytes("\237\160\128"))
    for _, bad in ipairs { 0 / 0, math.huge, print, { [true] = 1 } } do
      assert.is_false((pcall(json.encode, bad)))
    end
    assert.are.equal('["a",null,"b"]', json.encode { [1] = "a", [3] = "b" })
    assert.are.equal('{"1":"a","30":"b"}', json.encode { [1] = "a", [30] = "b" })
  end)
end)

describe("the bundled merges", function()
  local merges = require "merge_runner"

  for name, cases in pairs(merges.by_name()) do
    it(name .. " give what every vector says", function()
      for _, case in ipairs(cases) do
        local ok, detail = merges.check(case)
        assert.is_true(ok, detail)
      end
    end)
  end

  it("merge_patch passes the examples of RFC 7396", function()
    for _, example in ipairs(vectors.merge_patch_examples) do
      assert.are.equal(example[3], merges.apply_patch(example[1], example[2]))
    end
  end)

  it("take tables, under the json codec, as they take texts", function()
    local document = { a = 1, b = json.array {} }
    local merge = merges.load("json3")
    local merged = merge({ rule = "mine" }, {
      base = { value = document },
      theirs = { value = { a = 2, b = json.array {} } },
      mine = { a = 1, b = json.array { 1 } },
    })
    assert.are.equal('{"a":2,"b":[1]}', json.encode(merged))
  end)

  it("take a text for what it is under the json codec: a value, not a document", function()
    local merged = merges.load("json3")({ rule = "mine" }, {
      codec = "json",
      base = { value = "a" },
      theirs = { value = "b" },
      mine = "c",
    })
    assert.are.equal("c", merged)
  end)
end)
