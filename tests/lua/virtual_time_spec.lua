-- Virtual time: tasks sleep and wait as ever, in an order that is theirs, and it takes no time.

local connections = require "vlock.redis_core"
local core = require "vlock.core"
local sim_core = require "vlock.sim_core"

-- Runs f(world) in virtual time, with a server that answers the first word it gets, and "ERR" with
-- an error.
local function simulate(settings, f)
  settings.seed, settings.timeout = settings.seed or 1, settings.timeout or 10
  local world = sim_core.begin(settings)
  local server = core.spawn(function()
    while true do
      local words = world:receive()
      world:answer(world:serve(settings.service or 0),
        words and words[1] == "ERR" and { err = "ERR refused" } or words and words[2])
    end
  end)
  local before = connections.local_connection()
  local ok, reason = pcall(f, world)
  connections.use(before)
  server:cancel()
  world:finish()
  assert(ok, reason)
end

local function constant(seconds)
  return { kind = "constant", a = seconds }
end

describe("virtual time", function()
  it("begins at 0 and goes to the next event at once", function()
    local real = core.time()
    simulate({}, function()
      assert.are.equal(0, vlock.now())
      vlock.sleep(3600)
      assert.are.equal(3600, vlock.now())
    end)
    assert.is_true(core.time() - real < 10)
    assert.is_true(vlock.now() > 0)
  end)

  it("wakes who sleeps in the order of their times", function()
    local order = {}
    simulate({}, function()
      local tasks = {}
      for _, seconds in ipairs { 3, 1, 2, 1.5 } do
        tasks[#tasks + 1] = vlock.spawn(function()
          vlock.sleep(seconds)
          order[#order + 1] = vlock.now()
        end)
      end
      for _, task in ipairs(tasks) do
        task:join()
      end
    end)
    assert.are.same({ 1, 1.5, 2, 3 }, order)
  end)

  it("wakes those who sleep until the same time in the order in which they lay down", function()
    local order = {}
    simulate({}, function()
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = vlock.spawn(function()
          vlock.sleep(1)
          order[#order + 1] = i
        end)
      end
      for _, task in ipairs(tasks) do
        task:join()
      end
    end)
    for i = 1, 20 do
      assert.are.equal(i, order[i])
    end
  end)

  it("has a command take two hops and the time of the server", function()
    simulate({ delay = constant(0.01), service = 0.005 }, function(world)
      local connection = world:connect(false)
      assert.are.equal("word", connection:call("ECHO", "word"))
      assert.are.equal(0.025, vlock.now())
      assert.are.equal("7", connection:call("ECHO", 7))
      assert.are.equal("1.5", connection:call("ECHO", 1.5))
      local ok, reason = pcall(connection.call, connection, "ERR")
      assert.is_false(ok)
      assert.are.equal("ERR refused", reason.err)
      assert.are.equal("ERR refused", connection:pcall("ERR").err)
      assert.has_error(function()
        connection:call("ECHO", {})
      end)
      assert.are.equal(10, world:counts().events)
    end)
  end)

  it("has redis.call and redis.connect of a task go to the simulated server", function()
    simulate({ delay = constant(1) }, function(world)
      connections.use(world:connect(false))
      local before = connections.commands_sent()
      assert.are.equal("a", redis.call("ECHO", "a"))
      local own <close> = redis.connect()
      assert.are.equal("b", own:call("ECHO", "b"))
      assert.are.equal(2, connections.commands_sent() - before)
      assert.are.equal("connection to the simulated server", tostring(own))
      assert.has_error(function()
        redis.connect("redis://localhost")
      end)
    end)
  end)

  it("tells that a reply did not come, and by when", function()
    simulate({ delay = constant(2), timeout = 3 }, function(world)
      local connection = world:connect(false)
      local reply = connection:pcall("ECHO", "a")
      assert.are.equal("unknown", reply.outcome)
      assert.matches("^UNKNOWN no reply from the simulated server in time", reply.err)
      assert.are.equal(3, vlock.now())
      core.limit(4)
      assert.are.equal("unknown", connection:pcall("ECHO", "a").outcome)
      assert.are.equal(4, vlock.now())
      assert.is_true(core.is_late())
      core.limit(nil)
    end)
    simulate({ delay = constant(2), cut_request = 1 }, function(world)
      local connection = world:connect(false)
      assert.matches("^UNKNOWN the connection to the simulated server was lost",
        connection:pcall("ECHO", "a").err)
    end)
  end)

  it("goes on where a task is ended that waits", function()
    simulate({ delay = constant(2) }, function(world)
      local connection = world:connect(false)
      local task = vlock.spawn(function()
        connection:call("ECHO", "a")
      end)
      vlock.sleep(1)
      task:cancel()
      vlock.sleep(10)
      assert.are.equal("b", connection:call("ECHO", "b"))
      assert.are.equal(15, vlock.now())
    end)
  end)

  it("cannot begin twice, nor while a task sleeps", function()
    simulate({}, function()
      assert.has_error(function()
        sim_core.begin { seed = 1 }
      end)
    end)
    local sleeper = vlock.spawn(vlock.sleep, 60)
    vlock.sleep(0)
    assert.has_error(function()
      sim_core.begin { seed = 1 }
    end)
    sleeper:cancel()
  end)

  it("leaves connections behind that are closed", function()
    local connection
    simulate({}, function(world)
      connection = world:connect(false)
    end)
    assert.has_error(function()
      connection:call("ECHO", "a")
    end)
    assert.are.equal("connection (closed)", tostring(connection))
    assert.is_string(redis.call("PING").ok)
  end)
end)
