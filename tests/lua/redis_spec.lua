-- The `redis` library on a private server.

local function call(...)
  return redis.call(...)
end

describe("redis.call", function()
  before_each(function()
    call("FLUSHALL")
  end)

  it("gives each kind of reply the Lua value that scripts in Redis get", function()
    assert.are.same({ ok = "OK" }, call("SET", "k", "v"))
    assert.are.equal("v", call("GET", "k"))
    assert.are.equal(false, call("GET", "absent"))
    assert.are.equal(3, call("RPUSH", "list", "a", "b", "c"))
    assert.are.equal("integer", math.type(call("LLEN", "list")))
    assert.are.same({ "a", "b", "c" }, call("LRANGE", "list", 0, -1))
    assert.are.same({}, call("LRANGE", "absent", 0, -1))
    assert.are.same({ "v", false }, call("MGET", "k", "absent"))
    assert.are.same({ 1, { "x", { ok = "fine" }, false }, 9007199254740993 },
      call("EVAL", "return {1, {'x', {ok = 'fine'}, false}, tonumber('9007199254740992')}",
        0)[3] and
      { 1, { "x", { ok = "fine" }, false }, call("INCRBY", "large", "9007199254740993") })
  end)

  it("carries any bytes both ways", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local all = table.concat(bytes)
    call("SET", all, all .. all)
    assert.are.equal(all .. all, call("GET", all))
  end)

  it("sends whole numbers in digits and others with 17 significant ones", function()
    for given, sent in pairs { [7] = "7", [2.0 ^ 40] = "1099511627776",
      [0.1] = "0.10000000000000001", [-3] = "-3" } do
      call("SET", "n", given)
      assert.are.equal(sent, call("GET", "n"))
    end
    call("SET", "n", math.maxinteger)
    assert.are.equal("9223372036854775807", call("GET", "n"))
  end)

  it("refuses arguments of other types, and none at all, in Redis' words", function()
    assert.has_error(function()
      call("SET", "k", {})
    end, "Lua redis lib command arguments must be strings or integers")
    assert.has_error(function()
      call("SET", "k", nil)
    end, "Lua redis lib command arguments must be strings or integers")
    local ok, reason = pcall(redis.call)
    assert.is_false(ok)
    assert.are.equal("ERR Please specify at least one argument for this redis lib call", reason.err)
  end)

  it("raises an error reply as a table with err; pcall returns it", function()
    call("SET", "k", "v")
    local ok, reason = pcall(redis.call, "LPUSH", "k", "x")
    assert.is_false(ok)
    assert.are.equal("WRONGTYPE Operation against a key holding the wrong kind of value",
      reason.err)
    assert.are.equal(reason.err, tostring(reason))
    assert.are.equal(reason.err, redis.pcall("LPUSH", "k", "x").err)
  end)

  it("takes arguments by the thousand and by the megabyte", function()
    local words = { "RPUSH", "many" }
    for i = 1, 5000 do
      words[#words + 1] = "value" .. i
    end
    assert.are.equal(5000, call(table.unpack(words)))
    assert.are.equal("value5000", call("LINDEX", "many", -1))
    local large = ("0123456789abcdef"):rep(1024 * 512)
    call("SET", "large", large)
    assert.is_true(call("GET", "large") == large)
  end)

  it("refuses on the shared connection what would freeze or change it", function()
    for _, words in ipairs {
      { "BLPOP", "k", 0 }, { "MULTI" }, { "multi" }, { "WATCH", "k" }, { "WAIT", 1, 0 },
      { "XREAD", "BLOCK", 0, "STREAMS", "s", "$" }, { "EXEC" },
    } do
      local reply = redis.pcall(table.unpack(words))
      assert.matches("^ERR This Redis command is not allowed from script: .*use redis%.connect$",
        reply.err)
    end
    for _, words in ipairs {
      { "SUBSCRIBE", "c" }, { "MONITOR" }, { "PMONITOR" }, { "monitor\r\nx" }, { "xsubscribe" },
      { "PUNSUBSCRIBE\r\n", "c" },
      { "SCRIPT", "DEBUG", "YES" }, { "REPLCONF", "listening-port", 1 }, { "HELLO", 3 },
      { "SELECT", 1 }, { "CLIENT", "REPLY", "OFF" }, { "QUIT" }, { "AUTH", "x" },
    } do
      local reply = redis.pcall(table.unpack(words))
      assert.matches("^ERR This Redis command is not allowed from script: .+", reply.err)
    end
    -- And the connection is as it was.
    local replies = redis.pipeline { { "PING" }, { "ECHO", "a" }, { "ECHO", "b" } }
    assert.are.same({ "PONG", "a", "b" }, { replies[1].ok, replies[2], replies[3] })
  end)

  it("takes for an option only what stands where options stand", function()
    assert.is_false(call("XREAD", "STREAMS", "block", "0"))
    call("XGROUP", "CREATE", "block", "BLOCK", "$", "MKSTREAM")
    assert.is_false(call("XREADGROUP", "GROUP", "BLOCK", "block", "COUNT", 1, "STREAMS", "block",
      ">"))
    assert.matches("redis%.connect$",
      redis.pcall("XREADGROUP", "GROUP", "g", "c", "NOACK", "BLOCK", 1, "STREAMS", "s", ">").err)
  end)
end)

describe("redis.connect", function()
  local url = redis.private_server()

  it("gives a connection of one's own, with transactions and blocking commands", function()
    local one <close> = redis.connect(url)
    local other <close> = redis.connect(url)
    assert.are.equal("OK", one:call("MULTI").ok)
    assert.are.equal("QUEUED", one:call("SET", "t", "1").ok)
    assert.are.equal("OK", one:call("EXEC")[1].ok)
    local waiter = vlock.spawn(function()
      return other:call("BLPOP", "queue", 0)
    end)
    redis.call("RPUSH", "queue", "job")
    assert.are.same({ "queue", "job" }, waiter:join())
  end)

  it("tells WATCH's abort: a null reply", function()
    local one <close> = redis.connect(url)
    redis.call("SET", "w", "1")
    one:call("WATCH", "w")
    redis.call("SET", "w", "2")
    one:call("MULTI")
    one:call("SET", "w", "3")
    assert.are.equal(false, one:call("EXEC"))
    assert.are.equal("2", redis.call("GET", "w"))
  end)

  it("selects the database of its URL", function()
    local third <close> = redis.connect(url .. "?db=3")
    third:call("SET", "here", "3")
    assert.are.equal(false, redis.call("GET", "here"))
    assert.are.equal("3", third:call("GET", "here"))
  end)

  it("logs in, and says what is wrong when it may not, without the password", function()
    redis.call("ACL", "SETUSER", "reader", "on", ">s3cret", "~*", "+get", "+ping", "+select")
    local path = url:match("^unix://(.*)$")
    local reader <close> = redis.connect("unix://reader:s3cret@" .. path)
    assert.are.equal("PONG", reader:call("PING").ok)
    assert.matches("^NOPERM", reader:pcall("SET", "k", "v").err)
    local stranger <close> = redis.connect("unix://reader:s3cret2@" .. path)
    local reply = stranger:pcall("PING")
    assert.are.equal("unreachable", reply.outcome)
    assert.matches("WRONGPASS", reply.err, 1, true)
    assert.is_nil(reply.err:find("s3cret", 1, true))
    redis.call("ACL", "DELUSER", "reader")
  end)

  it("refuses bad URLs and use after close", function()
    for _, bad in ipairs { "http://x", "redis://h:70000", "redis://h/x", "unix://relative",
      "redis+cluster://h/1", "redis+sentinel://h", "" } do
      local ok, reason = pcall(redis.connect, bad)
      assert.is_false(ok)
      assert.is_string(reason)
    end
    local closed = redis.connect(url)
    closed:call("PING")
    closed:close()
    assert.has_error(function()
      closed:call("PING")
    end, "this connection is closed")
  end)
end)

describe("redis.pipeline", function()
  it("sends all in one write, and gives the replies in order, errors among them", function()
    local connection <close> = redis.connect(redis.private_server())
    connection:call("DEL", "p")
    local _, _, before = connection:traffic()
    local replies = redis.pipeline({ { "SET", "p", "1" }, { "INCR", "p" }, { "LPUSH", "p", "x" },
      { "GET", "p" } }, connection)
    local _, _, after = connection:traffic()
    assert.are.equal(1, after - before)
    assert.are.equal("OK", replies[1].ok)
    assert.are.equal(2, replies[2])
    assert.matches("^WRONGTYPE", replies[3].err)
    assert.are.equal("2", replies[4])
    assert.are.same({}, redis.pipeline {})
    local many = {}
    for i = 1, 2000 do
      many[i] = { "ECHO", i }
    end
    replies = redis.pipeline(many)
    for i = 1, 2000 do
      assert.are.equal(tostring(i), replies[i])
    end
  end)
end)

describe("redis.script", function()
  it("runs source by its SHA-1, and again after the server forgot it", function()
    local echo = redis.script("return {KEYS[1], KEYS[2], ARGV[1], ARGV[2]}")
    local expected = { "key1", "key2", "first", "second" }
    assert.are.same(expected, echo({ "key1", "key2" }, { "first", "second" }))
    redis.call("SCRIPT", "FLUSH")
    assert.are.same(expected, echo({ "key1", "key2" }, { "first", "second" }))
    assert.are.equal(1, redis.call("SCRIPT", "EXISTS", echo.sha1)[1])
  end)

  it("finds scripts by name, and says where it looked", function()
    assert.are.equal("OK", redis.script("cas")({ "s", "{s}:v" }, { "1", "1" }).ok)
    local ok, reason = pcall(redis.script, "nosuch")
    assert.is_false(ok)
    assert.matches("no script 'nosuch'", reason, 1, true)
  end)

  it("raises or returns the script's own error", function()
    local failing = redis.script("return redis.error_reply('MINE alone')")
    assert.are.equal("MINE alone", failing:pcall({}, {}).err)
    assert.has_error(function()
      failing:call({}, {})
    end)
  end)
end)

describe("the rest of redis", function()
  it("has Redis' helpers", function()
    assert.are.same("ERR oops", redis.error_reply("oops").err)
    assert.are.same("MY oops", redis.error_reply("MY oops").err)
    assert.are.same("MY oops", redis.error_reply("-MY oops").err)
    assert.are.same({ ok = "fine" }, redis.status_reply("fine"))
    assert.are.equal("a9993e364706816aba3e25717850c26c9cd0d89d", redis.sha1hex("abc"))
    assert.are.equal(0, redis.LOG_DEBUG)
    assert.are.equal(3, redis.LOG_WARNING)
    assert.has_error(function()
      redis.log(7, "x")
    end, "Invalid log level.")
    redis.log(redis.LOG_DEBUG, "not", "shown")
  end)

  it("knows the server's version", function()
    local major, minor, patch = redis.REDIS_VERSION:match("^(%d+)%.(%d+)%.(%d+)")
    assert.are.equal(tonumber(major) * 65536 + tonumber(minor) * 256 + tonumber(patch),
      redis.REDIS_VERSION_NUM)
  end)

  it("has the names of Lua 5.1, and cjson", function()
    assert.are.equal(2, select("#", unpack { 1, 2 })) -- luacheck: ignore
    assert.are.equal(3, loadstring("return 3")()) -- luacheck: ignore
    assert.are.equal(2, table.getn { 1, 2 }) -- luacheck: ignore
    assert.are.same({ 1, 2 }, cjson.decode("[1,2]"))
  end)
end)

it("only scripts are asked of a replica: what would change a connection is not", function()
  local ask = require("vlock.redis_core").ask_replica
  assert.is_nil(ask("EVAL", "return 1", 0)) -- of a single server there is none
  for _, command in ipairs { "SUBSCRIBE", "MULTI", "GET" } do
    local ok, reason = pcall(ask, command, "x")
    assert.is_false(ok)
    assert.matches("EVALSHA or EVAL", reason)
  end
end)
