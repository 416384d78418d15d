-- Documents in the hands of an update function: what it does not change comes back as it was, and
-- what cannot be written is refused, with the place. Random documents are held against a model of
-- texts.

local json = require "vlock.text.json"

local function rewritten(text, change)
  local document = json.decode_document(text)
  if change then
    change(document)
  end
  return json.encode_bytes(document)
end

describe("a document", function()
  it("comes back as it was, whatever its numbers and texts", function()
    for _, inner in ipairs {
      "1", "-1", "1.0", "-0.0", "-0", "0e5", "1E5", "1e400", "-1e400", "1e-400", "0.1000",
      "9223372036854775807", "9223372036854775808",
      "-9223372036854775809", "123456789012345678901234567890", "12345678901234567.5",
      "3.14159265358979323846264338", "5e-324", "4.9e-324",
      '"\\ud800"', '"x\\udc00y"', '"a\255b"', "[]", "{}", "[[],{}]", "[null]", "[1.0,2]", "true",
    } do
      for _, form in ipairs { "%s", "[%s]", '{"a":%s}', '{"a":[{"b":%s}]}' } do
        local text = form:gsub("%%s", function() return inner end)
        -- A number alone has no place to be spelled in.
        if form ~= "%s" or not inner:find("^[-%d]") then
          assert.are.equal(text, rewritten(text))
        end
      end
    end
  end)

  it("is calculated with as usual, and refuses to lose digits", function()
    local document = json.decode_document('{"n":1.0,"big":18446744073709551615,' ..
      '"pi":3.14159265358979323846264338}')
    assert.are.equal(2, document.n + 1)
    assert.are.equal(3.141592653589793 * 2, document.pi * 2)
    assert.is_true(document.big > 1
      and document.big > json.decode_document("[18446744073709551614]")[1])
    local ok, reason = pcall(function() return document.big + 1 end)
    assert.is_false(ok)
    assert.matches("18446744073709551615 is too large to calculate with exactly", reason, 1, true)
    assert.are.equal("18446744073709551615", tostring(document.big))
    document.copy, document.n = document.big, 2
    assert.are.equal('{"big":18446744073709551615,"copy":18446744073709551615,"n":2,' ..
      '"pi":3.14159265358979323846264338}',
      json.encode_bytes(document))
  end)

  it("makes an object of what was read as [] and is given keys", function()
    assert.are.equal('{"users":{"alice":1}}',
      rewritten('{"users":[]}', function(d) d.users.alice = 1 end))
    assert.are.equal('[1,null,"x"]', rewritten("[1]", function(d) d[3] = "x" end))
    assert.are.equal("[]", rewritten("[1]", function(d) d[1] = nil end))
    assert.are.equal("[1,null,3]", rewritten("[1,2,3,4]", function(d) d[2], d[4] = nil, nil end))
  end)

  it("refuses what would be lost, and says where", function()
    for _, case in ipairs {
      { "[1]", function(d) d.x = 1 end,
        "a list that has a key 'x' as well cannot be written as JSON, at $" },
      { '{"l":[1]}', function(d) d.l[1000] = 1 end,
        "a list of 2 with an element 1000 cannot be written as JSON, at $.l" },
      { '{"1":"old"}', function(d) d[1] = "new" end,
        'a table with the number 1 and the text "1" as keys cannot be written as JSON, at $' },
      { '{"a":[{}]}', function(d) d.a[1].f = print end,
        "a function cannot be written as JSON, at $.a[1].f" },
      { '{"a":1}', function(d) d.a = 0 / 0 end,
        "a number that is not finite cannot be written as JSON, at $.a" },
      { '{"a":{}}', function(d) d.a[true] = 1 end,
        "a table with a boolean as key cannot be written as JSON, at $.a" },
    } do
      local ok, reason = pcall(rewritten, case[1], case[2])
      assert.is_false(ok, case[3])
      assert.are.equal(case[3], reason)
    end
  end)
end)

-- ---- random documents

-- A number's text: in an object any spelling, in a list, whose elements move, one that is not lost
-- with its place.
local function random_number(random, moves)
  local spelled = { "1.0", "2E3", "-0.0", "0.50", "7e0" }
  local kept = { "0", "17", "-4", "0.25", "18446744073709551616", "1e999", "12345678901234567.25",
    "-9007199254740993" }
  if not moves and random(3) == 1 then
    return spelled[random(#spelled)]
  end
  return kept[random(#kept)]
end

-- A model: {text = …}, {list = {…}} or {fields = {…}}.
local function random_model(random, depth, moves)
  local kind = random(depth > 3 and 3 or 5)
  if kind == 1 then
    return { text = random_number(random, moves) }
  elseif kind == 2 then
    return { text = '"' .. ("x"):rep(random(3)) .. '"' }
  elseif kind == 3 then
    return { text = ({ "true", "false", "null" })[random(3)] }
  elseif kind == 4 then
    local list = {}
    for i = 1, random(5) - 1 do
      list[i] = random_model(random, depth + 1, true)
    end
    return { list = list }
  end
  local fields = {}
  for _ = 1, random(5) - 1 do
    fields[("k%d"):format(random(9))] = random_model(random, depth + 1)
  end
  return { fields = fields }
end

local function text_of(model)
  if model.text then
    return model.text
  end
  local pieces = {}
  if model.list then
    for i, inner in ipairs(model.list) do
      pieces[i] = text_of(inner)
    end
    return "[" .. table.concat(pieces, ",") .. "]"
  end
  for key, inner in pairs(model.fields) do
    pieces[#pieces + 1] = ('"%s":%s'):format(key, text_of(inner))
  end
  table.sort(pieces)
  return "{" .. table.concat(pieces, ",") .. "}"
end

-- What a programmer does to a table, and the same to the model.
local function change(random, tree, model)
  if model.list then
    local at = random(#model.list + 1)
    if random(2) == 1 and at <= #model.list then
      table.remove(tree, at)
      table.remove(model.list, at)
    else
      table.insert(tree, at, 5)
      table.insert(model.list, at, { text = "5" })
    end
    for i, inner in ipairs(model.list) do
      if not inner.text then
        change(random, tree[i], inner)
      end
    end
  elseif model.fields then
    local key = ("k%d"):format(random(9))
    if random(2) == 1 then
      tree[key], model.fields[key] = nil, nil
    else
      tree[key], model.fields[key] = "new", { text = '"new"' }
    end
    for name, inner in pairs(model.fields) do
      if not inner.text then
        change(random, tree[name], inner)
      end
    end
  end
end

describe("a random document", function()
  it("is written as the model says, with what was done to it in between", function()
    local seed = tonumber(os.getenv("VLOCK_TEST_SEED")) or os.time()
    math.randomseed(seed)
    for _ = 1, 2000 do
      local model = random_model(math.random, 1)
      local before = text_of(model)
      local tree = json.decode_document(before)
      if model.fields or model.list then
        assert.are.equal(before, json.encode_bytes(tree), "seed " .. seed)
        change(math.random, tree, model)
        assert.are.equal(text_of(model), json.encode_bytes(tree), "seed " .. seed)
      end
    end
  end)
end)
