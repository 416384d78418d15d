-- The lifetime of a value is part of its state: one that is over is absent, for whoever builds on
-- it.

local function exists(store)
  local reply = redis.pcall("SET", "probe", "1", "IFEQ", "0")
  return store ~= "ifeq" or type(reply) ~= "table" or not reply.err
end

local function add(value)
  return (tonumber(value) or 0) + 1
end

for _, store in ipairs { "plain", "watch", "ifeq" } do
  describe("a value that is over, in the store " .. store, function()
    local count = 0

    local function new_key()
      count = count + 1
      return ("life:%s:%d"):format(store, count)
    end

    -- What the update function is shown, call by call; "nil" for an absent value.
    local function watched(seen, result)
      return function(value)
        seen[#seen + 1] = tostring(value)
        return result
      end
    end

    local function spec(name, f)
      it(name, function()
        if not exists(store) then
          return pending("the server has no SET IFEQ")
        end
        f()
      end)
    end

    spec("is absent for the next update, although the client made it itself", function()
      for _, more in ipairs { {}, { combine = true }, { codec = "json" } } do
        local key, options, seen = new_key(), { store = store, ttl = "30ms" }, {}
        for name, value in pairs(more) do
          options[name] = value
        end
        vlock.update(key, function() return "1" end, options)
        vlock.sleep(0.05)
        vlock.update(key, watched(seen, "2"), options)
        assert.are.same({ "nil" }, seen)
        assert.is_true(redis.call("PTTL", key) > 0)
      end
    end)

    spec("counts anew in each window", function()
      local key = new_key()
      for _ = 1, 3 do
        for _ = 1, 3 do
          vlock.update(key, add, { store = store, ttl = "150ms" })
        end
        assert.are.equal("3", redis.call("GET", key))
        vlock.sleep(0.17)
      end
    end)

    spec("is a conflict, where it ends while the update function thinks, and keeps a lifetime " ..
      "that is wanted", function()
      for _, more in ipairs { {}, { combine = true } } do
        for _, wanted in ipairs { false, "5s" } do
          local key, seen = new_key(), {}
          vlock.update(key, function() return "1" end, { store = store })
          redis.call("PEXPIRE", key, 40)
          vlock.update(key, function(value)
            seen[#seen + 1] = tostring(value)
            vlock.sleep(value and 0.06 or 0)
            return add(value)
          end, { store = store, ttl = wanted or nil, backoff = "none", combine = more.combine })
          assert.are.same({ "1", "nil" }, seen)
          assert.are.equal("1", redis.call("GET", key))
          assert.are.equal(wanted ~= false, redis.call("PTTL", key) > 0)
        end
      end
    end)

    spec("keeps its lifetime through updates that name none, and is absent at its end", function()
      local key, seen = new_key(), {}
      vlock.update(key, add, { store = store, ttl = "80ms" })
      for _ = 1, 3 do
        vlock.update(key, add, { store = store })
      end
      assert.is_true(redis.call("PTTL", key) > 0)
      vlock.sleep(0.1)
      vlock.update(key, watched(seen, "x"), { store = store })
      assert.are.same({ "nil" }, seen)
      assert.are.equal(-1, redis.call("PTTL", key))
    end)

    if store ~= "ifeq" then -- whose stamps say nothing
      spec("is not what compare_and_set was shown under that stamp", function()
        local key = new_key()
        vlock.update(key, add, { store = store, ttl = "30ms" })
        local _, version, stamp = vlock.get(key, { store = store })
        vlock.sleep(0.05)
        local nothing, conflict = vlock.compare_and_set(key, "2", stamp, { store = store })
        assert.is_nil(nothing)
        assert.are.same({ "conflict", version }, { conflict.outcome, conflict.version })
        assert.is_nil(conflict.value)
        stamp = conflict.stamp -- and what the conflict has shown is what stands there
        assert.are.equal(version + 1, (vlock.compare_and_set(key, "2", stamp, { store = store })))
      end)
    end
  end)
end

describe("the flag XX of the core script", function()
  local cas = redis.script("cas")

  it("makes a conflict of a value that is gone, and nothing of one that is there, empty or not",
    function()
    for _, value in ipairs { "", "v" } do
      local keys = { "xx" .. value, "{xx" .. value .. "}:v" }
      local stamp = cas(keys, { value, "1", "", "a" }).ok:sub(4)
      stamp = cas(keys, { value, "2", "", "b", stamp, "XX" }).ok:sub(4)
      redis.call("DEL", keys[1])
      assert.are.same({ -1, 2, false, stamp, "c" }, cas(keys, { "w", "3", "", "c", stamp, "XX" }))
      assert.are.same({ -1, 2, false, stamp, "c" },
        cas(keys, { "", "3", "", "c", stamp, "XX", "DEL" }))
      assert.is_false(redis.call("GET", keys[1]))
      assert.matches("^OK 3:", cas(keys, { "w", "3", "", "c", stamp }).ok)
    end
  end)
end)
