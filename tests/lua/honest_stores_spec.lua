-- Honest stores pass: short runs of scenarios chosen at random, on the bundled stores, each
-- verified as whole. In numbers, since whoever is honest must never be accused.
--
-- VLOCK_RANDOM_RUNS: how many, 200 by default. VLOCK_RANDOM_SEED: of the choice, to repeat one that
-- failed. VLOCK_RANDOM_STORE: instead of the bundled stores; with one that cheats, this must fail.

local core = require "vlock.core"
local entrants = require "vlock.lab.ask.entrant"
local contention = require "vlock.lab.run.contention"
local scenarios = require "vlock.lab.ask.scenario"

local RUNS = tonumber(os.getenv("VLOCK_RANDOM_RUNS") or 200)
local SEED = tonumber(os.getenv("VLOCK_RANDOM_SEED") or string.unpack("<I4", core.entropy(4)))
local STORES = os.getenv("VLOCK_RANDOM_STORE") and { os.getenv("VLOCK_RANDOM_STORE") } or { "plain",
  "watch" }

local random = core.stream(SEED, 0)

local function whole(low, high)
  return low + math.floor(random() * (high - low + 1))
end

local function chosen(list)
  return list[whole(1, #list)]
end

local POLICIES = {
  "full_jitter", "fast_first", "equal_jitter", "decorrelated", "exponential", "linear", "fixed",
  "none", "attempts", "budget", "decorrelated+last_wins",
  "none+first_wins",
}
local POLICIES_FOR_NUMBERS = { "counter", "full_jitter+max", "none+min" }

-- Update functions of a scenario's own: values that repeat, cells that are deleted or left alone,
-- values of any bytes.
local UPDATES = {
  function(value)
    return value == "a" and "b" or "a"
  end,
  function(value, worker)
    if value and #value > 3 then
      return vlock.DELETE
    end
    return (value or "") .. worker
  end,
  function(value)
    local number = tonumber(value) or 0
    if number < 20 then
      return ("%d"):format(number + 1)
    end
  end,
  function(value)
    return ("\0\255"):rep(#(value or "") % 40 + 1)
  end,
}

local function random_scenario()
  local options = {
    workers = whole(1, 12),
    keys = whole(1, 6),
    dist = chosen { "own", "uniform", "zipf:1.1", "zipf:3" },
  }
  if random() < 0.2 then
    options.duration = whole(5, 25) / 1000
  elseif random() < 0.3 then
    options.per_worker = whole(0, 8)
  else
    options.commits = whole(0, 120)
  end
  if random() < 0.4 then
    options.connections = whole(1, 6)
  end
  if random() < 0.15 then
    options.rate = whole(2000, 8000)
  elseif random() < 0.2 then
    options.think = whole(1, 300) / 1e6
  end
  local update = random() < 0.35 and whole(1, #UPDATES)
  if not update and random() < 0.3 then
    options.value_size = whole(0, 200)
  end
  local scenario = scenarios.new({}, options)
  scenario.new_update = update and function()
    return UPDATES[update]
  end
  return scenario, update
end

-- Short waits, where the policy has any: a run takes milliseconds.
local function random_entrant(is_number)
  local one = entrants.from_word(chosen(is_number and random() < 0.3 and POLICIES_FOR_NUMBERS
    or POLICIES), chosen(STORES))
  local ok, impatient = pcall(one.with_parameter, one, "cap=2ms")
  return ok and impatient or one
end

-- In a task of its own, since a run changes which connection its task uses.
local function run_once(url, seed)
  return vlock.spawn(function()
    local scenario, update = random_scenario()
    local one = random_entrant(not update and not scenario.value_size)
    local result = contention.run {
      label = one.label,
      url = url,
      connect = function()
        return redis.connect(url)
      end,
      scenario = scenario,
      seed = seed,
      new_policy = function()
        return one:new_policy()
      end,
      new_store = function()
        return one:new_store()
      end,
      store_name = one.store_name,
      interrupt = {},
    }
    return result, one, update
  end):join()
end

local function described(result, one, update)
  local scenario = {}
  for name, value in pairs(result.scenario) do
    scenario[#scenario + 1] = ("%s=%s"):format(name, value)
  end
  table.sort(scenario)
  return ("%s on %s, update %s, %s: %s"):format(one.label, result.store, update or "counter",
    table.concat(scenario, " "),
    require("vlock.text.json").encode(result))
end

describe("honest stores", function()
  it(("pass %d short runs with random scenarios (VLOCK_RANDOM_SEED=%d)"):format(RUNS, SEED),
    function()
    local url = assert(redis.private_server())
    local commits, conflicts = 0, 0
    for run = 1, RUNS do
      local result, one, update = run_once(url, SEED + run)
      assert(result.verified == true and result.errors == 0,
        ("run %d of VLOCK_RANDOM_SEED=%d: %s"):format(run, SEED,
        described(result, one, update)))
      commits, conflicts = commits + result.commits, conflicts + result.conflicts
    end
    -- It was no idle exercise: there were commits, and conflicts among them.
    assert.is_true(commits > 5 * RUNS and conflicts > RUNS,
      ("%d commits, %d conflicts"):format(commits, conflicts))
  end)
end)
