-- Updates with `combine`: one commit for many, and to each its own answer.

local combined = { combine = true }

local tests, key, version_key = 0, nil, nil

before_each(function()
  tests = tests + 1 -- another key each time: the client knows nothing of it yet
  key = "k" .. tests
  version_key = "{" .. key .. "}:v"
end)

local function commits()
  return select(2, vlock.get(key))
end

-- Runs the functions as tasks at the same time; their results, packed, in order.
local function together(functions, opts)
  local tasks, results = {}, {}
  for i, fn in ipairs(functions) do
    tasks[i] = vlock.spawn(function()
      return table.pack(pcall(vlock.update, key, fn, opts or combined))
    end)
  end
  for i, task in ipairs(tasks) do
    results[i] = task:join()
  end
  return results
end

local function add(n)
  return function(value)
    return (value or 0) + n
  end
end

-- What another client does meanwhile, behind the back of everything that this one knows.
local function intrude(value)
  local version = tonumber((redis.call("HGET", version_key, "s") or "0"):match("^%d+"))
  redis.script("cas")({ key, version_key }, { value, version + 1 })
end

describe("combined updates", function()
  it("of many tasks are few commits, and lose nothing", function()
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = vlock.spawn(function()
        for _ = 1, 20 do
          assert(vlock.update(key, add(1), combined))
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.are.equal("1000", (vlock.get(key)))
    assert.is_true(commits() <= 100)
  end)

  it("that come while a commit is under way are part of the next one", function()
    local late
    assert(vlock.update(key, function(value)
      late = late or vlock.spawn(vlock.update, key, add(1), combined)
      return add(1)(value)
    end, combined))
    assert(late:join())
    assert.are.equal("2", (vlock.get(key)))
  end)

  it("see each other's values as the server would have given them, in the order they came, " ..
    "and return their own", function()
    local seen = {}
    local function note(value)
      seen[#seen + 1] = value or "absent"
      return #seen -- a number, which arrives as text
    end
    local results = together { note, note, note }
    assert.are.same({ "absent", "1", "2" }, seen)
    for i = 1, 3 do
      assert.are.same({ n = 3, true, i, 1 }, results[i])
    end
    assert.are.equal("3", (vlock.get(key)))
  end)

  it("fail alone: an error of one leaves no trace in the others' commit", function()
    local results = together { add(1), function()
      error({ "mine" }, 0)
    end, function()
      return {}
    end, add(10) }
    assert.are.same({ n = 3, true, 1, 1 }, results[1])
    assert.are.same({ n = 2, false, { "mine" } }, results[2])
    assert.is_false(results[3][1])
    assert.matches("a value must be a text or a number", results[3][2])
    assert.are.same({ n = 3, true, 11, 1 }, results[4])
    assert.are.equal("11", (vlock.get(key)))
  end)

  it("may leave the cell, or delete it for those that follow", function()
    vlock.update(key, add(5))
    local results = together { function()
      return nil
    end, function()
      return vlock.DELETE
    end, function(value)
      return value or "was deleted"
    end }
    assert.are.same({ n = 3, true, "5", 2 }, results[1])
    assert.are.same({ n = 3, true, nil, 2 }, results[2])
    assert.are.same({ n = 3, true, "was deleted", 2 }, results[3])
    assert.are.equal("was deleted", (vlock.get(key)))
    results = together { function()
      return nil
    end }
    assert.are.same({ n = 3, true, "was deleted", 2 }, results[1])
    assert.are.equal(2, commits())
  end)

  it("decide on a fresh read, not on what was kept, where one of them does not write", function()
    vlock.update(key, add(1))
    intrude("other")
    local results = together { function()
      return nil
    end }
    assert.are.same({ n = 3, true, "other", 2 }, results[1])
  end)

  it("are called again, all of them, after a conflict", function()
    vlock.update(key, add(1))
    intrude("100")
    local results = together({ add(1), add(10) }, { combine = true, backoff = "none" })
    assert.are.same({ n = 3, true, 101, 3 }, results[1])
    assert.are.same({ n = 3, true, 111, 3 }, results[2])
  end)

  it("are merged as one: each gets what was written", function()
    vlock.update(key, add(1))
    intrude("100")
    local results = together({ add(1), add(10) },
      { combine = true, backoff = "none", merge = "counter" })
    assert.are.same({ n = 3, true, "111", 3 }, results[1])
    assert.are.same({ n = 3, true, "111", 3 }, results[2])
  end)

  it("give up together, and are refused together", function()
    vlock.update(key, add(1))
    intrude("100")
    local results = together({ add(1), add(10) },
      { combine = true, retry = { "attempts", max = 1 } })
    for i = 1, 2 do
      assert.is_nil(results[i][2])
      assert.are.equal("gave_up", results[i][3].outcome)
    end
    redis.call("DEL", key)
    redis.call("LPUSH", key, "x")
    results = together { add(1), add(10) }
    for i = 1, 2 do
      assert.is_false(results[i][1])
      assert.matches("WRONGTYPE", tostring(results[i][2]))
    end
  end)

  it("do not mix what is coded differently, or stored differently", function()
    local json = { combine = true, codec = "json" }
    local first = vlock.spawn(function()
      return vlock.update(key, function(value)
        return { n = (value and value.n or 0) + 1 }
      end, json)
    end)
    local second = vlock.spawn(function()
      return vlock.update(key, function(value)
        return value and value .. "x" or "x"
      end, combined)
    end)
    first:join()
    second:join()
    assert.are.equal(2, commits())
  end)

  it("count their deadline from when the first of a batch asked", function()
    local long = vlock.spawn(vlock.update, key, function(value)
      vlock.sleep(0.3)
      return add(1)(value)
    end, combined)
    vlock.sleep(0.01)
    local asked = commits()
    local value, outcome = vlock.update(key, add(1), { combine = true, deadline = 0.1 })
    assert.is_nil(value)
    assert.are.equal("gave_up", outcome.outcome)
    assert.are.equal("the deadline of 100ms has passed", outcome.reason)
    long:join()
    assert.are.equal(asked + 1, commits())
  end)

  it("inside of its own update function is refused, and not waited for; others go on", function()
    local ticking = vlock.spawn(function()
      vlock.sleep(0.2) -- a task that can go on, by which no deadlock is seen
    end)
    local function inner()
      return vlock.update("within", function()
        return "inner"
      end, { combine = true })
    end
    local ok, reason = pcall(vlock.update, "within", inner, { combine = true })
    assert.is_false(ok)
    assert.matches("a combined update of 'within' inside of its own update function", reason, 1,
      true)
    assert.is_nil((vlock.get("within")))
    assert.are.equal("outer", (vlock.update("within", function()
      assert.is_false((pcall(inner)))
      return "outer"
    end, { combine = true })))
    assert.are.equal("another", (vlock.update("beside", function()
      inner()
      return "another"
    end, { combine = true })))
    assert.are.equal("inner", (vlock.get("within")))
    ticking:join()
  end)
end)
