-- What takes part in a run of the lab: found once, bound for every worker.

local entrants = require "vlock.lab.ask.entrant"
local current = require "vlock.engine.current"
local search = require "vlock.policy.search"

-- How many files f opens.
local function opens_of(f)
  local count, open = 0, io.open
  io.open = function(...) -- luacheck: ignore
    count = count + 1
    return open(...)
  end
  local ok, reason = pcall(f)
  io.open = open -- luacheck: ignore
  assert(ok, reason)
  return count
end

local function make_workers(entrant, count)
  for _ = 1, count do
    entrant:new_policy()
    entrant:new_store()
  end
end

describe("an entrant", function()
  it("reads its files once, however many workers there are", function()
    current.look_once()
    local text = assert(search.read_file("lua/backoff/full_jitter.lua"))
    for _, entrant in ipairs {
      entrants.from_word("full_jitter+counter"),
      entrants.from_word("lua/backoff/decorrelated.lua@watch"),
      entrants.from_program(text, "lua/backoff/full_jitter.lua", "lua/backoff",
        "lua/store/ifeq.lua"),
    } do
      assert.is_true(opens_of(function() make_workers(entrant, 1) end) < 100)
      assert.are.equal(0, opens_of(function() make_workers(entrant, 50) end))
    end
  end)

  it("runs the chunk for every worker", function()
    local path = os.tmpname() .. ".lua"
    local file = assert(io.open(path, "w"))
    file:write("local calls = 0\nreturn { retry = function() calls = calls + 1 return false, " ..
      "tostring(calls) end }")
    file:close()
    local entrant = entrants.from_word(path)
    os.remove(path)
    local one, other = entrant:new_policy(), entrant:new_policy()
    assert.are.equal("1", select(2, one.retry {}))
    assert.are.equal("2", select(2, one.retry {}))
    assert.are.equal("1", select(2, other.retry {}))
  end)

  it("takes parameters for itself alone", function()
    local policy = require "vlock.policy.policy"
    local entrant = entrants.from_word("fixed")
    local slow = entrant:with_parameter(policy.parse_override("pause=7ms"))
    local slower = slow:with_parameter(policy.override("backoff.pause", "9ms", "here"))
    local function pause_of(one) return one:new_policy().backoff { attempt = 1 } end
    assert.are.equal(0.007, pause_of(slow))
    assert.are.equal(0.009, pause_of(slower))
    assert.are_not.equal(0.007, pause_of(entrant))
  end)
end)
