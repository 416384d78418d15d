-- The protocol of writes whose reply is lost, tried in every order of events: see
-- protocol_model.lua. How deep: VLOCK_MODEL_DEPTH, events.

package.path = "tests/lua/?.lua;" .. package.path

local model = require "protocol_model"
local search = require "protocol_search"

local must_hold = search.must_hold

local DEPTH = tonumber(os.getenv("VLOCK_MODEL_DEPTH") or "6")
local T = 60000

local WRITERS = { { "a", T }, { "b", T } }

local ALL = { updates = 2, short_calls = 1, passes = { 40000 }, deletes = true, fails_over = true }

-- The way to where receipts matter: whose reply was lost, and others who go on meanwhile.
local DEEP = { "begin 1", "cut 1", "arrive oldest 1", "again 1", "begin 2", "arrive oldest 2" }

local function deep(limits, more)
  return search.along(DEEP, limits, more)
end

describe("in every order of events", function()
  it("nothing that is said of a write is false: two writers, one of the article's, and all faults",
    function()
      local count, ends = must_hold(WRITERS, model.events(ALL), DEPTH)
      assert.is_true(count > 20000)
      for _, said in ipairs { "committed", "conflict", "history_lost" } do
        assert.is_true(ends[said] > 0, said)
      end
    end)

  it("and further down, where one loses replies and another goes on, for longer than receipts live",
    function()
      local limits = { updates = 3, short_calls = 2, passes = { 100000 } }
      local _, ends = must_hold(WRITERS, deep(limits, { "pass 100000", "short call" }), DEPTH + 3)
      assert.is_true(ends.committed > 0 and ends.conflict > 0 and ends.unknown > 0)
    end)

  it("and in long walks at random, where records are made again and again", function()
    local events = model.events { updates = 4, short_calls = 3, passes = { 70000 }, deletes = true,
      fails_over = true }
    for _, receipts in ipairs { T, 0 } do
      search.must_hold_at_random({ { "a", receipts }, { "b", T } }, events, DEPTH * 400, 40)
    end
  end)

  it("and with two times that receipts live, and none", function()
    local limits = { updates = 2, short_calls = 1, passes = { 4000 } }
    for _, receipts in ipairs { { T, 10 }, { 10, T }, { T, 0 }, { 0, T } } do
      must_hold({ { "a", receipts[1] }, { "b", receipts[2] } },
        deep(limits, { "pass 4000", "short call", "cut 2", "again 2" }), DEPTH + 1)
    end
  end)
end)

-- Faults, each with the orders of events in which it must be found.
local SCRIPT, RULES = "lua/cas.lua", "lua/vlock/cell/resolver.lua"
local LOST_END = "  return again(write, at, reason)\nend\n\n-- ---- a copy"
local PLANTED = {
  {
    "no receipt is kept",
    { { SCRIPT, "if receipt then\n  redis.call", "if false then\n  redis.call" } },
  },
  {
    "a call of the article's keeps no receipt",
    { { SCRIPT, "if kept_ms > 0 and not is_own then", "if receipt_ms > 0 and not is_own then" } },
  },
  {
    "a receipt is kept of one's own writes alone",
    {
      { SCRIPT, "sub(last, 1, dot) == sub(token, 1, dot)",
        "sub(last, 1, dot) ~= sub(token, 1, dot)" },
    },
  },
  {
    "the stamp is not looked at",
    { { SCRIPT, "local made = last == token and stamp\n      or", "local made =" } },
  },
  {
    "what is sent again is not looked for",
    { { SCRIPT, "if is_again then\n", "if false then\n" } },
  },
  {
    "what is sent again is written without a comparison",
    {
      { SCRIPT, "if current + 1 ~= tonumber(wanted)",
        "if not is_again and current + 1 ~= tonumber(wanted)" },
      { SCRIPT, "if is_again then\n", "if false then\n" },
    },
  },
  {
    "any receipt of the session vouches for a write",
    { { SCRIPT, "or kept and kept_sequence == sequence and", "or kept and" } },
    writers = { { "a", T }, { "a", T, 100 } },
  },
  {
    "a later write of the session vouches for an earlier one",
    { { SCRIPT, "found = -3", "return redis.status_reply('OK ' .. stamp)" } },
    writers = { { "a", T }, { "a", T, 100 } },
  },
  {
    "receipts go too early",
    {
      { SCRIPT, "if kept_at <= earlier_look then", "if kept_at <= now then" },
      { SCRIPT, "now >= look_at", "true" },
    },
  },
  {
    "receipts live as long as the last writer wants",
    {
      { SCRIPT, "if receipt_ms > kept_ms and not is_own then", "if receipt_ms > 0 then" },
      { SCRIPT, "now >= look_at", "true" },
    },
    writers = { { "a", T }, { "b", 10 } }, passes = { 4000 },
  },
  {
    "a conflict is believed for ever, and receipts are not kept for ever",
    {
      { RULES, "if at - write.at > write.trust then", "if false then" },
      { SCRIPT, "if kept_at <= earlier_look then", "if kept_at + 1.5 * kept_ms <= now then" },
    },
    passes = { 100000 },
  },
  {
    "a lost reply is a conflict",
    { { RULES, LOST_END, (LOST_END:gsub("again%(write, at, reason%)", '"conflict"')) } },
  },
  {
    "a lost reply is a commit",
    { { RULES, LOST_END, (LOST_END:gsub("again%(write, at, reason%)", '"committed"')) } },
  },
  {
    "what nobody can tell is a conflict",
    {
      { RULES, "ambiguous.undecidable = ends_as \"unknown\"",
        "ambiguous.undecidable = ends_as \"conflict\"" },
    },
    writers = { { "a", T }, { "a", T, 100 } },
  },
  {
    "history is never lost",
    {
      { RULES, "ambiguous.history_lost = ends_as \"history_lost\"",
        "ambiguous.history_lost = ends_as \"committed\"" },
    },
    more = { "delete record" },
  },
  {
    "what the caller committed is not looked for",
    { { SCRIPT, "if is_after then\n", "if false then\n" } },
    events = search.FAILOVER,
  },
  {
    "any receipt of the session vouches for its last commit",
    {
      { SCRIPT, "or tonumber(held_sequence) < tonumber(after_sequence)", "or false" },
      { SCRIPT, "not held_version or tonumber(held_version) < tonumber(after_version)",
        "not held_version" },
      { SCRIPT, "or held_version == after_version and held_sequence ~= after_sequence",
        "or false" },
    },
    events = search.FAILOVER, depth = 12,
  },
  {
    "every vanished write has lost its history",
    { { SCRIPT, "if current < base or", "if current > base or" } },
  },
  {
    "the lost reply is answered with what stands there now",
    { { SCRIPT, "kept_version .. \":\" .. id .. \":\" .. token", "stamp" } },
  },
  {
    "a conflict is written all the same",
    {
      { SCRIPT, "if current + 1 ~= tonumber(wanted)",
        "if false and current + 1 ~= tonumber(wanted)" },
      { SCRIPT, "or (expected ~= \"\" and expected ~= stamp)", "or false" },
    },
  },
}

describe("a fault that is planted is found:", function()
  for _, planted in ipairs(PLANTED) do
    it(planted[1], function()
      local limits = { updates = 3, short_calls = 2, passes = planted.passes or { 70000 },
        deletes = true, fails_over = true }
      local more = { "pass " .. limits.passes[1], "short call", table.unpack(planted.more or {}) }
      local events = planted.events and model.only(model.events(limits), planted.events)
        or deep(limits, more)
      search.must_find(planted.writers or WRITERS, events, planted.depth or 11, planted[2])
    end)
  end
end)

-- ---- the same on a real server

local cas = redis.script("cas")

local function server_ms()
  local time = redis.call("TIME")
  return math.tointeger(time[1]) * 1000 + math.tointeger(time[2]) // 1000
end

-- The fields of a record with its times moved by so many ms.
local function moved(fields, ms)
  local list = {}
  for field, value in pairs(fields) do
    if field == "p" then
      value = value:gsub("%d+", function(time)
        return ("%d"):format(time + ms)
      end)
    elseif field:find("^r") then
      local said, time = value:match("^(.*:)(%d+)$")
      value = said .. ("%d"):format(time + ms)
    end
    list[#list + 1], list[#list + 2] = field, value
  end
  return list
end

local function put(state, by)
  redis.call("FLUSHALL")
  for key, value in pairs(state.keys) do
    if type(value) == "table" then
      redis.call("HSET", key, table.unpack(moved(value, by)))
    else
      redis.call("SET", key, value)
    end
  end
end

-- A text without the times in it, and these.
local function times_of(text)
  local times = {}
  text = text:gsub("t%d+%.%d+:", "t:"):gsub("%d+", function(digits)
    if #digits > 11 then
      times[#times + 1] = tonumber(digits)
      return "time"
    end
  end)
  return text, times
end

-- Times of a real server are other ones, or a little later.
local function is_like(wanted, found)
  local text, times = times_of(wanted)
  local other_text, other_times = times_of(found)
  for i, time in ipairs(times) do
    if math.abs(time - (other_times[i] or 0)) >= 10000 then
      return false
    end
  end
  return text == other_text
end

local function check_same(state, by)
  for _, key in ipairs { "k", "{k}:v" } do
    local wanted, kind = state.keys[key], redis.call("TYPE", key).ok
    if type(wanted) ~= "table" then
      assert.are.equal(wanted or false, redis.call("GET", key))
    else
      assert.are.equal("hash", kind)
      local list, found, count = redis.call("HGETALL", key), {}, 0
      for i = 1, #list, 2 do
        found[list[i]], count = list[i + 1], count + 1
      end
      wanted = moved(wanted, by)
      assert.are.equal(#wanted // 2, count)
      for i = 1, #wanted, 2 do
        assert.is_true(is_like(wanted[i + 1], found[wanted[i]]),
          ("%s: %s, not %s"):format(wanted[i], found[wanted[i]], wanted[i + 1]))
      end
    end
  end
end

-- A reply, without the time at which a record was made.
local function timeless(reply)
  local shown = {}
  for name, value in pairs(reply) do
    shown[name] = type(value) == "string" and value:gsub("t%d+%.%d+:", "t:") or value
  end
  return shown
end

it("what the model's server answers and writes, a real one answers and writes", function()
  local in_memory, calls = model.with(), 0
  local function both(state, keys, args)
    local by = server_ms() - state.ms
    put(state, by)
    local reply = in_memory(state, keys, args)
    assert.are.same(timeless(reply), timeless(cas:pcall(keys, args)))
    check_same(state, by)
    calls = calls + 1
    return reply
  end
  local random = vlock.random
  for _ = 1, 60 do
    local limits = { updates = 4, short_calls = 3, passes = { 70000 }, deletes = true,
      fails_over = true }
    local events = model.events(limits)
    local world = model.new({ { "a", random() < 0.8 and T or 0 }, { "b", T } }, both)
    for _ = 1, 40 do
      world = model.step(world, events[math.floor(random() * #events) + 1]) or world
    end
  end
  assert.is_true(calls > 200)
end)
