-- Receipts: what becomes of a write that is sent again because its reply was lost.

local ours = redis.script("cas")
local K, V = "cell", "{cell}:v"
local T = "60000"

local function cas(...)
  return ours:pcall({ K, V }, { ... })
end

-- A write that asks for receipts: session.sequence over a stamp.
local function write(token, base, ...)
  local version = math.tointeger(tonumber(base:match("^%d+"))) + 1
  return cas("by " .. token, version, "0", token, base, "RECEIPT", T, ...)
end

local function committed(...)
  local reply = write(...)
  assert.is_string(reply.ok, reply.err or "a conflict")
  return reply.ok:sub(4)
end

local function again(token, base, ...)
  local before = redis.call("DUMP", V)
  local reply = write(token, base, "AGAIN", ...)
  return reply, redis.call("DUMP", V) == before
end

local function record()
  local list, fields = redis.call("HGETALL", V), {}
  for i = 1, #list, 2 do
    fields[list[i]] = list[i + 1]
  end
  return fields
end

before_each(function()
  redis.call("FLUSHALL")
end)

describe("a write that is sent again", function()
  it("finds that it was applied, in the stamp and behind any number of others", function()
    local base = committed("a.1", "0")
    local made = committed("a.2", base)
    local theirs = made
    for i = 1, 3000 do
      local reply, is_unchanged = again("a.2", base)
      assert.are.equal("OK " .. made, reply.ok)
      assert.is_true(is_unchanged)
      theirs = committed(("b.%d"):format(i), theirs)
    end
    assert.are.equal("by b.3000", redis.call("GET", K))
  end)

  it("finds a deletion, and a write that has been deleted since", function()
    local base = committed("a.1", "0")
    local made = committed("a.2", base, "DEL")
    committed("b.1", made, "DEL")
    assert.are.equal("OK " .. made, again("a.2", base, "DEL").ok)
  end)

  it("is decided like any call where it was not applied: written, or a conflict", function()
    local base = committed("a.1", "0")
    assert.matches("^OK 2:pa.1:a.2$", again("a.2", base).ok)
    local theirs = committed("b.1", "2:pa.1:a.2")
    local reply, is_unchanged = again("a.3", "2:pa.1:a.2")
    assert.are.same({ -1, 3, "by b.1", theirs, "a.3" }, reply)
    assert.is_true(is_unchanged)
    redis.call("FLUSHALL")
    assert.are.equal("OK 1:pa.4:a.4", again("a.4", "0").ok)
  end)

  it("is not taken for an earlier or a later write of its session", function()
    local base = committed("a.1", "0")
    local made = committed("a.3", base)
    committed("b.1", made)
    assert.are.equal(-1, again("a.4", base)[1]) -- later than what is known: surely not applied
    assert.are.equal(-3, again("a.2", base)[1]) -- the session went on: what it knew is not here
    redis.call("FLUSHALL")
    committed("a.9", committed("a.1", "0"))
    assert.are.equal(-3, again("a.2", "1:pa.1:a.1")[1])
  end)

  it("learns that the server went back behind it, or made the record anew", function()
    local one = committed("a.1", "0")
    local two = committed("a.2", one)
    local dump = redis.call("DUMP", V)
    committed("a.3", two)
    assert.are.equal(-2, again("a.5", "4:pa.1:a.4")[1]) -- an older version
    assert.are.equal(-2, again("a.4", "3:pa.1:b.7")[1]) -- the same version, made by another
    redis.call("DEL", V)
    assert.are.same({ -2, 0, false, "0", "a.4" }, (again("a.4", "3:pa.1:a.3")))
    redis.call("SET", V, "3")
    assert.are.equal(-2, again("a.4", "3:pa.1:a.3")[1]) -- the article's
    redis.call("DEL", V)
    committed("b.4", committed("b.3", committed("b.2", committed("b.1", "0"))))
    assert.are.equal(-2, again("a.4", "3:pa.1:a.3")[1]) -- another record, further on
    redis.call("DEL", V)
    redis.call("RESTORE", V, "0", dump)
    assert.are.equal(-2, again("a.4", "3:pa.1:a.3")[1])
  end)

  it("cannot be told where nothing is kept: no sequence, no RECEIPT", function()
    local base = committed("a.1", "0")
    committed("b.2", committed("b.1", base))
    assert.are.equal(-3, again("nobody", base)[1])
    assert.are.equal(-3, cas("x", "2", "0", "a.2", base, "AGAIN")[1])
    assert.matches("^VLOCK .*AGAIN without a token", cas("x", "2", "0", "", base, "AGAIN").err)
    for _, ms in ipairs { "", "0", "-1", "1.5", "x", "1e17" } do
      assert.matches("^VLOCK RECEIPT .* takes a whole number of milliseconds", cas("x", "2", "0",
        "a.2", base, "RECEIPT", ms).err)
    end
    assert.matches("^VLOCK .*RECEIPT behind another flag", cas("x", "2", "0", "a.2", base, "XX",
      "RECEIPT", T).err)
  end)

  it("of an article's record is found behind its conversion", function()
    redis.call("SET", V, "5")
    local made = committed("a.1", "5")
    committed("b.1", made)
    assert.are.equal("OK " .. made, again("a.1", "5").ok)
    assert.are.equal(-1, again("a.2", "5")[1])
  end)
end)

describe("receipts", function()
  it("are kept where somebody commits over another's stamp, by every kind of call", function()
    local made = committed("a.1", "0")
    for i = 2, 20 do
      made = committed("a." .. i, made)
    end
    assert.are.same({ s = made, t = T }, record()) -- one's own commits keep nothing
    assert.is_string(cas("short", "21").ok)
    assert.matches("^20:20:%d+$", record().ra)
    made = committed("b.1", "21:pa.1:-")
    assert.is_nil(record().rb)
    assert.is_string(cas("no receipt", "23", "0", "c.1", made).ok)
    assert.matches("^22:1:%d+$", record().rb)
    assert.is_string(cas("no sequence", "24", "0", "d", "23:pa.1:c.1").ok)
    assert.matches("^23:1:%d+$", record().rc)
    assert.is_string(cas("x", "25", "0", "e.1", "24:pa.1:d").ok)
    assert.is_nil(record().rd)
  end)

  it("are not kept where nobody asked for them", function()
    assert.is_string(cas("x", "1", "0", "a.1", "0").ok)
    assert.is_string(cas("x", "2", "0", "b.1", "1:pa.1:a.1").ok)
    assert.are.same({ s = "2:pa.1:b.1" }, record())
  end)

  it("live as long as the longest RECEIPT that was asked for, and half as long again", function()
    local function server_ms()
      local time = redis.call("TIME")
      return math.tointeger(time[1]) * 1000 + math.tointeger(time[2]) // 1000
    end
    local made = committed("a.1", "0") -- 60 s
    made = cas("x", "2", "0", "b.1", made, "RECEIPT", "10").ok:sub(4)
    assert.are.equal(T, record().t)
    local now = server_ms()
    redis.call("HSET", V, "rold", "1:1:" .. now - 90001, "ryoung", "1:1:" .. now - 80000, "p", now)
    made = cas("x", "3", "0", "c.1", made, "RECEIPT", "10").ok:sub(4)
    assert.is_nil(record().rold)
    assert.is_string(record().ryoung)
    assert.is_string(record().ra)
    assert.is_string(record().rb)
    assert.is_true(tonumber(record().p) >= now + 30000)
    for i = 1, 2500 do
      redis.call("HSET", V, "rold" .. i, "1:1:1")
    end
    redis.call("HSET", V, "ra", "1:1:1", "rb", "1:1:1", "ryoung", "1:1:1", "p", now)
    made = cas("x", "4", "0", "d.1", made).ok:sub(4)
    local left = record()
    assert.matches("^3:1:", left.rc)
    left.rc, left.p = nil, nil
    assert.are.same({ s = made, t = T }, left)
  end)

  it("that are over go as well where one session writes alone, now and then", function()
    redis.call("HSET", V, "s", "63:pa.1:a.63", "t", T, "p", "1", "rb", "1:1:1")
    local made = committed("a.64", "63:pa.1:a.63")
    assert.is_string(record().rb)
    made = committed("a.65", made)
    assert.are.same({ s = made, t = T }, record()) -- none is left, and nothing to look for
  end)

  it("are as many as the sessions that wrote, however often they did", function()
    local made = "0"
    for i = 1, 600 do
      made = committed(("s%d.%d"):format(i % 30, i), made)
    end
    local count = 0
    for field in pairs(record()) do
      count = count + (field:sub(1, 1) == "r" and 1 or 0)
    end
    assert.are.equal(30, count)
  end)
end)
