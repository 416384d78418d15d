-- The core script, by the nine defects of the article's: each is shown with the article's logic
-- first, then not to be there in ours.

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local naive = redis.script(read_file("tests/fixtures/naive_cas.lua"))
local ours = redis.script(read_file("lua/cas.lua"))
local reader = redis.script(read_file("lua/read.lua"))

local K, V = "cell", "{cell}:v"

local function cas(...)
  return ours:pcall({ K, V }, { ... })
end

local function read()
  return reader:call({ K, V }, {})
end

local function stamp()
  return read()[3]
end

local function snapshot()
  return { redis.call("DUMP", K), redis.call("DUMP", V), redis.call("PTTL", V) < 0,
    redis.call("PTTL", K) < 0 }
end

local function must_refuse(pattern, ...)
  local before = snapshot()
  local reply = cas(...)
  assert.is_string(reply.err, "refused")
  assert.matches(pattern, reply.err)
  assert.are.same(before, snapshot())
end

before_each(function()
  redis.call("FLUSHALL")
end)

describe("the nine defects of the article's script, and ours:", function()
  it("1. a failed attempt changes nothing", function()
    naive({ "n", "nv" }, { "a", "1", "100" })
    naive({ "n", "nv" }, { "b", "1", "100" })
    assert.are.equal("2", redis.call("GET", "nv")) -- the loser has moved the version

    assert.are.equal("OK", cas("a", "1", "0").ok)
    local before = snapshot()
    for _ = 1, 5 do
      assert.are.equal(-1, cas("b", "1", "0")[1])
    end
    assert.are.same(before, snapshot())
    assert.are.equal("OK", cas("c", "2", "0").ok)
  end)

  it("1. two clients that alternate both get through", function()
    local function race(attempt)
      local wins = 0
      local versions = { 0, 0 }
      for turn = 1, 12 do
        local who = turn % 2 + 1
        local won, version = attempt(versions[who])
        versions[who] = version
        wins = wins + (won and 1 or 0)
      end
      return wins
    end
    local naive_wins = race(function(version)
      local reply = naive({ "n", "nv" }, { "x", tostring(version + 1), "100" })
      return reply.ok, reply.ok and version + 1 or reply[2]
    end)
    local our_wins = race(function(version)
      local reply = cas("x", tostring(version + 1), "0")
      return reply.ok, reply.ok and version + 1 or reply[2]
    end)
    assert.are.equal(1, naive_wins) -- 11 of 12 fail
    assert.is_true(our_wins >= 6)
  end)

  it("2. a conflict hands back value and version together", function()
    naive({ "n", "nv" }, { "theirs", "1", "100" })
    local conflict = naive({ "n", "nv" }, { "mine", "1", "100" })
    -- Over a value never read.
    assert.are.equal("OK", naive({ "n", "nv" }, { "mine", tostring(conflict[2] + 1), "100" }).ok)

    cas("theirs", "1", "0", "tok.1")
    assert.are.same({ -1, 1, "theirs", stamp() }, cas("mine", "1", "0"))
    assert.are.same({ -1, 1, "theirs", stamp(), "tok.2" }, cas("mine", "1", "0", "tok.2", "0"))
    assert.are.same({ -1, 1, "theirs", stamp(), "tok.3" },
      cas("mine", "2", "0", "tok.3", "1:pother:other"))
  end)

  it("3. value and version are read in one step", function()
    cas("a", "1", "0")
    local torn_value = redis.call("GET", K)
    cas("b", "2", "0")
    local torn_version = redis.call("HGET", V, "s"):match("^%d+")
    assert.are.same({ "a", "2" }, { torn_value, torn_version }) -- two reads: a pair that never was
    local whole = read()
    assert.are.same({ "b", 2 }, { whole[1], whole[2] })
  end)

  it("4. every commit renews the lifetime, and a recreated record is not taken for the old one",
    function()
    naive({ "n", "nv" }, { "a", "1", "100" })
    redis.call("EXPIRE", "nv", 10)
    naive({ "n", "nv" }, { "b", "2", "100" })
    assert.is_true(redis.call("TTL", "nv") <= 10) -- a fixed clock from the first write
    redis.call("DEL", "nv")
    naive({ "n", "nv" }, { "c", "1", "100" })
    -- It had read version 1 of the old record.
    assert.are.equal("OK", naive({ "n", "nv" }, { "stale", "2", "100" }).ok)

    cas("a", "1", "100", "w.1", "0")
    local old = stamp()
    redis.call("EXPIRE", V, 10)
    assert.are.equal("OK", cas("b", "2", "100", "w.2", old).ok:sub(1, 2))
    assert.is_true(redis.call("TTL", V) > 90)
    redis.call("DEL", V)
    cas("c", "1", "100", "w.3", "0")
    assert.are.equal(-1, cas("stale", "2", "100", "w.4", old)[1])
    assert.are.equal("c", redis.call("GET", K))
  end)

  it("5. a writer that lost the acknowledgement can tell its own commit from another's", function()
    naive({ "n", "nv" }, { "a", "1", "100" })
    -- A conflict, although it is its own.
    assert.are.same({ -1, 2 }, naive({ "n", "nv" }, { "a", "1", "100" }))

    cas("a", "1", "0", "writer.1", "0")
    local again = cas("a", "1", "0", "writer.1", "0")
    assert.are.equal(-1, again[1])
    assert.are.equal("writer.1", again[4]:match(":([^:]*)$"))
    assert.are.equal("writer.1", again[5])
  end)

  it("6. what is refused is refused before anything is written", function()
    local ok = pcall(naive.call, naive, { "n", "nv" }, { "a", "1", "abc" })
    assert.is_false(ok)
    -- The version has moved, the value was not written.
    assert.are.equal("1", redis.call("GET", "nv"))

    for _, lifetime in ipairs { "abc", "-1", "1.5", "3153600001", "1e3", "99999999999999999999",
      "007", "00", "+1", " 1" } do
      must_refuse("^VLOCK the lifetime", "a", "1", lifetime)
    end
  end)

  it("6. a user who may not do all of it does nothing of it", function()
    local url = redis.private_server()
    local path = url:match("^unix://(.*)$")
    local function as(rules)
      redis.call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "+@all",
        table.unpack(rules))
      return redis.connect("unix://limited:pw@" .. path)
    end
    local connection = as { "-set" }
    pcall(naive.call, naive, { "n", "nv" }, { "a", "1", "100" }, connection)
    assert.are.equal("1", redis.call("GET", "nv")) -- half of it was done
    connection:close()

    cas("a", "1", "0", "w.1", "0")
    local before = snapshot()
    for _, rules in ipairs { { "-set" }, { "-hset" }, { "-hget" }, { "-evalsha", "-eval" } } do
      local limited <close> = as(rules)
      local reply = ours:pcall({ K, V }, { "b", "2", "0", "w.2", stamp() }, limited)
      assert.is_string(reply.err)
      assert.are.same(before, snapshot())
    end
    redis.call("FLUSHALL")
    cas("a", "1", "100", "w.1", "0")
    before = snapshot()
    for rule, lifetime in pairs { ["-expire"] = "100", ["-persist"] = "0" } do
      local limited <close> = as { rule }
      assert.is_string(ours:pcall({ K, V }, { "b", "2", lifetime, "w.2", stamp() }, limited).err)
      assert.are.same(before, snapshot())
    end
    redis.call("FLUSHALL")
    redis.call("SET", V, "5")
    redis.call("SET", K, "a")
    before = snapshot()
    local limited <close> = as { "-del" }
    assert.is_string(ours:pcall({ K, V }, { "b", "6", "0", "w.2" }, limited).err)
    assert.are.same(before, snapshot())
    redis.call("ACL", "DELUSER", "limited")
  end)

  it("7. versions are exact, and one that cannot be is an error", function()
    redis.call("SET", "nv", "99999999999999")
    -- 1e+14 is not its text.
    assert.are.equal(-1, naive({ "n", "nv" }, { "a", "100000000000000", "100" })[1])

    redis.call("SET", V, "99999999999999")
    assert.are.equal("OK", cas("a", "100000000000000", "0").ok)
    assert.are.equal(100000000000000, read()[2])
    redis.call("DEL", V)
    redis.call("SET", V, "9007199254740990")
    assert.are.equal("OK", cas("a", "9007199254740991", "0").ok)
    assert.are.equal(9007199254740991, read()[2])
    must_refuse("^VLOCK the version 9007199254740991 is too large", "b", "9007199254740991", "0")
    must_refuse("^VLOCK the version %(ARGV%[2%]%)", "b", "9007199254740992", "0")
    for _, bad in ipairs { "0", "-1", "01", "1.0", "1e3", "x", "", " 1", "9007199254740993" } do
      must_refuse("^VLOCK the version %(ARGV%[2%]%)", "b", bad, "0")
    end
  end)

  it("8. the value keeps its own TTL, and a key of another type stays what it is", function()
    redis.call("SET", "n", "x", "EX", 1000)
    redis.call("RPUSH", "m", "x")
    naive({ "n", "nv" }, { "a", "1", "100" })
    naive({ "m", "mv" }, { "a", "1", "100" })
    assert.are.equal(-1, redis.call("TTL", "n")) -- gone
    assert.are.equal("string", redis.call("TYPE", "m").ok) -- the list is overwritten

    redis.call("SET", K, "x", "EX", 1000)
    cas("a", "1", "0")
    assert.is_true(redis.call("TTL", K) > 990)
    redis.call("DEL", K)
    redis.call("RPUSH", K, "x")
    must_refuse("^WRONGTYPE", "b", "2", "0")
    must_refuse("^WRONGTYPE", "b", "2", "0", "w.1", stamp and "" or "", "DEL")
    must_refuse("^WRONGTYPE", "b", "7", "0") -- in a conflict, too
  end)

  it("9. a conflict is told from an error and from a commit by its reply alone", function()
    assert.are.equal("OK", cas("a", "1", "0").ok)
    assert.are.same({ -1, 1, "a", stamp() }, cas("b", "1", "0"))
    local version, conflict = vlock.compare_and_set(K, "b", 0)
    assert.is_nil(version)
    assert.are.equal("conflict", conflict.outcome)
    assert.are.equal(1, conflict.version)
    assert.are.equal("a", conflict.value)
  end)
end)

describe("the core script", function()
  it("takes a third key, and no fewer than two", function()
    assert.are.equal("OK", ours({ K, V, "expire" }, { "1", "1", "100" }).ok)
    assert.are.equal(false, redis.call("GET", "expire"))
    assert.matches("^VLOCK takes 2 keys", ours:pcall({ K }, { "1", "1" }).err)
    assert.matches("^VLOCK takes 2 keys", ours:pcall({ K, V, "a", "b" }, { "1", "1" }).err)
    assert.matches("^VLOCK the value's key and the version's key must differ",
      ours:pcall({ K, K }, { "1", "1" }).err)
    assert.matches("^VLOCK takes a value", ours:pcall({ K, V }, { "1" }).err)
  end)

  it("echoes the token of every call that has one", function()
    assert.are.equal("OK 1:pw.1:w.1", cas("a", "1", "0", "w.1", "0").ok)
    assert.are.equal("OK 2:pw.1:w.2", cas("b", "2", "", "w.2", "1:pw.1:w.1").ok)
    assert.matches(" %(token w%.3%)$", cas("b", "x", "0", "w.3").err)
    for _, bad in ipairs { "a b", "a:b", ("x"):rep(65), "ü" } do
      must_refuse("^VLOCK the token", "c", "3", "0", bad)
    end
  end)

  it("compares the whole stamp where one is given, and the number with it", function()
    cas("a", "1", "0", "w.1", "0")
    assert.are.equal(-1, cas("b", "2", "0", "w.2", "1:pw.1:w.9")[1])
    assert.are.equal(-1, cas("b", "3", "0", "w.2", "1:pw.1:w.1")[1])
    assert.are.equal("OK 2:pw.1:w.2", cas("b", "2", "0", "w.2", "1:pw.1:w.1").ok)
  end)

  it("deletes the value and moves the version on", function()
    cas("a", "1", "0", "w.1", "0")
    assert.are.equal("OK 2:pw.1:w.2", cas("", "2", "0", "w.2", "1:pw.1:w.1", "DEL").ok)
    assert.are.same({ false, 2, "2:pw.1:w.2" }, read())
    -- A stale writer sees that something was there.
    assert.are.equal(-1, cas("a", "1", "0", "w.3", "0")[1])
    assert.are.equal("OK", cas("c", "3", "0").ok)
  end)

  it("gives the value a lifetime when asked, and refuses flags it does not know", function()
    assert.are.equal("OK", cas("a", "1", "0", "", "", "PX", "50000").ok)
    assert.is_true(redis.call("PTTL", K) > 40000)
    assert.are.equal("OK", cas("b", "2", "0").ok)
    assert.is_true(redis.call("PTTL", K) > 40000)
    must_refuse("^VLOCK unknown flag", "c", "3", "0", "", "", "NX")
    must_refuse("^VLOCK unknown flag", "c", "3", "0", "", "", "PX", "0")
    must_refuse("^VLOCK unknown flag", "c", "3", "0", "", "", "PX")
  end)

  it("never shortens the life of a record, and lengthens it when asked", function()
    cas("a", "1", "1000", "w.1", "0")
    cas("b", "2", "10", "w.2", stamp())
    assert.is_true(redis.call("TTL", V) > 900)
    cas("c", "3", "2000", "w.3", stamp())
    assert.is_true(redis.call("TTL", V) > 1900)
    cas("d", "4", "0", "w.4", stamp())
    assert.are.equal(-1, redis.call("TTL", V))
    redis.call("FLUSHALL")
    cas("a", "1", "0", "w.1", "0")
    cas("b", "2", "10", "w.2", stamp())
    assert.are.equal(-1, redis.call("TTL", V))
  end)

  it("takes over the article's record, with its version and no less of its lifetime", function()
    redis.call("SET", V, "7", "EX", 500)
    redis.call("SET", K, "old")
    assert.are.same({ "old", 7, "7" }, read())
    assert.are.same({ -1, 7, "old", "7" }, cas("x", "7", "100"))
    assert.are.equal("7", redis.call("GET", V)) -- a conflict converts nothing
    assert.are.equal("OK 8:ew.1:w.1", cas("new", "8", "100", "w.1", "7").ok)
    assert.are.equal("hash", redis.call("TYPE", V).ok)
    assert.is_true(redis.call("TTL", V) > 490)
    redis.call("DEL", V)
    redis.call("SET", V, "7")
    cas("new", "8", "100", "w.2", "7")
    assert.are.equal(-1, redis.call("TTL", V))
  end)

  it("leaves alone what is no record of its own", function()
    redis.call("SET", V, "hello")
    must_refuse("^VLOCK the version's key holds something", "a", "1", "0")
    redis.call("DEL", V)
    redis.call("RPUSH", V, "x")
    must_refuse("^VLOCK the version's key holds something", "a", "1", "0")
    redis.call("DEL", V)
    redis.call("HSET", V, "f", "x")
    must_refuse("^VLOCK the version's key holds a hash", "a", "1", "0")
    assert.matches("^VLOCK", reader:pcall({ K, V }, {}).err)
    redis.call("HSET", V, "s", "junk")
    must_refuse("^VLOCK the version's key holds a hash", "a", "1", "0")
    assert.matches("^VLOCK", reader:pcall({ K, V }, {}).err)
  end)

  it("writes nothing when memory is at its limit", function()
    cas("a", "1", "0", "w.1", "0")
    local before = snapshot()
    redis.call("CONFIG", "SET", "maxmemory", "1")
    local reply = cas("b", "2", "0", "w.2", "1:pw.1:w.1")
    redis.call("CONFIG", "SET", "maxmemory", "0")
    assert.matches("OOM", reply.err, 1, true)
    assert.are.same(before, snapshot())
  end)

  it("carries any bytes", function()
    local bytes = "\0\255\r\n\"'{}" .. ("x"):rep(100000)
    cas(bytes, "1", "0", "w.1", "0")
    assert.are.equal(bytes, read()[1])
    assert.are.equal(bytes, cas("y", "1", "0")[3])
    cas("", "2", "0", "w.2", "1:pw.1:w.1")
    assert.are.same({ "", 2, "2:pw.1:w.2" }, read())
  end)

  it("is read by EVAL_RO, so that reading never writes", function()
    cas("a", "1", "0", "w.1", "0")
    assert.are.same({ "a", 1, "1:pw.1:w.1" }, redis.call("EVAL_RO", reader.source, 2, K, V))
    assert.are.same({ false, 0, "0" },
      redis.call("EVAL_RO", reader.source, 2, "absent", "{absent}:v"))
    redis.call("RPUSH", "list", "x")
    assert.matches("WRONGTYPE", redis.pcall("EVAL_RO", reader.source, 2, "list", "{list}:v").err, 1,
      true)
  end)
end)
