-- What a session keeps of a cell, and the way of a write on it by which nobody is disturbed: it
-- knows commits, and hands on all else as it came.

local connections = require "vlock.redis_core"
local core = require "vlock.core"

local kept = connections.kept
local REPLY = 0

local function state(value, version, stamp)
  return { value = value, is_present = value ~= nil, version = version, stamp = stamp,
    expires_at = math.huge, told_until = core.now() + 60 }
end

-- One that has committed "old" as version 1.
local function known()
  local one = kept.new()
  kept.remember(one, state("old", 1, "1:pme.1:me.1"), 0)
  return one
end

local function edition_of(one)
  return (select(3, kept.base(one)))
end

local loaded = {}

-- What it says of a write with the token "me.2" where a script answers this.
local function write(one, script, edition)
  local sha1 = loaded[script] or redis.call("SCRIPT", "LOAD", script)
  loaded[script] = sha1
  return kept.write(one, edition or edition_of(one), {}, sha1, "k", "{k}:v", "new", "me", 2, 0,
    60000)
end

local function answering(status)
  return ("return redis.status_reply('%s')"):format(status)
end

describe("what is kept of a cell", function()
  it("is the state that the last commit made, and no base any more after a conflict", function()
    local one = kept.new()
    assert.is_nil((kept.base(one)))
    assert.is_nil((kept.state(one)))
    kept.remember(one, state("old", 7, "7:pme.1:me.7"), 0)
    assert.are.same({ 7, "old" }, { (kept.base(one)), (select(2, kept.base(one))) })
    assert.are.equal("7:pme.1:me.7", kept.state(one).stamp)
    assert.are.same({ 7, "old", "7:pme.1:me.7" }, { one.version, one.value, one.stamp })
    assert.is_nil((kept.last(one, "7:pme.1:me.7")))
    assert.are.equal("7:pme.1:me.7", kept.last(one, "8:pme.1:other.1").stamp)
    kept.forget(one, 0)
    assert.is_nil((kept.base(one)))
    assert.are.equal(7, kept.state(one).version)
    kept.forget_last(one)
    assert.is_nil((kept.state(one)))
  end)

  it("is a base for updates that follow each other at once, after a conflict", function()
    local one = known()
    assert.are.same({ n = 4, 1, "old", edition_of(one), 0 }, table.pack(kept.next(one)))
    kept.forget(one, 1) -- the write took so long, which counts for longer
    assert.are.same({ n = 4, nil, nil, nil, 0 }, table.pack(kept.next(one)))
    kept.remember(one, state("old", 2, "2:pme.1:me.2"), 10)
    assert.are.equal(2, (kept.next(one)))
    kept.remember(one, state("old", 3, "3:pme.1:me.3"), 0)
    vlock.sleep(0.001)
    assert.is_nil((kept.next(one)))
    assert.are.equal(3, (kept.base(one)))
  end)

  it("is a base for 16 updates in a row, or 8 after a conflict; what follows rests", function()
    for _, is_disturbed in ipairs { false, true } do
      local one = known()
      vlock.sleep(0.02) -- it is new no more
      if is_disturbed then
        kept.forget(one, 0)
        kept.remember(one, state("old", 1, "1:pme.1:me.1"), 10)
      end
      for _ = 1, is_disturbed and 8 or 16 do
        local version, _, _, rest = kept.next(one)
        assert.are.same({ 1, 0 }, { version, rest })
      end
      local version, _, _, rest = kept.next(one)
      assert.are.equal(not is_disturbed and 1 or nil, version)
      assert.are.equal(is_disturbed and 16 or 1, rest)
    end
    local one = known()
    for _ = 1, 40 do
      kept.begin_turn(one)
      assert.are.equal(0, (select(4, kept.next(one))))
    end
  end)

  it("is whatever a store says, if it is a deletion or has no stamp like ours", function()
    for _, made in ipairs { state(nil, 3, "3:p:t"), state("x", 3, nil), state("x", 3, { 1 }),
      state("x", 3, ("x"):rep(200)) } do
      local one = known()
      kept.remember(one, made, 0)
      assert.are.equal(made, kept.state(one))
      assert.are.equal(3, (kept.base(one)))
      assert.are.equal(0, select("#", write(one, answering "OK 4:pme.1:me.2")))
    end
  end)

  it("is no base where its lifetime is over, or nobody knows when it is", function()
    local one, made = known(), state("x", 3, "3:p:t")
    made.expires_at = core.now() - 1
    kept.remember(one, made, 0)
    assert.is_nil((kept.base(one)))
    made.expires_at = nil
    kept.remember(one, made, 0)
    assert.is_nil((kept.base(one)))
    assert.are.equal("3:p:t", kept.state(one).stamp)
  end)
end)

describe("a write on it", function()
  it("is committed where the status ends with its token, and begins with its version", function()
    local one = known()
    local version, seconds = write(one, answering "OK 2:pme.1:me.2")
    assert.are.equal(2, version)
    assert.is_true(seconds > 0 and seconds < 10)
    assert.are.same({ 2, "new", "2:pme.1:me.2" }, { one.version, one.value, one.stamp })
    assert.are.same({ 2, "new" }, { (kept.base(one)), kept.state(one).value })
  end)

  it("is not where the reply is another one: that is handed on, and changes nothing", function()
    for _, status in ipairs { "OK 2:pme.1:other.2", "OK 2:pme.1:me.22", "OK", "OK me.2",
      "QUEUED me.2" } do
      local one = known()
      local version, sent, outcome, said = write(one, answering(status))
      assert.are.same({ REPLY, status }, { outcome, said })
      assert.is_nil(version)
      assert.is_true(sent <= core.now())
      assert.are.equal("1:pme.1:me.1", kept.base_of_write(one, "old").stamp)
      assert.are.same({ 1, "old" }, { (kept.base(one)), one.value })
      assert.are.same({ ok = status }, connections.told("mine.2", outcome, said))
    end
    local one = known()
    local _, _, outcome, said = write(one, answering "OK 3:pme.1:me.2") -- of another version
    assert.are.same({ "committed", "3:pme.1:me.2" }, { connections.told("me.2", outcome, said) })
    _, _, outcome, said = write(one, "return {-1, 5, 'theirs', '5:p:t', 'me.2'}")
    assert.are.same({ -1, 5, "theirs", "5:p:t", "me.2" }, connections.told("me.2", outcome, said))
    _, _, outcome, said = write(one, "return redis.error_reply('VLOCK no')")
    assert.are.equal("VLOCK no", connections.told("me.2", outcome, said).err)
    _, _, outcome = kept.write(one, edition_of(one), {}, "no", "k", "v", "new", "me", 2, 0, 60000)
    assert.are.equal(REPLY, outcome)
  end)

  it("is not sent where another state is kept by now than it was computed on", function()
    local one = known()
    local edition = edition_of(one)
    kept.remember(one, state("old", 1, "1:pme.1:me.1"), 0)
    assert.are.equal(0, select("#", write(one, answering "OK 2:pme.1:me.2", edition)))
    assert.is_nil((kept.base_of(one, edition)))
    assert.are.equal(1, kept.base_of(one, edition_of(one)).version)
  end)

  it("is not sent while another one is under way, nor does that see what comes meanwhile",
    function()
      write(known(), answering "OK 2:pme.1:me.2") -- so that the server knows the script
      local one, first = known(), nil
      local task = vlock.spawn(function()
        first = table.pack(write(one, answering "OK 2:pme.1:me.2"))
      end)
      vlock.sleep(0)
      assert.is_true(kept.is_written(one))
      assert.are.equal(0, select("#", write(one, answering "OK 2:pme.1:me.2")))
      kept.remember(one, state("third", 9, "9:pme.1:me.9"), 0)
      assert.are.equal(9, (kept.base(one)))
      task:join()
      assert.are.equal(2, first[1])
      assert.is_false(kept.is_written(one))
      assert.are.same({ 2, "new", "2:pme.1:me.2" }, { one.version, one.value, one.stamp })
    end)

  it("enters its task as the one that writes the cell", function()
    local writing, sha1 = {}, redis.call("SCRIPT", "LOAD", answering "OK 2:pme.1:me.2")
    local one = known()
    local task = vlock.spawn(kept.write, one, edition_of(one), writing, sha1, "k", "{k}:v", "new",
      "me", 2, 0, 60000)
    vlock.sleep(0)
    assert.are.equal(task, writing["{k}:v"])
    task:join()
  end)

  it("leaves a base that can be relied on where its task is ended", function()
    for turns = 0, 3 do
      local one = known()
      local task = vlock.spawn(write, one, answering "OK 2:pme.1:me.2")
      for _ = 0, turns do
        vlock.sleep(0)
      end
      task:cancel()
      assert.is_false(kept.is_written(one))
      local version, value = kept.base(one)
      assert.is_true(not version or version == 1 and value == "old"
        or version == 2 and value == "new")
      assert.are.equal(version and one.stamp:match("^%d+"), version and tostring(version))
    end
  end)
end)

describe("a write in a coroutine", function()
  it("goes through it, and harms nothing where that is closed meanwhile", function()
    local text = answering "OK 2:pme.1:me.2"
    write(known(), text)
    local version
    local through = coroutine.create(function()
      version = write(known(), text)
    end)
    assert(coroutine.resume(through))
    assert.are.equal(2, version)
    local closed = coroutine.create(function()
      write(known(), text)
    end)
    local task = vlock.spawn(function()
      return coroutine.resume(closed)
    end)
    vlock.sleep(0)
    pcall(coroutine.close, closed)
    collectgarbage()
    for _ = 1, 100 do
      known() -- in its place
    end
    pcall(task.join, task)
  end)
end)

describe("updates side by side", function()
  it("lose nothing where a function waits while another task commits", function()
    redis.call("DEL", "side", "{side}:v")
    local function add(wait)
      return vlock.update("side", function(value)
        if wait then
          vlock.sleep(0.002)
        end
        return ("%d"):format((tonumber(value) or 0) + 1)
      end, { backoff = "none" })
    end
    add()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = vlock.spawn(function()
        for _ = 1, 20 do
          add(i % 2 == 0)
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.are.equal("401", redis.call("GET", "side"))
  end)
end)
