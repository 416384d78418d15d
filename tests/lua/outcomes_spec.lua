-- What is told of updates that share a commit, or whose hooks fail; and that what failed half-way
-- leaves nothing behind. The table of all ways to end, for a single write, is
-- tests/unit/test_outcomes.c.

local function add(value)
  return (tonumber(value) or 0) + 1
end

-- An update whose first attempt conflicts.
local function disturbed(key, options)
  local is_first = true
  return vlock.update(key, function(value, version)
    if is_first then
      is_first = false
      assert(vlock.compare_and_set(key, "10", version))
    end
    return add(value)
  end, options)
end

local function raising(hook, more)
  local policy = { backoff = "none", [hook] = function() error("the metrics server is away") end }
  for name, value in pairs(more or {}) do
    policy[name] = value
  end
  return policy
end

describe("a hook that raises", function()
  it("changes nothing of the outcome: committed is committed, given up is given up", function()
    assert.are.equal(11, (disturbed("h1", { policy = raising("on_commit") })))
    assert.are.equal(11, (disturbed("h2", { policy = raising("on_conflict") })))
    local value, outcome = disturbed("h3",
      { policy = raising("on_give_up", { retry = { "attempts", max = 1 } }) })
    assert.is_nil(value)
    assert.are.equal("gave_up", outcome.outcome)
    assert.are.equal("10", redis.call("GET", "h3"))
  end)

  it("fails none of those who share the commit", function()
    local tasks = {}
    local policy = raising("on_commit")
    for i = 1, 3 do
      tasks[i] = vlock.spawn(function()
        return disturbed("h4", { policy = policy, combine = true })
      end)
    end
    for _, task in ipairs(tasks) do
      assert.is_number((task:join()))
    end
  end)
end)

describe("the store watch", function()
  local watch = { store = "watch" } -- one store for all, with its connection

  for _, refusal in ipairs {
    { "maxmemory", "1", "0", "OOM" },
    { "min-replicas-to-write", "1", "0", "NOREPLICAS" },
  } do
    it("is as new after " .. refusal[4] .. " inside of MULTI", function()
      assert.is_number((vlock.update("w1", add, watch)))
      redis.call("CONFIG", "SET", refusal[1], refusal[2])
      local ok, reason = pcall(vlock.update, "w1", add, watch)
      redis.call("CONFIG", "SET", refusal[1], refusal[3])
      assert.is_false(ok)
      assert.matches(refusal[4], tostring(reason), 1, true)
      for _ = 1, 2 do
        assert.is_number((vlock.update("w1", add, watch)))
      end
    end)
  end

  it("is as new after a task that was ended inside of it", function()
    for pings = 0, 8 do
      local task = vlock.spawn(vlock.update, "w2", add, watch)
      for _ = 1, pings do
        redis.call("PING")
      end
      task:cancel()
      assert.is_number((vlock.update("w2", add, watch)))
    end
  end)

  it("takes a bare version, and is not misled by what it watched before", function()
    redis.call("DEL", "w3", "{w3}:v")
    local options = { store = "watch" }
    assert.are.equal(1, (vlock.compare_and_set("w3", "a", 0, options)))
    assert.are.equal(2, (vlock.compare_and_set("w3", "b", 1, options)))
    local value, version = vlock.get("w3", options)
    assert.are.same({ "b", 2 }, { value, version })
    redis.call("DEL", "w3", "{w3}:v")
    assert.are.equal(1, (vlock.compare_and_set("w3", "c", 0, options)))
    local nothing, conflict = vlock.compare_and_set("w3", "d", 0, options)
    assert.is_nil(nothing)
    assert.are.same({ "conflict", "c", 1 }, { conflict.outcome, conflict.value, conflict.version })
  end)
end)

describe("what was ended half-way", function()
  it("leaves no module that cannot be loaded", function()
    package.preload.half = function()
      vlock.sleep(0.02)
      return "whole"
    end
    local task = vlock.spawn(require, "half")
    redis.call("PING")
    task:cancel()
    assert.are.equal("whole", (require "half"))
    package.preload.half, package.loaded.half = nil, nil
  end)

  it("leaves no batch that nobody runs", function()
    for pings = 0, 4 do
      local task = vlock.spawn(vlock.update, "b1", add, { combine = true })
      for _ = 1, pings do
        redis.call("PING")
      end
      task:cancel()
      assert.is_number((vlock.update("b1", add, { combine = true })))
    end
  end)
end)

describe("updates that share a commit", function()
  local count = 0

  -- Three updates of one cell by tasks of their own, of which the second may be another; what each
  -- ended with, in words.
  local function three(options, other, meanwhile, before)
    count = count + 1
    local key, tasks = "three" .. count, {}
    options.combine = true
    redis.call("DEL", key, ("{%s}:v"):format(key))
    if before then
      before(key)
    end
    for i = 1, 3 do
      tasks[i] = vlock.spawn(function()
        return vlock.update(key, i == 2 and other or add, options)
      end)
    end
    if meanwhile then
      meanwhile(key, tasks)
    end
    local ends = {}
    for i, task in ipairs(tasks) do
      local ok, value, outcome = pcall(task.join, task)
      ends[i] = not ok and "error " .. tostring(value):match("[%w]+") or value ~= nil
        and "committed" or outcome and outcome.outcome or "nothing"
    end
    return table.concat(ends, ", "), redis.call("GET", key)
  end

  -- A conflict for each attempt of the first task.
  local function contended(key)
    return function(value, version)
      vlock.compare_and_set(key, add(value), version)
      return add(value)
    end
  end

  it("end as each of them would alone", function()
    local all = "%s, %s, %s"
    assert.are.same({ "committed, committed, committed", "3" }, { three {} })
    assert.are.same({ "committed, error mine, committed", "2" }, {
      three({}, function() error("mine alone", 0) end),
    })
    assert.are.same({ "committed, error a, committed", "2" },
      { three({ codec = "json" }, function() return print end) })

    redis.call("CONFIG", "SET", "maxmemory", "1")
    local refused, after = three {}
    redis.call("CONFIG", "SET", "maxmemory", "0")
    assert.are.same({ all:format("error OOM", "error OOM", "error OOM"), false },
      { refused, after })

    local name = "three" .. count + 1
    local ends = three({ policy = { backoff = "none", retry = { "attempts", max = 1 } } },
      contended(name))
    assert.are.equal(all:format("gave_up", "gave_up", "gave_up"), ends)
    name = "three" .. count + 1
    ends = three({ policy = { backoff = "none", merge = function() error("merge: oh", 0) end } },
      contended(name))
    assert.are.equal(all:format("error merge", "error merge", "error merge"), ends)
  end)

  it("are resolved where the connection dies under their commit, or unknown without receipts",
    function()
      local control <close> = redis.connect()
      control:call("PING")
      for receipts, wanted in pairs { [60] = "committed, committed, committed",
        [0] = "unknown, unknown, unknown" } do
        local ends = three({ receipts = receipts }, nil, function()
          vlock.sleep(0.05)
          control:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          control:call("CLIENT", "UNPAUSE")
        end, function(key)
          vlock.update(key, add) -- the next one commits at once, on what this client knows
          control:call("CLIENT", "PAUSE", 5000, "WRITE")
        end)
        assert.are.equal(wanted, ends)
      end
    end)

  it("go on without one that was cancelled", function()
    local ends = three({}, nil, function(_, tasks)
      vlock.sleep(0)
      tasks[2]:cancel()
    end)
    assert.are.equal("committed, nothing, committed", ends)
  end)
end)
