-- The errors of a server, each provoked on a real one: what they make of a write of which nothing
-- was applied, and of one whose first copy was applied and whose reply was lost.

local search = require "vlock.policy.search"
local stores = require "vlock.policy.store"

local url = redis.private_server()
local path = url:match("^unix://(.*)$")
local control = redis.connect()

local function sh(format, ...)
  return os.execute(format:format(...))
end

-- A task that holds the server up in a script until it is killed.
local function busy()
  local other = redis.connect()
  control:call("CONFIG", "SET", "busy-reply-threshold", "10")
  vlock.spawn(function()
    other:pcall("EVAL_RO", "while true do end", "0")
    other:close()
  end)
  vlock.sleep(0.1)
end

local function set(...)
  local words = { ... }
  return function()
    control:call(table.unpack(words))
  end
end

-- What `limited` may: everything but these.
local function without(...)
  local rules = { ... }
  return function()
    control:call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all",
      table.unpack(rules))
  end
end

-- Of each: the trouble and its end; what the error begins with; the event that it is; what a person
-- is told. as_limited: as that user the write is made. hides: the server does not even run the
-- script, so that it cannot say that the write is there. destroys: what stood in the cell.
local TROUBLES = {
  { "OOM", set("CONFIG", "SET", "maxmemory", "1"), set("CONFIG", "SET", "maxmemory", "0"),
    "^OOM ", "held_back", "maxmemory: raise it" },
  { "READONLY", set("REPLICAOF", "127.0.0.1", "1"), set("REPLICAOF", "NO", "ONE"), "^READONLY ",
    "held_back", "connect to its primary" },
  { "MASTERDOWN", function()
    control:call("CONFIG", "SET", "replica-serve-stale-data", "no")
    control:call("REPLICAOF", "127.0.0.1", "1")
  end, function()
    control:call("REPLICAOF", "NO", "ONE")
    control:call("CONFIG", "SET", "replica-serve-stale-data", "yes")
  end, "^MASTERDOWN ", "held_back", "connect to the primary", hides = true },
  { "NOREPLICAS", set("CONFIG", "SET", "min-replicas-to-write", "1"),
    set("CONFIG", "SET", "min-replicas-to-write", "0"), "^NOREPLICAS ", "held_back",
    "min%-replicas%-to%-write" },
  { "BUSY", busy, function()
    control:pcall("SCRIPT", "KILL")
    vlock.sleep(0.05)
  end, "BUSY ", "busy", hides = true },
  { "WRONGTYPE", function()
    control:call("DEL", "cell")
    control:call("LPUSH", "cell", "a")
  end, set("DEL", "cell"), "^WRONGTYPE ", "refused", "holds no string", destroys = true },
  { "NOPERM outside of the script", without("-evalsha", "-eval"), without(), "^NOPERM ", "refused",
    "give this user the right", as_limited = true, hides = true },
  { "NOPERM inside of it", without("-set"), without(), "", "refused",
    "give this user the right", as_limited = true },
  { "NOPERM for the key", without("resetkeys", "~other"), without(), "", "refused",
    "give this user the right", as_limited = true, hides = true },
}

local function each(name, f)
  for _, trouble in ipairs(TROUBLES) do
    it(name .. ": " .. trouble[1], function()
      control:call("FLUSHALL")
      control:call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all")
      local mine <close> = redis.connect(trouble.as_limited
        and ("unix://limited:pw@%s"):format(path) or url)
      local results = table.pack(pcall(function()
        require("vlock.redis_core").use(mine)
        f(trouble)
      end))
      require("vlock.redis_core").use(nil)
      if trouble.ending then
        trouble.ending:join()
        trouble.ending = nil
      end
      trouble[3]()
      assert(results[1], results[2])
    end)
  end
end

local plain = stores.new("plain", search.context("."))

each("nothing is applied, and it is said what can be done", function(trouble)
  vlock.update("cell", function() return "first" end)
  trouble[2]()
  local ok, value, outcome = pcall(vlock.update, "cell", function() return "second" end,
    { retry = { "attempts", max = 2 }, backoff = "none" })
  trouble[3]()
  if trouble[5] == "busy" then
    assert.is_true(ok)
    assert.are.equal("gave_up", outcome.outcome)
    assert.matches(trouble[4], outcome.reason)
  else
    assert.is_false(ok)
    assert.matches(trouble[4], value.err)
    assert.matches(trouble[6], value.err)
  end
  if not trouble.destroys then
    assert.are.equal("first", control:call("GET", "cell"))
  end
end)

-- The store plain, whose first reply is lost, and the server is in trouble since.
local function losing(trouble, is_over)
  local store = setmetatable({}, { __index = plain })
  function store.commit(...)
    assert.are.equal("committed", (plain.commit(...)))
    trouble[2]()
    if is_over then
      trouble.ending = vlock.spawn(function()
        vlock.sleep(0.15)
        trouble[3]()
      end)
    end
    error(setmetatable({ err = "UNKNOWN lost", outcome = "unknown" },
      getmetatable(redis.error_reply("UNKNOWN"))), 0)
  end
  return store
end

each("a write that was applied is found, by whatever server runs the script", function(trouble)
  vlock.update("cell", function() return "first" end)
  local value, result = vlock.update("cell", function() return "second" end,
    { store = losing(trouble, true), deadline = 3 })
  if trouble.hides and trouble[5] == "refused" then
    assert.is_nil(value)
    assert.are.equal("unknown", result.outcome)
  else
    assert.are.equal("second", value)
    assert.are.equal(2, result)
  end
end)

each("and is unknown where it cannot be seen before the deadline", function(trouble)
  vlock.update("cell", function() return "first" end)
  local started = vlock.now()
  local value, result = vlock.update("cell", function() return "second" end,
    { store = losing(trouble, false), deadline = 0.4 })
  if trouble.hides then
    assert.is_nil(value)
    assert.are.equal("unknown", result.outcome)
  else
    assert.are.equal("second", value)
  end
  assert.is_true(vlock.now() - started < 2)
end)

it("a server that has forgotten the scripts is told them again, also by a write that is sent again",
  function()
    control:call("FLUSHALL")
    vlock.update("cell", function() return "first" end)
    local value, version = vlock.update("cell", function() return "second" end,
      { store = losing({ "", set("SCRIPT", "FLUSH"), function() end }, true) })
    assert.are.equal("second", value)
    assert.are.equal(2, version)
  end)

it("a server without scripts is said to be one", function()
  local folder = os.tmpname()
  os.remove(folder)
  sh("mkdir %s", folder)
  sh("%s --port 0 --unixsocket %s/s --save '' --dir %s --rename-command EVALSHA '' " ..
    "--daemonize yes >/dev/null", os.getenv("VLOCK_SERVER") or "redis-server", folder, folder)
  for _ = 1, 100 do
    if sh("test -S %s/s", folder) then break end
    vlock.sleep(0.02)
  end
  local connection <close> = redis.connect(("unix://%s/s"):format(folder))
  require("vlock.redis_core").use(connection)
  local ok, reason = pcall(vlock.update, "cell", function() return "x" end)
  require("vlock.redis_core").use(nil)
  connection:pcall("SHUTDOWN", "NOSAVE")
  sh("rm -rf %s", folder)
  assert.is_false(ok)
  assert.matches("^ERR unknown command.*this server lacks the command", reason.err)
end)
