-- Receipts: what becomes of a write that is sent again because its reply was lost.

local own_server = require "own_server"

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
    assert.matches("^OK 1:pt%d+%.%d+:a%.4$", again("a.4", "0").ok)
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

  it("makes a record anew where it made one that has gone, and that is another one", function()
    local made = committed("a.1", "0")
    local theirs = committed("c.1", committed("b.1", made))
    redis.call("DEL", V)
    local remade = again("a.1", "0").ok
    assert.matches("^OK 1:pt%d+%.%d+:a%.1$", remade)
    -- What stood on the one that has gone is not taken for what was not applied here.
    committed("d.3", committed("d.2", committed("d.1", remade:sub(4))))
    assert.are.equal(-2, again("c.1", (theirs:gsub("3:(.*):c.1", "2:%1:b.1")))[1])
    redis.call("DEL", V)
    committed("b.2", "0")
    assert.are.equal(-1, again("a.1", "0")[1]) -- of the first one nothing is left to be seen
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

  -- Ms since 1970, by the server's clock.
  local function server_ms()
    local time = redis.call("TIME")
    return math.tointeger(time[1]) * 1000 + math.tointeger(time[2]) // 1000
  end

  -- As the record would be if the server's clock had stepped forward by so many ms since.
  local function step(ms)
    for field, text in pairs(record()) do
      if field == "p" or field:sub(1, 1) == "r" then
        local shifted = text:gsub("%f[%d]%d%d%d%d%d%d%d%d%d%d%d%d%d%f[%D]", function(time)
          return ("%d"):format(math.tointeger(time) - ms)
        end)
        redis.call("HSET", V, field, shifted)
      end
    end
  end

  it("live longer than the longest RECEIPT that was asked for, whatever step the clock makes",
    function()
      local made = committed("b.1", committed("a.1", "0")) -- a's, 60 s
      made = cas("x", "3", "0", "c.1", made, "RECEIPT", "10").ok:sub(4)
      assert.are.equal(T, record().t)
      -- Nothing that is kept goes where a step lets one look come too soon.
      for _, before in ipairs { 0, 1, 2 } do
        redis.call("HDEL", V, "p", "ra", "rb", "rc")
        made = cas("x", record().s:match("%d+") + 1, "0", "a.2", made).ok:sub(4)
        made = cas("x", record().s:match("%d+") + 1, "0", "b.2", made).ok:sub(4)
        for i = 1, before do
          step(60000)
          made = cas("x", record().s:match("%d+") + 1, "0", "d" .. i .. ".1", made).ok:sub(4)
          assert.matches("^%d+:%d+:%d*$", record().p)
        end
        made = cas("x", record().s:match("%d+") + 1, "0", "e.1", made).ok:sub(4)
        made = cas("x", record().s:match("%d+") + 1, "0", "f.1", made).ok:sub(4)
        step(3600000)
        made = cas("x", record().s:match("%d+") + 1, "0", "g.1", made).ok:sub(4)
        made = cas("x", record().s:match("%d+") + 1, "0", "h.1", made).ok:sub(4)
        assert.is_string(record().re)
        assert.is_true(tonumber(record().p:match("^%d+")) > server_ms() + 59000)
      end
    end)

  it("go with the third look that finds them", function()
    local made = committed("b.1", committed("a.1", "0"))
    for i = 1, 3 do
      assert.is_string(record().ra)
      step(60000)
      made = cas("x", record().s:match("%d+") + 1, "0", "c" .. i .. ".1", made).ok:sub(4)
    end
    assert.is_nil(record().ra)
    for i = 1, 2500 do
      redis.call("HSET", V, "rold" .. i, "1:1:1")
    end
    redis.call("HSET", V, "rb", "1:1:1", "rc1", "1:1:1", "rc2", "1:1:1", "p", "1:1:1")
    made = cas("x", "6", "0", "d.1", made).ok:sub(4)
    local left = record()
    assert.matches("^5:1:", left.rc3)
    left.rc3, left.p = nil, nil
    assert.are.same({ s = made, t = T, f = "2" }, left)
  end)

  it("of a record that knows of no earlier looks go later", function()
    local made = committed("b.1", committed("a.1", "0"))
    redis.call("HSET", V, "p", "1", "ra", "1:1:1")
    made = committed("c.1", made)
    assert.is_string(record().ra)
    assert.matches("^%d+:%d+:$", record().p)
    step(60000)
    made = committed("d.1", made)
    assert.matches("^%d+:%d+:%d+$", record().p)
    step(60000)
    committed("e.1", made)
    assert.is_nil(record().ra)
  end)

  it("that are over go as well where one session writes alone, now and then", function()
    redis.call("HSET", V, "s", "63:pa.1:a.63", "t", T, "p", "1:1:1", "rb", "1:1:1")
    local made = committed("a.64", "63:pa.1:a.63")
    assert.is_string(record().rb)
    made = committed("a.65", made)
    -- None is left, and nothing to look for; but the highest version of what went.
    assert.are.same({ s = made, t = T, f = "1" }, record())
  end)

  it("stay where the server has no command to take them away, and what is written is said to be",
    function()
      for _, command in ipairs { "HDEL", "HGETALL" } do
        local server = own_server.start(("--rename-command %s ''"):format(command))
        local connection <close> = redis.connect(server.url)
        connection:call("HSET", V, "s", "64:pa.1:a.64", "t", T, "p", "1:1:1", "rb", "1:1:1")
        local reply = ours:pcall({ K, V }, { "x", "65", "0", "a.65", "64:pa.1:a.64", "RECEIPT", T },
          connection)
        assert.are.equal("OK 65:pa.1:a.65", reply.ok, reply.err)
        assert.are.equal("1:1:1", connection:call("HGET", V, "rb"))
        server.stop()
      end
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

describe("tasks that write a cell side by side", function()
  -- A store whose commits take 20 ms; the names of the writers that are in one now.
  local function slow_store(inside, seen)
    local plain = require("vlock.policy.store").new("plain",
      require("vlock.policy.search").context(nil))
    return setmetatable({
      commit = function(cell, base, value, token)
        local writer = token:match("^(.+)%.%d+$")
        assert.is_nil(inside[writer], "two writes at a time by " .. writer)
        inside[writer], seen[writer] = true, true
        vlock.sleep(0.02)
        local results = table.pack(plain.commit(cell, base, value, token))
        inside[writer] = nil
        return table.unpack(results, 1, results.n)
      end,
    }, { __index = plain })
  end

  it("do so under different names, of which few are needed", function()
    local inside, seen, tasks = {}, {}, {}
    local store = slow_store(inside, seen)
    for i = 1, 3 do
      tasks[i] = vlock.spawn(function()
        for _ = 1, 3 do
          assert(vlock.update("beside", function(value)
            return (tonumber(value) or 0) + 1
          end, { store = store, backoff = "none" }))
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.are.equal("9", redis.call("GET", "beside"))
    local count = 0
    for _ in pairs(seen) do
      count = count + 1
    end
    assert.are.equal(3, count)
  end)
end)

describe("a write that comes after a commit of its client", function()
  -- The writers a and b: what is lost is put back from a dump, as a server that lost it would.
  local function lost()
    local base = committed("b.1", committed("a.1", "0"))
    local dump = redis.call("DUMP", V)
    local made = committed("a.2", base)
    redis.call("RESTORE", V, "0", dump, "REPLACE")
    return made, base
  end

  local function unchanged(token, base, ...)
    local before = redis.call("DUMP", V)
    local reply = write(token, base, ...)
    assert.are.equal(before, redis.call("DUMP", V))
    return reply
  end

  it("is refused where the record has lost that one, however far others have come since", function()
    local made, theirs = lost()
    assert.are.same({ -4, 2, false, theirs, "a.3" }, unchanged("a.3", theirs, "AFTER", made))
    for i = 2, 50 do
      theirs = committed("b." .. i, theirs)
      assert.are.equal(-4, unchanged("a.3", theirs, "AFTER", made)[1])
      assert.are.equal(-4, unchanged("a.3", theirs, "AGAIN", "AFTER", made)[1])
    end
    -- A conflict stays one: it is told with the next write, that would be made.
    assert.are.equal(-1, unchanged("a.3", "2:pa.1:b.1", "AFTER", made)[1])
    assert.is_string(write("a.3", theirs, "XX", "AFTER", theirs).ok) -- it is at the next one now
  end)

  it("is made where the record holds it: in its stamp or in a receipt", function()
    local made = committed("a.2", committed("b.1", committed("a.1", "0")))
    local theirs = made
    for i = 2, 50 do
      theirs = committed("b." .. i, theirs, "AFTER", "2:pa.1:b." .. i - 1)
      redis.call("HDEL", V, "rb")
      theirs = committed("c." .. i, theirs)
    end
    theirs = committed("a.3", theirs, "AFTER", made)
    -- A task beside it has committed as the same session since: of that the stamp tells.
    redis.call("HDEL", V, "ra")
    theirs = committed("a.4", theirs, "AFTER", made)
    committed("b.60", committed("a_2.5", theirs, "AFTER", made), "AFTER", "1:pa.1:nobody")
  end)

  it("is made where the record is another one, or one of the article's", function()
    local made = lost()
    redis.call("DEL", V)
    local other = committed("b.7", "0", "AFTER", made)
    assert.matches("^2:pb.7:a.3$", committed("a.3", other, "AFTER", made))
    redis.call("DEL", V)
    redis.call("SET", V, "7")
    assert.matches("^8:", committed("a.3", "7", "AFTER", made))
  end)

  it("needs a token, and says what it comes after", function()
    assert.matches("^VLOCK .*AFTER without one or without a stamp", cas("x", "1", "0", "", "0",
      "AFTER", "1:pa.1:a.1").err)
    assert.matches("^VLOCK .*AFTER without one or without a stamp", write("a.1", "0", "AFTER").err)
    for _, stamp in ipairs { "", "0", "x", "1:pa.1:-", ":::", "9:pa.1:nobody" } do
      redis.call("FLUSHALL")
      assert.is_string(write("a.2", committed("a.1", "0"), "AFTER", stamp).ok)
    end
  end)
end)

-- The first call meets a server that does not know the script; a copy of it comes late, and finds
-- the script there.
describe("a late copy of a call that met no script", function()
  local connections = require "vlock.redis_core"
  local commit = connections.commit
  local others -- what they write over it, or nil

  -- The store, whose first call has such a copy.
  local function with_late_copy()
    local copies = 0
    connections.commit = function(...)
      local reply, stamp = commit(...)
      if ours:is_forgotten(reply) then
        copies = copies + 1
        redis.call("SCRIPT", "LOAD", ours.source)
        local applied = redis.call(...)
        if others then
          others(applied.ok:sub(4))
        end
      end
      return reply, stamp
    end
    local store = dofile("lua/store/plain.lua")
    connections.commit = commit
    return store, function()
      return copies
    end
  end

  local cell = { key = K, version_key = V, receipts = 60, receipt_ms = T }

  for name, f in pairs { ["is found"] = false, ["is found behind other writes, too"] =
    function(stamp)
      committed("x.2", committed("x.1", stamp))
    end } do
    it(name, function()
      others = f or nil
      local store, copies = with_late_copy()
      redis.call("SCRIPT", "FLUSH")
      local said, stamp = store.commit(cell, { stamp = "0", version = 0 }, "mine", "w.1")
      assert.are.equal(1, copies())
      assert.are.equal("committed", said)
      assert.are.equal("1:pw.1:w.1", stamp)
      assert.are.equal(f and 3 or 1, redis.call("HGET", V, "s"):match("^%d+") + 0)
    end)
  end
end)
