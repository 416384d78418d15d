-- The protocol of merges at the server, tried in every order of events: see protocol_model.lua. A
-- merging write is applied at any version, so that what keeps a late copy of it away is not that
-- the version has moved. How deep: VLOCK_MODEL_DEPTH, events.

package.path = "tests/lua/?.lua;" .. package.path

local model = require "protocol_model"
local search = require "protocol_search"

local DEPTH = tonumber(os.getenv("VLOCK_MODEL_DEPTH") or "6")
local T = 60000

local MERGING, PLAIN = { "a", T, merges = true }, { "b", T }
local OTHER = { "b", T, merges = true }

-- One writer loses replies, and its copies come late, while another goes on.
local DEEP = { "begin 1", "cut 1", "arrive oldest 1", "arrive newest 1", "again 1", "begin 2",
  "arrive oldest 2" }

describe("in every order of events nothing that is said of a merging write is false", function()
  it("beside one that merges and one of the article's, with all faults", function()
    local _, ends = search.must_hold({ MERGING, OTHER }, model.events { updates = 2,
      short_calls = 1, passes = { 40000 }, deletes = true, fails_over = true }, DEPTH)
    assert.is_true(ends.committed > 0 and ends.history_lost > 0)
  end)

  it("where its replies are lost, its copies come late, and receipts do not live as long",
    function()
      local _, ends = search.must_hold({ MERGING, PLAIN }, search.along(DEEP, { updates = 2,
        short_calls = 2, passes = { 100000 } }, { "pass 100000", "short call" }), DEPTH + 1)
      assert.is_true(ends.committed > 0 and ends.conflict > 0)
    end)

  it("where the server goes back, and others build on what is left", function()
    local _, ends = search.must_hold({ MERGING, OTHER }, model.only(model.events { updates = 3,
      fails_over = true }, search.FAILOVER), 2 * DEPTH)
    assert.is_true(ends.committed > 0 and ends.history_lost > 0)
  end)
end)

-- What it takes to outlive receipts, and a server on which they go early: with the third look that
-- finds them, many more events would be needed.
local EARLY = { "lua/cas.lua", "if kept_at <= earlier_look then",
  "if kept_at + 1.5 * kept_ms <= now then" }
local LATE = { "begin 1", "cut 1", "arrive oldest 1", "again 1", "begin 2", "arrive oldest 2",
  "pass 100000", "short call" }

-- Faults, each with the orders of events in which it must be found.
local SCRIPT = "lua/cas_merge.lua"
local PLANTED = {
  {
    "whatever comes is merged",
    { { SCRIPT, "if is_fresh(last) then", "if true then" } },
  },
  {
    "the stamp is not looked at",
    { { SCRIPT, "if last_session == session and", "if false and" } },
  },
  {
    "one's own receipts are not looked at",
    { { SCRIPT, "if its_sequence and", "if false and" } },
  },
  {
    "what is told that it is not applied is not void",
    { { SCRIPT, "  return void(reply, id)", "  return reply" } },
  },
  {
    "what stands on an old base is merged after its receipts have gone",
    { { SCRIPT, "return base >= (tonumber(read_fields[6]) or 0)", "return true" }, EARLY },
    events = LATE,
  },
  {
    "receipts go, and nobody knows how far they reach",
    { { "lua/cas.lua", "if #over > 0 then\n    redis.call(\"HSET\"",
      "if false then\n    redis.call(\"HSET\"" }, EARLY },
    events = LATE,
  },
  {
    "a commit that was lost is not asked about",
    { { "lua/cas.lua", "if is_after then\n", "if false then\n" } },
    events = search.FAILOVER, writers = { MERGING, OTHER },
  },
  {
    "what was merged is answered as if it had not been",
    { { "lua/cas.lua", "return carried and carried.recall(made) or", "return" } },
  },
}

describe("a fault that is planted is found:", function()
  for _, planted in ipairs(PLANTED) do
    it(planted[1], function()
      local limits = { updates = 3, short_calls = 1, passes = { 100000 }, fails_over = true }
      local events = planted.events and model.only(model.events(limits), planted.events)
        or search.along(DEEP, limits, { "pass 100000", "short call" })
      search.must_find(planted.writers or { MERGING, PLAIN }, events, 12, planted[2])
    end)
  end
end)
