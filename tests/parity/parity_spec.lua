-- The same script inside Redis, by EVAL, and on the host, by vlockrun: the same reply.

local core = require "vlock.core"
local scripts = require "parity_scripts"

-- What is Redis' own in an error's text: where the script stood. Lua 5.1 and the host name a chunk
-- differently.
local function bare(text)
  text = text:gsub(" script: %x+, on @user_script:%d+%.?$", ""):gsub("^ERR user_script:%d+: ",
    "ERR "):gsub("^ERR (Lua redis lib)", "%1")
  return (text:gsub('^%[string "[^"]*"%]:%d+: ', ""):gsub("^ERR (Please specify)",
    "%1"):gsub("this redis%.call%(%) call", "this call")
    :gsub("^.*ommand arguments must be",
      "Command arguments must be"):gsub("this redis%.p?call call",
      "this call"):gsub("for this call$", "for this call"))
end

local function canonical_reply(reply)
  local kind, content = reply.kind, reply.content
  if kind == "array" then
    local pieces = {}
    for i, element in ipairs(content) do
      pieces[i] = canonical_reply(element)
    end
    return "[" .. table.concat(pieces, ", ") .. "]"
  elseif kind == "error" then
    return "error " .. bare(content)
  end
  return kind .. " " .. tostring(content)
end

local function canonical(value)
  return canonical_reply(core.as_reply(value))
end

local function on_server(source, keys, args)
  local words = { "EVAL", source, #keys }
  table.move(keys, 1, #keys, 4, words)
  table.move(args, 1, #args, #words + 1, words)
  return redis.pcall(table.unpack(words))
end

local function on_host(source, keys, args)
  local environment = setmetatable({ KEYS = keys, ARGV = args }, { __index = _G })
  local ok, result = pcall(assert(load(source, source, "t", environment)))
  if ok then
    return result
  elseif type(result) == "table" then
    return result
  end
  return { err = "ERR " .. tostring(result):gsub('^%[string "[^"]*"%]:%d+: ',
    ""):gsub("^(Lua redis lib)", "ERR %1"):gsub("^ERR ", "") }
end

local has_resp3 = pcall(redis.setresp, 3)
redis.setresp(2)

describe("redis.setresp(3)", function()
  it("is there with hiredis 1.0 or later, and a clear error before", function()
    local ok, reason = pcall(redis.setresp, 3)
    redis.setresp(2)
    assert.are.equal(has_resp3, ok)
    assert.is_true(ok
      or reason:find("redis.setresp(3) needs hiredis 1.0 or later; this is hiredis 0.", 1,
      true) ~= nil)
  end)
end)

describe("host and server agree on", function()
  for _, script in ipairs(scripts) do
    local name, source, keys, args = script[1], script[2], script[3] or {}, script[4] or {}
    local run = (has_resp3 or not script.needs_resp3) and it or pending
    run(name, function()
      redis.call("FLUSHALL")
      local theirs = canonical(on_server(source, keys, args))
      redis.call("FLUSHALL")
      local ours = canonical(on_host(source, keys, args))
      redis.setresp(2)
      if #theirs < 1000 then
        assert.are.equal(theirs, ours)
      else
        assert.is_true(theirs == ours)
      end
    end)
  end

  it("at least 80 scripts", function()
    assert.is_true(#scripts >= 80)
  end)
end)

describe("the host says clearly what it does not have:", function()
  for _, name in ipairs { "struct", "cmsgpack" } do
    it(name, function()
      local ok, reason = pcall(load("return " .. name .. ".pack"))
      assert.is_false(ok)
      assert.matches(name .. " is not there on the host: ", reason, 1, true)
    end)
  end
end)

describe("where the two differ, as lua/README.md says:", function()
  it("what pcall catches is a text in Redis, and on the host a table that prints as that text",
    function()
    redis.call("SET", "k", "v")
    local source = "local ok, e = pcall(redis.call, 'LPUSH', 'k', 'x') return {type(e), " ..
      "tostring(e)}"
    local theirs, ours = redis.call("EVAL", source, 0), load(source)()
    assert.are.equal("table", ours[1])
    assert.are.equal(ours[2], (theirs[2]:gsub(" script: .*", "")))
  end)

  it("cjson writes large whole numbers in digits, and reads whole numbers as integers", function()
    assert.are.equal("1700000000000001", cjson.encode(1700000000000001))
    assert.are.equal("1.7e+15", redis.call("EVAL", "return cjson.encode(1700000000000001)", 0))
    assert.are.equal("integer", math.type(cjson.decode("[1700000000000001]")[1]))
  end)

  it("integers beyond 2^53 stay what they are", function()
    redis.call("SET", "n", "9007199254740993")
    assert.are.equal(9007199254740994, redis.call("INCR", "n"))
    redis.call("SET", "n", "9007199254740992")
    assert.are.equal(9007199254740993, redis.call("INCR", "n"))
  end)
end)
