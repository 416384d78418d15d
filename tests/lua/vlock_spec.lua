-- get, compare_and_set, update, delete: what a script sees, and what it costs.

local core = require "vlock.core"

-- What an outsider does meanwhile: the cell is written by another client.
local function intrude(key, value)
  local clients = require "vlock.cell.client"
  local store = require("vlock.policy.store").new("plain",
    require("vlock.policy.search").context(nil))
  local other = clients.new {
    policies = function()
      return vlock.policy {}
    end,
    stores = function()
      return store
    end,
  }
  assert(other:update(key, function()
    return value
  end))
end

-- Commands that the server ran since, by name.
local function calls_of(name)
  local line = redis.call("INFO", "commandstats"):match("cmdstat_" .. name .. ":calls=(%d+)")
  return tonumber(line or 0)
end

before_each(function()
  redis.call("FLUSHALL")
end)

describe("vlock.get", function()
  it("gives value, version and stamp, and nil and 0 for what was never written", function()
    assert.are.same({ n = 3, nil, 0, "0" }, table.pack(vlock.get("k")))
    vlock.update("k", function()
      return "v"
    end)
    local value, version, stamp = vlock.get("k")
    assert.are.equal("v", value)
    assert.are.equal(1, version)
    assert.matches("^1:p[%x.]+:[%x.]+$", stamp)
    assert.are.equal("v", redis.call("GET", "k")) -- a plain string at its key
  end)
end)

describe("vlock.compare_and_set", function()
  it("is the article's function: value, version, a lifetime of 100 s, a conflict to be seen",
    function()
    local version, stamp = vlock.compare_and_set("k", "a", 0)
    assert.are.equal(1, version)
    assert.is_string(stamp)
    local ttl = redis.call("TTL", "{k}:v")
    assert.is_true(ttl > 95 and ttl <= 100)
    local none, conflict = vlock.compare_and_set("k", "b", 0)
    assert.is_nil(none)
    assert.are.equal("conflict", conflict.outcome)
    assert.are.same({ 1, "a", stamp }, { conflict.version, conflict.value, conflict.stamp })
    assert.are.equal(2, (vlock.compare_and_set("k", "b", conflict.stamp)))
    assert.are.equal(3, (vlock.compare_and_set("k", "c", 2, { expire = 1000 })))
    assert.is_true(redis.call("TTL", "{k}:v") > 900)
  end)

  it("raises errors, which are no conflicts", function()
    redis.call("RPUSH", "list", "x")
    local ok, reason = pcall(vlock.compare_and_set, "list", "a", 0)
    assert.is_false(ok)
    assert.matches("^WRONGTYPE", reason.err)
    for _, bad in ipairs { "x", -1, 1.5, {}, "" } do
      assert.is_false((pcall(vlock.compare_and_set, "k", "a", bad)))
    end
    assert.are.equal(false, redis.call("GET", "k"))
  end)

  it("takes tables as JSON, a version key of one's own, and nil to delete", function()
    vlock.compare_and_set("k", { a = { 1, 2 }, n = 1700000000000001 }, 0,
      { codec = "json", version_key = "{k}version" })
    assert.are.equal('{"a":[1,2],"n":1700000000000001}', redis.call("GET", "k"))
    local value, version = vlock.get("k", { codec = "json", version_key = "{k}version" })
    assert.are.same({ { 1, 2 }, 1700000000000001, 1 }, { value.a, value.n, version })
    assert.are.equal(2, (vlock.compare_and_set("k", nil, 1, { version_key = "{k}version" })))
    assert.are.equal(0, redis.call("EXISTS", "k"))
  end)

  it("tells a recreated record from the one that was read, by its stamp", function()
    local _, old = vlock.compare_and_set("k", "a", 0)
    redis.call("DEL", "{k}:v")
    vlock.compare_and_set("k", "b", 0)
    local _, conflict = vlock.compare_and_set("k", "c", old)
    assert.are.equal("conflict", conflict.outcome)
    assert.are.equal("b", redis.call("GET", "k"))
  end)
end)

describe("vlock.update", function()
  local function add_one(value)
    return (tonumber(value) or 0) + 1
  end

  it("returns the value written and its version", function()
    assert.are.same({ 1, 1 }, { vlock.update("n5", add_one) })
    assert.are.same({ 2, 2 }, { vlock.update("n5", add_one) })
    assert.are.equal("2", redis.call("GET", "n5"))
  end)

  it("costs one round trip each in an undisturbed series", function()
    vlock.update("n6", add_one)
    redis.call("CONFIG", "RESETSTAT")
    for _ = 1, 1000 do
      vlock.update("n6", add_one)
    end
    assert.are.equal(1000, calls_of("evalsha"))
    assert.are.equal(0, calls_of("eval"))
    assert.are.equal("1001", redis.call("GET", "n6"))
  end)

  it("leaves the cell as it is where the function returns nil, and deletes with vlock.DELETE",
    function()
    vlock.update("n7", add_one)
    assert.are.same({ "1", 1 }, { vlock.update("n7", function() end) })
    assert.are.same({ n = 2, nil, 2 }, table.pack(vlock.update("n7", function()
      return vlock.DELETE
    end)))
    assert.are.equal(0, redis.call("EXISTS", "n7"))
    assert.are.same({ n = 2, nil, 3 }, table.pack(vlock.delete("n7")))
  end)

  it("repeats a decision not to write, or an error, on a fresh read before it counts", function()
    vlock.update("n8", function()
      return "low"
    end)
    intrude("n8", "high")
    local seen = {}
    vlock.update("n8", function(value)
      seen[#seen + 1] = value
      return value == "high" and "written" or nil
    end)
    assert.are.same({ "low", "high" }, seen)
    assert.are.equal("written", redis.call("GET", "n8"))
    intrude("n8", "good")
    vlock.update("n8", function(value)
      assert(value == "good", "stale")
      return "fine"
    end)
    assert.are.equal("fine", redis.call("GET", "n8"))
    assert.has_error(function()
      vlock.update("n8", function()
        error("mine", 0)
      end)
    end, "mine")
  end)

  it("loses nothing to another client, and tells fn the version", function()
    local calls = {}
    local value, version = vlock.update("n9", function(old, at)
      calls[#calls + 1] = { old or "none", at }
      if #calls == 1 then
        intrude("n9", "10")
      end
      return (old or "") .. "x"
    end, { backoff = "none" })
    assert.are.same({ { "none", 0 }, { "10", 1 } }, calls)
    assert.are.same({ "10x", 2 }, { value, version })
  end)

  it("goes in order through retry, backoff, sleep, a fresh read, merge, attempt", function()
    local log = {}
    vlock.update("n10", function()
      return "base"
    end)
    local value = vlock.update("n10", function(old)
      log[#log + 1] = "fn " .. old
      intrude("n10", "theirs")
      return "mine"
    end, {
      retry = function(_, c)
        log[#log + 1] = ("retry %d %s %s %s gap %d"):format(c.attempt, c.base.value, c.mine,
          c.theirs.value, c.gap)
        return c.attempt < 3 -- not for ever, whatever is broken
      end,
      backoff = function(_, c)
        log[#log + 1] = "backoff " .. c.theirs.value
        intrude("n10", "later")
        return 0.02
      end,
      merge = function(_, c)
        log[#log + 1] = ("merge %s %s %s gap %d"):format(c.base.value, c.theirs.value, c.mine,
          c.gap)
        return "merged"
      end,
    })
    assert.are.same({
      "fn base", "retry 1 base mine theirs gap 1", "backoff theirs", "merge base later mine gap 2",
    }, log)
    assert.are.equal("merged", value)
    assert.are.equal("merged", redis.call("GET", "n10"))
  end)

  it("asks the update function again of a deletion: there is nothing of ours to merge", function()
    local seen = {}
    local value, version = vlock.update("n10d", function(old)
      seen[#seen + 1] = old or "none"
      intrude("n10d", "theirs " .. #seen)
      return vlock.DELETE
    end, {
      backoff = "none",
      retry = function(_, c)
        return c.attempt < 3 or false
      end,
      merge = function()
        seen[#seen + 1] = "merged"
      end,
    })
    assert.are.same({ "none", "theirs 1", "theirs 2" }, seen)
    assert.is_nil(value)
    assert.are.equal("gave_up", version.outcome)
  end)

  it("takes the value that the conflict carried for a retry without sleep: no read", function()
    vlock.update("n11", function()
      return "1"
    end)
    intrude("n11", "5")
    redis.call("CONFIG", "RESETSTAT")
    assert.are.equal(6, (vlock.update("n11", add_one, { backoff = "none" })))
    assert.are.equal(2, calls_of("evalsha"))
  end)

  it("gives up as the policy says, with reason, attempts and what stands there", function()
    local function contested()
      return vlock.update("n12", function(value)
        intrude("n12", "theirs")
        return (value or "") .. "x"
      end, { retry = { "attempts", max = 3 }, backoff = "none" })
    end
    local value, outcome = contested()
    assert.is_nil(value)
    assert.are.equal("gave_up", outcome.outcome)
    assert.are.equal(3, outcome.attempts)
    assert.are.equal("theirs", outcome.theirs.value)
    assert.are.equal("3 attempts failed", outcome.reason)
    assert.are.equal("theirs", redis.call("GET", "n12"))
    assert.matches("gave_up after 3 attempts: 3 attempts failed", tostring(outcome), 1, true)
  end)

  it("ends at its deadline", function()
    local before = vlock.now()
    local _, outcome = vlock.update("n13", function()
      intrude("n13", "theirs")
      return "mine"
    end, { retry = "forever", backoff = { "fixed", pause = "200ms" }, deadline = 0.5 })
    assert.are.equal("gave_up", outcome.outcome)
    assert.matches("deadline", outcome.reason, 1, true)
    assert.is_true(vlock.now() - before < 3)
  end)

  it("merges counters, so that both changes count", function()
    vlock.update("n14", function()
      return "10"
    end)
    local calls = 0
    assert.are.equal("115", (vlock.update("n14", function(value)
      calls = calls + 1
      intrude("n14", "110")
      return ("%d"):format(value + 5)
    end, { merge = "counter", backoff = "none" })))
    assert.are.equal(1, calls)
  end)

  it("says which option is unknown, and what a value must be", function()
    local ok, reason = pcall(vlock.update, "n15", add_one, { mrege = "counter" })
    assert.is_false(ok)
    assert.matches("unknown option 'mrege', did you mean 'merge'?", reason, 1, true)
    ok, reason = pcall(vlock.update, "n15", function()
      return {}
    end)
    assert.is_false(ok)
    assert.matches("a value must be a text or a number, not a table", reason, 1, true)
    for _, number in ipairs { 0 / 0, 1 / 0, -1 / 0 } do
      ok, reason = pcall(vlock.update, "nofinite", function()
        return number
      end)
      assert.is_false(ok)
      assert.matches("a value must be a text or a finite number, not %-?[ni]", reason)
      assert.is_nil((vlock.get("nofinite")))
    end
    ok, reason = pcall(vlock.update, "n15", add_one, { codec = "jsn" })
    assert.is_false(ok)
    assert.matches("did you mean 'json'?", reason, 1, true)
    assert.is_false((pcall(vlock.update, "", add_one)))
    assert.is_false((pcall(vlock.update, "n15", "not a function")))
    assert.is_false((pcall(vlock.get, "n15", 5)))
  end)

  it("says what each option must be, at the line that gave it", function()
    for name, bad in pairs { expire = 1.5, ttl = 0, deadline = "soon", version_key = 5,
      combine = "yes", codec = 5, store = true, retry = 5 } do
      local line = debug.getinfo(1, "l").currentline + 1
      local ok, reason = pcall(function() vlock.update("n16", add_one, { [name] = bad }) end)
      assert.is_false(ok)
      assert.matches(("vlock_spec.lua:%d: option '%s' must be "):format(line, name), reason, 1,
        true)
    end
    assert.are.equal(0, redis.call("EXISTS", "n16"))
  end)

  it("takes times as seconds or as texts", function()
    assert.are.equal(1,
      (vlock.update("n17", add_one, { expire = "100s", ttl = "5m", deadline = "2s" })))
    assert.are.equal(100, redis.call("TTL", "{n17}:v"))
    assert.are.equal(300, redis.call("TTL", "n17"))
    assert.are.equal(2, (vlock.update("n17", add_one, { expire = 200, ttl = 400 })))
    assert.are.equal(200, redis.call("TTL", "{n17}:v"))
    assert.are.equal(400, redis.call("TTL", "n17"))
  end)

  it("takes a whole policy: its file, its table, its name, an instance of it", function()
    local path = os.tmpname() .. ".lua"
    local file = assert(io.open(path, "w"))
    file:write("-- a policy of policies\nreturn {\n  retry = all { 'attempts', { 'deadline', " ..
      "max = '1s' } },\n  backoff = { 'fixed', puase = '1ms' },\n}\n")
    file:close()
    local ok, reason = pcall(vlock.update, "n18", add_one, { policy = path })
    assert.is_false(ok)
    assert.matches(path
      .. ":4: backoff 'fixed' (lua/backoff/fixed.lua): unknown parameter 'puase', did you " ..
      "mean 'pause'?", reason, 1, true)
    file = assert(io.open(path, "w"))
    file:write("return { retry = all { { 'attempts', max = 1 }, 'deadline' }, merge = 'counter' }")
    file:close()
    vlock.update("n18", add_one)
    intrude("n18", "10")
    local value, given_up = vlock.update("n18", add_one, { policy = path })
    assert.is_nil(value)
    assert.are.equal("1 attempt failed", given_up.reason)
    os.remove(path)
    for _, whole in ipairs { "none", { backoff = "none" }, vlock.policy { backoff = "none" } } do
      assert.is_number((vlock.update("n18", add_one, { policy = whole })))
    end
    ok, reason = pcall(vlock.update, "n18", add_one, { policy = path })
    assert.is_false(ok)
    assert.matches("cannot read " .. path, reason, 1, true)
    ok, reason = pcall(vlock.update, "n18", add_one, { policy = "none", merge = "counter" })
    assert.is_false(ok)
    assert.matches("it excludes 'merge'", reason, 1, true)
  end)

  it("is safe for many tasks of one script", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = vlock.spawn(function()
        for _ = 1, 20 do
          assert(vlock.update("n16", add_one, { backoff = { "full_jitter", cap = "5ms" } }))
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.are.equal("400", redis.call("GET", "n16"))
  end)

  it("keeps a bounded number of bases", function()
    for i = 1, 3000 do
      vlock.update("key" .. i, add_one)
    end
    redis.call("CONFIG", "RESETSTAT")
    vlock.update("key3000", add_one)
    assert.are.equal(1, calls_of("evalsha"))
    vlock.update("key1", add_one)
    assert.are.equal(3, calls_of("evalsha"))
  end)
end)

describe("the keys of a cell", function()
  local cells = require "vlock.cell.cell"

  it("share a slot: the version's key carries the value's hash tag", function()
    assert.are.equal("{acct:42}:v", cells.version_key("acct:42"))
    assert.are.equal("{u7}:cart:v", cells.version_key("{u7}:cart"))
    assert.are.equal("a{u7}:v", cells.version_key("a{u7}"))
    assert.are.equal("{a{b}:v", cells.version_key("a{b"))
    -- Whose own braces would end the tag: an empty one is none.
    for _, key in ipairs { "{}x", "a}b", "}" } do
      assert.is_false((pcall(cells.version_key, key)))
    end
  end)
end)

-- CRC16 of XMODEM over the hash tag, or the whole key: "Redis cluster specification".
local function slot_of(key)
  local opens = key:find("{", 1, true)
  local closes = opens and key:find("}", opens + 1, true)
  local hashed, crc = closes and closes > opens + 1 and key:sub(opens + 1, closes - 1) or key, 0
  for i = 1, #hashed do
    crc = crc ~ hashed:byte(i) << 8
    for _ = 1, 8 do
      crc = (crc & 0x8000 ~= 0 and crc << 1 ~ 0x1021 or crc << 1) & 0xffff
    end
  end
  return crc % 16384
end

describe("the slot of a version's key", function()
  local cells = require "vlock.cell.cell"

  -- All texts of 1 to 6 letters from "a", "{" and "}".
  local function each_text(visit, text, length)
    for _, letter in ipairs { "a", "{", "}" } do
      visit(text .. letter)
      if length > 1 then
        each_text(visit, text .. letter, length - 1)
      end
    end
  end

  it("is that of the value's key, or the key is refused, and that only where no version's key " ..
    "would do", function()
    assert.are.equal(0x31c3 % 16384, slot_of("123456789")) -- the published check value
    local taken, refused = 0, 0
    each_text(function(key)
      local ok, version_key = pcall(cells.version_key, key)
      taken, refused = taken + (ok and 1 or 0), refused + (ok and 0 or 1)
      if ok then
        assert.are.equal(slot_of(key), slot_of(version_key), key)
      else
        assert.is_truthy(key:find("}", 1, true), key)
        assert.are_not.equal(slot_of(key), slot_of("{" .. key .. "}:v"), key)
      end
    end, "", 6)
    assert.are.equal(1092, taken + refused)
    assert.is_true(taken > 400 and refused > 400)
  end)
end)

describe("a store's reply", function()
  local cell = require("vlock.cell.cell").new("k", {})

  -- The store "plain", whose commands are answered with this: f(store, …) must not believe it.
  local function must_doubt(reply, f, ...)
    local connections = require "vlock.redis_core"
    local real, real_pcall = connections.commit, redis.pcall
    local search = require "vlock.policy.search"
    local function answer()
      return reply
    end
    connections.commit, redis.pcall = answer, answer
    local store = require("vlock.policy.store").new("plain", search.context(nil))
    connections.commit, redis.pcall = real, real_pcall
    local ok, reason = pcall(store[f], cell, ...)
    assert.is_false(ok)
    assert.are.equal("unknown", reason.outcome)
  end

  it("that answers another command is never taken for ours", function()
    local base = { stamp = "0", version = 0 }
    must_doubt({ ok = "OK 1:pother.1:other.1" }, "commit", base, "v", "mine.1")
    must_doubt({ -1, 1, "theirs", "1:pother.1:other.1", "other.2" }, "commit", base, "v", "mine.1")
    must_doubt({ "theirs", 1, "1:pother.1:other.1", -1, "another read's" }, "read")
  end)
end)

describe("a commit's reply", function()
  local connections = require "vlock.redis_core"

  -- What a script that answers this status says to a commit with the token "mine.1".
  local function told(status)
    local sha1 = redis.call("SCRIPT", "LOAD", ("return redis.status_reply('%s')"):format(status))
    return connections.commit("EVALSHA", sha1, 2, "k", "{k}:v", "v", 1, 0, "mine.1", "")
  end

  it("is one where it ends with the token, and any status else", function()
    assert.are.same({ "committed", "1:pmine.1:mine.1" }, { told "OK 1:pmine.1:mine.1" })
    for _, status in ipairs { "OK 1:pother.1:other.1", "OK 1:pmine.1:mine.11", "OK", "OK ",
      "mine.1", "QUEUED mine.1", "OK mine.1" } do
      assert.are.same({ { ok = status } }, { told(status) })
    end
    assert.is_string(connections.commit("EVALSHA", "no", 2, "k", "v", "v", 1, 0, "mine.1").err)
    assert.has_error(function() connections.commit("EVALSHA", "no") end)
  end)
end)

describe("store watch", function()
  local opts = { store = "watch", backoff = { "full_jitter", cap = "5ms" } }

  it("reads, commits, deletes, and sees a version that moved", function()
    assert.are.same({ 1, 1 }, { vlock.update("w1", function(value)
      return (tonumber(value) or 0) + 1
    end, opts) })
    assert.are.same({ n = 3, "1", 1, "1" }, table.pack(vlock.get("w1", opts)))
    local calls = 0
    assert.are.same({ "seenx", 3 }, { vlock.update("w1", function(value)
      calls = calls + 1
      if calls == 1 then
        redis.call("SET", "w1", "seen")
        redis.call("SET", "{w1}:v", "2")
      end
      return value .. "x"
    end, opts) })
    assert.are.equal(2, calls)
    assert.are.same({ n = 2, nil, 4 }, table.pack(vlock.delete("w1", opts)))
    assert.are.equal(0, redis.call("EXISTS", "w1"))
  end)

  it("loses nothing between tasks of one client and tasks of others", function()
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = vlock.spawn(function()
        for _ = 1, 10 do
          assert(vlock.update("w2", function(value)
            return (tonumber(value) or 0) + 1
          end, opts))
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.are.equal("100", redis.call("GET", "w2"))
  end)
end)

describe("units", function()
  it("read durations and counts", function()
    assert.are.equal(0.00025, core.duration("250us"))
    assert.are.equal(90, core.duration("1.5m"))
    assert.are.equal(10000, core.count("10k"))
    assert.is_nil(core.duration("5 ms"))
    assert.is_nil(core.count("-1"))
    assert.are.equal("1.25ms", core.format_duration(0.00125))
  end)
end)

describe("after setresp(3), where hiredis has it", function()
  local function add(value)
    return (tonumber(value) or 0) + 1
  end

  it("our own code works as before", function()
    local found = vlock.run(function()
      if not pcall(redis.setresp, 3) then
        return "absent"
      end
      rawset(redis, "REDIS_VERSION", nil)
      assert.matches("^%d+%.%d+", redis.REDIS_VERSION)
      assert.are.equal("8.5", require "vlock.text.number".text(8.5))
      for _, options in ipairs { {}, { store = "watch" }, { combine = true },
        { codec = "json" } } do
        options.version_key = "r3:v"
        redis.call("DEL", "r3", "r3:v")
        assert.are.equal(1, (vlock.update("r3", add, options)))
        assert.are.equal(2, (vlock.update("r3", add, options)))
        local value, version, stamp = vlock.get("r3", options)
        assert.are.equal(2, tonumber(value))
        assert.are.equal(2, version)
        local nothing, conflict = vlock.compare_and_set("r3", "9", version - 1, options)
        assert.is_nil(nothing)
        assert.are.equal("conflict", conflict.outcome)
        assert.are.equal(3, (vlock.compare_and_set("r3", "9", stamp, options)))
        vlock.delete("r3", options)
        assert.is_nil((vlock.get("r3", options)))
      end
      local ok, reason = pcall(vlock.update, "r3i", add, { store = "ifeq" })
      assert.is_true(ok or tostring(reason):find("needs the server's SET", 1, true) ~= nil,
        tostring(reason))
      local replies = redis.pipeline { { "GET", "nothing" }, { "PING" } }
      assert.are.equal("PONG", replies[2].ok)
      return "there"
    end)
    assert.is_string(found)
  end)
end)
