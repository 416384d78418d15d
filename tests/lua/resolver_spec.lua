-- The rules of a write whose reply may be lost: every state, every event, on time and too late.

local resolver = require "vlock.cell.resolver"

local TRUST, LIMIT = 60, 100 -- seconds after the write was sent

local function new(is_resolvable, limit)
  return resolver.new(1000, is_resolvable ~= false, TRUST, 1000 + (limit or LIMIT))
end

-- A write of which a copy is lost.
local function ambiguous(limit)
  local write = new(true, limit)
  assert.are.equal("again", (resolver.hear(write, "lost", 1001, "cut")))
  return write
end

-- What a write that has sent nothing but this copy does of an event.
local CLEAR = {
  committed = "committed", conflict = "conflict", history_lost = "history_lost", busy = "busy",
  held_back = "refused", refused = "refused", unreachable = "refused", broken = "unknown",
  lost = "again", unread = "again",
}

-- The same where an earlier copy is lost: on time, and after its limit and its trust.
local AMBIGUOUS = {
  committed = { "committed", "committed" }, conflict = { "conflict", "unknown" },
  history_lost = { "history_lost", "history_lost" }, undecidable = { "unknown", "unknown" },
  busy = { "again", "unknown" }, held_back = { "again", "unknown" },
  refused = { "unknown", "unknown" }, unreachable = { "again", "unknown" },
  lost = { "again", "unknown" }, unread = { "unknown", "unknown" },
  broken = { "unknown", "unknown" },
  stopped = { "unknown", "unknown" },
}

describe("a write", function()
  it("of which no copy was lost ends as its answer says", function()
    for event, action in pairs(CLEAR) do
      local write = new()
      assert.are.equal(action, (resolver.hear(write, event, 1001, "why")), event)
      assert.are.equal(event == "lost" or event == "unread", resolver.is_ambiguous(write))
    end
  end)

  it("of which a copy was lost is never said to be refused, and ends at its limit", function()
    for event, actions in pairs(AMBIGUOUS) do
      assert.are.equal(actions[1], (resolver.hear(ambiguous(), event, 1002, "why")), event)
      assert.are.equal(actions[2], (resolver.hear(ambiguous(), event, 1101, "why")), event)
    end
  end)

  it("stays ambiguous, whatever later copies are answered", function()
    for event, actions in pairs(AMBIGUOUS) do
      for next_event, next_actions in pairs(AMBIGUOUS) do
        local write = ambiguous()
        if resolver.hear(write, event, 1002, "why") == "again" then
          assert.are.equal("again", actions[1])
          assert.are.equal(next_actions[1], (resolver.hear(write, next_event, 1003, "why")))
        end
      end
    end
  end)

  it("is unknown at once where its store cannot send it again", function()
    assert.are.same({ "unknown", "cut" }, { resolver.hear(new(false), "lost", 1001, "cut") })
  end)

  it("is believed to be in conflict for as long as receipts are kept, and not a moment longer",
    function()
      assert.are.equal("conflict", (resolver.hear(ambiguous(), "conflict", 1000 + TRUST)))
      local action, reason = resolver.hear(ambiguous(), "conflict", 1000 + TRUST + 1e-3)
      assert.are.equal("unknown", action)
      assert.matches("later than it keeps receipts", reason)
    end)

  it("is sent again at once, then after pauses that double, up to half a second, to its limit",
    function()
      local write, at, pauses = new(), 1000, {}
      local action, pause
      repeat
        action, pause = resolver.hear(write, "lost", at, "cut")
        if action == "again" then
          pauses[#pauses + 1], at = pause, at + pause
        end
      until action ~= "again" or #pauses > 1000
      assert.are.equal("unknown", action)
      assert.are.equal("cut", pause) -- the reason of the last
      assert.are.same({ 0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5 },
        { table.unpack(pauses, 1, 9) })
      assert.is_true(at < 1000 + LIMIT and at > 1000 + LIMIT - 1)
      assert.are.equal("unknown", (resolver.hear(new(true, 0), "lost", 1000, "cut")))
    end)
end)

describe("the rules", function()
  it("are all in the tables above, and every line of theirs is run by them", function()
    local path = debug.getinfo(resolver.hear, "S").short_src
    local wanted, seen = {}, {}
    local function want(f)
      local about = debug.getinfo(f, "SL")
      for line in pairs(about.activelines) do
        wanted[line] = line ~= about.lastlinedefined or nil -- an `end` behind a return
      end
    end
    want(resolver.new)
    want(resolver.hear)
    want(resolver.is_ambiguous)
    local states = {}
    states[1] = new().state
    states[2] = ambiguous().state
    for i, known in ipairs { CLEAR, AMBIGUOUS } do
      for event, f in pairs(states[i]) do
        assert.is_not_nil(known[event], event)
        want(f)
      end
      for event in pairs(known) do
        assert.is_function(states[i][event], event)
      end
    end
    debug.sethook(function(_, line)
      if debug.getinfo(2, "S").short_src == path then
        seen[line] = true
      end
    end, "l")
    for event in pairs(CLEAR) do
      resolver.hear(new(), event, 1001)
      resolver.hear(new(false), event, 1001)
    end
    for event in pairs(AMBIGUOUS) do
      resolver.hear(ambiguous(), event, 1002)
      resolver.hear(ambiguous(), event, 1101)
    end
    resolver.is_ambiguous(new())
    debug.sethook()
    local missed = {}
    for line in pairs(wanted) do
      missed[#missed + 1] = not seen[line] and line or nil
    end
    assert.are.same({}, missed)
  end)
end)
