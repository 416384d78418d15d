-- What a session calls its writes, so that a server tells them apart that can be under way, or be
-- asked about, at the same time.

local clients = require "vlock.cell.client"
local search = require "vlock.policy.search"
local stores = require "vlock.policy.store"

local plain = stores.new("plain", search.context("."))

-- A commit by a client that nobody knows, whose own receipt is soon over.
local function intrude(key)
  local other = clients.new {
    policies = function()
      return vlock.policy {}
    end,
    stores = function()
      return plain
    end,
  }
  assert(other:update(key, function() return "theirs" end, { receipts = "20ms" }))
end

-- The store plain, whose write is applied and whose reply is lost; then `meanwhile` happens.
local function losing(meanwhile)
  local store = setmetatable({}, { __index = plain })
  function store.commit(...)
    assert.are.equal("committed", (plain.commit(...)))
    meanwhile()
    error({ err = "UNKNOWN lost", outcome = "unknown" }, 0)
  end
  return store
end

describe("writes of one session on one cell", function()
  it("can be asked about for as long as each wants, behind one that wants less", function()
    redis.call("DEL", "k", "{k}:v")
    vlock.update("k", function() return "first" end, { receipts = "20ms" })
    local value, version = vlock.update("k", function() return "mine" end, {
      store = losing(function()
        intrude("k")
        vlock.sleep(0.05)
        intrude("k") -- lets go what is over
      end),
    })
    assert.are.same({ "mine", 2 }, { value, version })
    assert.are.equal("theirs", redis.call("GET", "k"))
  end)
end)
