-- The server of simulations against a real one: random commands, and scripts, in the same order on
-- both, and no reply differs. Times are the only thing that cannot be the same to the millisecond.

local redis_server = require "vlock.sim.redis_server"

local RUNS, STEPS = 40, 400

local random -- of the run under way

local function pick(list)
  return list[random(#list)]
end

local KEYS_OF_RUN = { "s1", "s2", "h1", "h2", "n1", "x" }
local FIELDS = { "a", "b", "c", "s", "t", "p" }
local VALUES = { "", "0", "1", "-7", "12", "9223372036854775807", "-9223372036854775808", "1.5",
  "text", "two words", "a\0b", " 3", "007", "1e3" }

local function key()
  return pick(KEYS_OF_RUN)
end

local function field()
  return pick(FIELDS)
end

local function value()
  return pick(VALUES)
end

-- Far enough away that it does not come while the test runs, or past.
local function seconds()
  return pick { "100", "5000", "100000", "-1", "0", "abc", "9223372036854775807" }
end

-- Lifetimes that differ by more than a test takes: which of two equal ones ends later is a matter
-- of the clock.
local lifetimes = 0

local function milliseconds()
  lifetimes = lifetimes + 1
  local longer = lifetimes * 60000
  return pick { tostring(107000 + longer), tostring(5007000 + longer), "-1", "0", "x" }
end

local function several(from, ...)
  local words = {}
  for _ = 1, random(3) do
    for _, one in ipairs { ... } do
      words[#words + 1] = one()
    end
  end
  return table.unpack(words, from)
end

local READ_ALL = [[
return { redis.call('EXISTS', KEYS[1]), redis.pcall('GET', KEYS[1]), redis.pcall('HGET', KEYS[1],
  ARGV[1]), redis.call('TYPE', KEYS[1]), { ARGV[2], #ARGV, false, 2.7, -2.7, true, 'after' } }]]

local WRITE_SOME = [[
local n = redis.pcall('INCR', KEYS[1])
if type(n) == 'table' then return n end
redis.call('SET', KEYS[2], n * 2)
return redis.status_reply('made ' .. tostring(n))]]

-- What is made up at random: a name, and what makes its words.
local COMMANDS = {
  GET = function() return key() end,
  SET = function() return key(), value() end,
  set = function() return key(), value(), pick { "NX", "XX", "KEEPTTL", "GET", "nonsense" } end,
  Set = function() return key(), value(), "EX", seconds() end,
  sEt = function() return key(), value(), "PX", milliseconds() end,
  SEt = function() return key(), value(), pick { "KEEPTTL", "XX", "NX" }, "GET" end,
  SETNX = function() return key(), value() end,
  SETEX = function() return key(), seconds(), value() end,
  PSETEX = function() return key(), milliseconds(), value() end,
  GETSET = function() return key(), value() end,
  GETDEL = function() return key() end,
  MGET = function() return several(1, key) end,
  MSET = function() return several(random(2), key, value) end,
  APPEND = function() return key(), value() end,
  STRLEN = function() return key() end,
  INCR = function() return key() end,
  DECR = function() return key() end,
  INCRBY = function() return key(), value() end,
  DECRBY = function() return key(), value() end,
  DEL = function() return several(1, key) end,
  UNLINK = function() return several(1, key) end,
  EXISTS = function() return several(1, key) end,
  TYPE = function() return key() end,
  EXPIRE = function() return key(), seconds() end,
  expire = function() return key(), seconds(), pick { "NX", "XX", "YY" } end,
  PEXPIRE = function() return key(), milliseconds(), pick { "NX", "XX" }, pick { "nx", "XX" } end,
  EXPIREAT = function() return key(), pick { "1", "4000000000", "x" } end,
  -- Which of two times is later must not be a matter of milliseconds.
  expireat = function() return key(), pick { "1", "4000000000", "4000000001" },
    pick { "GT", "LT", "gt", "XX" }, pick { "GT", "LT", "XX" } end,
  PEXPIREAT = function() return key(), pick { "1", "4000000000000", "x" } end,
  pexpireat = function() return key(), pick { "4000000000000", "4000000001000" },
    pick { "GT", "LT", "NX" } end,
  EXPIRETIME = function() return key() end,
  PEXPIRETIME = function() return key() end,
  PERSIST = function() return key() end,
  TTL = function() return key() end,
  PTTL = function() return key() end,
  HSET = function() return key(), several(random(2), field, value) end,
  HSETNX = function() return key(), field(), value() end,
  HGET = function() return key(), field() end,
  HMGET = function() return key(), several(1, field) end,
  HGETALL = function() return key() end,
  HKEYS = function() return key() end,
  HVALS = function() return key() end,
  HDEL = function() return key(), several(1, field) end,
  HEXISTS = function() return key(), field() end,
  HLEN = function() return key() end,
  HSTRLEN = function() return key(), field() end,
  HINCRBY = function() return key(), field(), value() end,
  DBSIZE = function() end,
  PING = function() end,
  ECHO = function() return value() end,
  EVAL = function() return READ_ALL, "1", key(), field(), value() end,
  eval = function() return WRITE_SOME, pick { "2", "2", "9", "-1", "x" }, key(), key() end,
  EVAL_RO = function() return pick { READ_ALL, WRITE_SOME }, "2", key(), key(), "a" end,
}

local NAMES = {}
for name in pairs(COMMANDS) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

local IN_NO_ORDER = { HGETALL = 2, HKEYS = 1, HVALS = 1 }

-- A list of pairs, or of single elements, in an order that is always the same.
local function sorted(list, size)
  local groups = {}
  for i = 1, #list, size do
    groups[#groups + 1] = table.concat(list, "\0", i, i + size - 1)
  end
  table.sort(groups)
  return groups
end

-- A reply as a text. Numbers that are times from now may differ by what the test takes.
local function shown(reply, name, is_top)
  if type(reply) == "table" and reply.err then
    return "err " .. reply.err
  elseif type(reply) == "table" and reply.ok then
    return "ok " .. reply.ok
  elseif type(reply) == "table" then
    local size = is_top and IN_NO_ORDER[name]
    local texts = {}
    for i, one in ipairs(size and sorted(reply, size) or reply) do
      texts[i] = shown(one, name)
    end
    return "[" .. table.concat(texts, ", ") .. "]"
  elseif type(reply) == "number" and reply > 90 and (name == "TTL" or name == "PTTL"
    or name:find("EXPIRETIME")) then
    return ("about %.0f"):format(reply / (name:find("^P") and 60000 or 60))
  end
  return type(reply) .. " " .. tostring(reply)
end

local function now_us()
  local time = redis.call("TIME")
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- A simulated server whose clock shows what the real one's does.
local function new_pair()
  redis.call("FLUSHALL")
  local began = now_us()
  local execute = redis_server.new(began)
  local started = vlock.now()
  return function(words)
    return redis.pcall(table.unpack(words)),
      execute(words, math.floor((vlock.now() - started) * 1e9))
  end
end

local function line_of(words)
  local texts = {}
  for i, word in ipairs(words) do
    texts[i] = ("%q"):format(word)
  end
  return table.concat(texts, " ")
end

-- It writes numbers as Redis 7.0 does; later servers write large ones with all their digits.
local IS_AS_MODELLED = redis.REDIS_VERSION:find("^7%.0%.") ~= nil

-- A text with its large numbers written in one way.
local function leveled(text)
  return (text:gsub("%-?%d[%d.]*e?%+?%d*", function(digits)
    local number = tonumber(digits)
    return number and math.abs(number + 0.0) >= 1e17 and ("%.17g"):format(number) or nil
  end))
end

local function is_same(expected, got)
  return expected == got or not IS_AS_MODELLED and leveled(expected) == leveled(got)
end

-- Runs random commands on both; the first that is answered differently is an error.
local function compare(seed)
  math.randomseed(seed)
  random = math.random
  local both, kinds = new_pair(), {}
  for step = 1, STEPS do
    local name = pick(NAMES)
    local words = { name, COMMANDS[name]() }
    for i, word in ipairs(words) do
      words[i] = tostring(word)
    end
    local real, simulated = both(words)
    local expected, got = shown(real, name:upper(), true), shown(simulated, name:upper(), true)
    if not is_same(expected, got) then
      assert.are.equal(expected, got, ("seed %d, step %d: %s"):format(seed, step, line_of(words)))
    end
    kinds[expected:match("^%S+")] = true
  end
  return kinds
end

local function text_of(file)
  local handle <close> = assert(io.open(file, "rb"))
  return handle:read("a")
end

local CAS, READ = text_of("lua/cas.lua"), text_of("lua/read.lua")

-- Calls of the core script as they come from several sessions on one cell, right and wrong ones.
local function random_call(known)
  local flags = { "RECEIPT", pick { "60000", "1000", "x" } }
  for _, flag in ipairs { "XX", "AGAIN", "DEL" } do
    if random(6) == 1 then
      flags[#flags + 1] = flag
    end
  end
  if random(8) == 1 then
    flags[#flags + 1], flags[#flags + 2] = "PX", pick { "500000", "0", "x" }
  elseif random(8) == 1 then
    flags[#flags + 1], flags[#flags + 2] = "AFTER", pick(known)
  end
  local stamp = random(4) == 1 and pick(known) or known[#known]
  local version = tonumber(stamp:match("^%d+")) + (random(8) == 1 and 2 or 1)
  local token = ("w%d.%d"):format(random(3), random(6) == 1 and random(40) or #known)
  local words = { "EVAL", CAS, "2", pick { "cell", "cell", "cell", "other" }, "{cell}:v", value(),
    tostring(version), pick { "", "0", "0", "100", "-3" }, random(12) == 1 and "" or token,
    random(10) == 1 and "" or stamp }
  return table.move(flags, 1, #flags, #words + 1, words)
end

local function compare_calls(seed)
  math.randomseed(seed)
  random = math.random
  local both, known, outcomes = new_pair(), { "0" }, {}
  for step = 1, STEPS do
    local words = random(5) == 1 and { "EVAL", READ, "2", "cell", "{cell}:v", "PTTL", "tag" }
      or random_call(known)
    local real, simulated = both(words)
    -- What it names by the time is not the same.
    local expected, got = shown(real, "EVAL"), shown(simulated, "EVAL")
    if not expected:find(":[ep]t%d") then
      expected, got = expected:gsub("number %d%d%d%d%d+", "time"),
        got:gsub("number %d%d%d%d%d+", "time")
      assert.are.equal(expected, got, ("seed %d, step %d: %s"):format(seed, step, line_of {
        table.unpack(words, 3) }))
    end
    local stamp = real.ok and real.ok:match("^OK (.+)") or type(real[4]) == "string" and real[4]
    known[#known + 1] = stamp or nil
    outcomes[real.ok and "committed" or real.err and "refused" or real[1] == -1 and "conflict"
      or type(real[1]) == "number" and real[1] or "read"] = true
    if expected:find(":[ep]t%d") then
      break -- from here on the two have different stamps
    end
  end
  return outcomes
end

describe("the simulated server", function()
  it("answers random commands as a real one does", function()
    local seen = {}
    for seed = 1, RUNS do
      for kind in pairs(compare(seed)) do
        seen[kind] = true
      end
    end
    for _, kind in ipairs { "err", "ok", "string", "number", "boolean" } do
      assert.is_true(seen[kind], "no reply was of this kind: " .. kind)
    end
  end)

  it("runs the core script as a real one does", function()
    local seen = {}
    for seed = 1, RUNS do
      for outcome in pairs(compare_calls(seed)) do
        seen[outcome] = true
      end
    end
    for _, outcome in ipairs { "committed", "conflict", "refused", "read", -2, -3, -4 } do
      assert.is_true(seen[outcome], "no call ended so: " .. outcome)
    end
  end)

  it("has keys end when their time is over", function()
    local execute = redis_server.new(0)
    execute({ "SET", "k", "v", "PX", "10" }, 0)
    execute({ "HSET", "h", "f", "v" }, 0)
    execute({ "EXPIRE", "h", "1" }, 0)
    assert.are.equal("v", execute({ "GET", "k" }, 9999999))
    assert.are.equal(false, execute({ "GET", "k" }, 10000000))
    assert.are.equal(1, execute({ "DBSIZE" }, 999999999))
    assert.are.equal(-2, execute({ "PTTL", "h" }, 1000000000))
    assert.are.equal(0, execute({ "DBSIZE" }, 1000000000))
  end)

  it("names what it knows where it is asked for something else", function()
    local execute = redis_server.new(0)
    local reply = execute({ "ZADD", "k", "1", "m" }, 0)
    assert.matches("^VLOCK the simulated server does not know the command 'ZADD'; it knows: APPEND",
      reply.err)
    assert.matches("nonexistent global variable 'nope' script: %x+, on @user_script:2%.$",
      execute({ "EVAL", "\nreturn nope", "0" }, 0).err)
    assert.matches("^NOSCRIPT ", execute({ "EVALSHA", ("0"):rep(40), "0" }, 0).err)
    assert.matches("^ERR Error compiling script", execute({ "EVAL", "return (", "0" }, 0).err)
  end)

  it("takes back what was written, the last first", function()
    local undos = {}
    local execute = redis_server.new(0, function(undo)
      undos[#undos + 1] = undo
    end)
    local function run(line)
      local words = {}
      for word in line:gmatch("%S+") do
        words[#words + 1] = word
      end
      return execute(words, 0)
    end
    run "SET a 1"
    run "HSET h f 1 g 2"
    local before = #undos
    for _, line in ipairs { "SET a 2 EX 100", "INCR a", "HSET h f 3 x 4", "HDEL h g", "DEL a",
      "SETNX b 1", "DEL h", "HSET h q 1", "FLUSHALL", "SET a 9" } do
      run(line)
    end
    for i = #undos, before + 1, -1 do
      undos[i]()
    end
    assert.are.equal("1", run "GET a")
    assert.are.equal(-1, run "TTL a")
    assert.are.same({ "f", "1", "g", "2" }, run "HGETALL h")
    assert.are.equal(2, run "DBSIZE")
  end)
end)
