-- The lifetime of a value is part of its state: one that is over is absent, for whoever builds on
-- it.

local clients = require "vlock.cell.client"
local search = require "vlock.policy.search"
local stores = require "vlock.policy.store"

local function exists(store)
  local reply = redis.pcall("SET", "probe", "1", "IFEQ", "0")
  return store ~= "ifeq" and store ~= "envelope" or type(reply) ~= "table" or not reply.err
end

local function add(value)
  return (tonumber(value) or 0) + 1
end

local function another_client(store)
  local found = stores.new(store, search.context("."))
  return clients.new {
    policies = function()
      return vlock.policy {}
    end,
    stores = function()
      return found
    end,
  }
end

for _, store in ipairs { "plain", "watch", "ifeq", "envelope" } do
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

    -- The stores that compare whole values do not ask for lifetimes: they find out as they write.
    local finds_out = store == "ifeq" or store == "envelope"

    spec("is absent for the next update, although its lifetime was only read", function()
      local key, options, seen = new_key(), { store = store }, {}
      another_client(store):update(key, add, { ttl = "60ms" })
      assert.are.equal("2", tostring(vlock.update(key, add, options)))
      vlock.sleep(0.08)
      assert.are.equal("3", (vlock.update(key, watched(seen, "3"), options)))
      assert.are.same(finds_out and { "2", "nil" } or { "nil" }, seen)
    end)

    spec("counts anew in each window", function()
      local key = new_key()
      for _ = 1, 3 do
        for _ = 1, 3 do
          vlock.update(key, add, { store = store, ttl = "150ms" })
        end
        assert.are.equal("3", (vlock.get(key, { store = store })))
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
          assert.are.equal("1", (vlock.get(key, { store = store })))
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

    if store == "plain" or store == "watch" then -- stamps say something, and outlive the value
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

describe("a record that a write has made, with a lifetime,", function()
  local attempt = require "vlock.cell.attempt"
  local sessions = require "vlock.cell.session"
  local cells = require "vlock.cell.cell"

  -- What becomes of a first write whose reply is lost, and which meets another record, later.
  local function met_another(lifetime)
    local store = {
      commit = function()
        error({ err = "UNKNOWN lost", outcome = "unknown" }, 0)
      end,
      resolve = function()
        vlock.sleep(0.02)
        return "conflict", "theirs", "1:eother.1:other.1"
      end,
    }
    return (attempt.run(sessions.new {}, { store = store, store_name = "lossy" },
      cells.new("k", { expire = lifetime }), { stamp = "0", version = 0 }, "mine"))
  end

  it("is not trusted to remember that write any longer", function()
    assert.are.equal("conflict", met_another(60))
    assert.are.equal("unknown", met_another(0.01))
  end)
end)

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
