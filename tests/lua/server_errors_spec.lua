-- The errors of a server, each provoked on a real one: what they make of a write of which nothing
-- was applied, and of one whose first copy was applied and whose reply was lost.

local connections = require "vlock.redis_core"
local own_server = require "own_server"
local search = require "vlock.policy.search"
local stores = require "vlock.policy.store"

local server = own_server.start("--enable-debug-command yes --enable-protected-configs yes " ..
  "--rdbcompression no --loading-process-events-interval-bytes 1024")
local without_scripts = own_server.start("--rename-command EVALSHA ''")
local cluster = own_server.start_cluster()
local to_server, to_cluster = redis.connect(server.url), redis.connect(cluster.url)
local control = to_server -- past what is tested, to the server of the test that runs

teardown(function()
  server.stop()
  cluster.stop()
  without_scripts.stop()
end)

local mine, cell -- the connection of the test that runs, and its cell, which no other has written
local cells = 0

local function new_cell()
  cells = cells + 1
  cell = "cell:" .. cells
end

local function set(...)
  local words = { ... }
  return function()
    control:call(table.unpack(words))
  end
end

-- Waits until it is so.
local function await(is_so)
  for _ = 1, 200 do
    if is_so() then return end
    vlock.sleep(0.01)
  end
  error("it never came to be so")
end

-- A command that another client has sent and that the server is at until somebody ends it.
local function occupy(...)
  local other = redis.connect(server.url)
  local words = { ... }
  vlock.spawn(function()
    other:pcall(table.unpack(words))
    other:close()
  end)
end

local function is_answered(beginning)
  return function()
    local reply = control:pcall("EXISTS", "any")
    return type(reply) == "table" and reply.err:find(beginning) ~= nil
  end
end

local function is_served()
  return type(control:pcall("EXISTS", "any")) == "number"
end

-- A script that runs until it is killed.
local function busy()
  control:call("CONFIG", "SET", "busy-reply-threshold", "10")
  occupy("EVAL_RO", "while true do end", "0")
  await(is_answered "^BUSY ")
end

local function kill_script()
  control:pcall("SCRIPT", "KILL")
  await(is_served)
end

-- The data, read anew from the disk, a key at a time.
local function loading()
  for i = 1, 200 do
    control:call("SET", "filler:" .. i, ("x"):rep(1000))
  end
  control:call("CONFIG", "SET", "key-load-delay", "20000")
  occupy("DEBUG", "RELOAD")
  await(is_answered "^LOADING ")
end

local function end_loading()
  control:call("CONFIG", "SET", "key-load-delay", "0")
  await(is_served)
end

-- A snapshot that cannot be written.
local function cannot_save()
  control:call("CONFIG", "SET", "dir", "/proc", "save", "3600 1")
  control:call("BGSAVE")
  await(function()
    return control:call("INFO", "persistence"):find("rdb_last_bgsave_status:err", 1, true)
  end)
end

-- All connections but `control` end: what is asked of new ones is asked of all.
local function at_the_door(...)
  local change = set(...)
  return function()
    change()
    control:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
  end
end

local function to_without_scripts()
  connections.use(redis.connect(without_scripts.url))
end

local function back()
  connections.use(mine)
end

-- Commands about the slot of the cell.
local function in_slot(...)
  local commands = { ... }
  return function()
    for _, command in ipairs(commands) do
      local words = { "CLUSTER", command[1], control:call("CLUSTER", "KEYSLOT", cell),
        table.unpack(command, 2) }
      control:pcall(table.unpack(words))
    end
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
  { "MISCONF", cannot_save, function()
    control:call("CONFIG", "SET", "dir", server.folder, "save", "")
  end, "^MISCONF ", "held_back", "cannot save to its disk" },
  { "BUSY", busy, kill_script, "BUSY ", "busy", "end the script", hides = true },
  { "LOADING", loading, end_loading, "LOADING ", "busy", "when the server has read its data",
    hides = true },
  { "max clients", at_the_door("CONFIG", "SET", "maxclients", "1"),
    set("CONFIG", "SET", "maxclients", "1000"), "max number of clients", "busy",
    "maxclients is reached: raise it", hides = true },
  { "NOAUTH", at_the_door("CONFIG", "SET", "requirepass", "other"),
    set("CONFIG", "SET", "requirepass", ""), "refused us: ", "refused",
    "wants a password: in the URL", hides = true },
  { "WRONGPASS", at_the_door("ACL", "SETUSER", "limited", "resetpass", ">other"),
    set("ACL", "SETUSER", "limited", "resetpass", ">pw"), "refused us: WRONGPASS ", "refused",
    "name and password do not fit", as_limited = true, hides = true },
  { "a server without scripts", to_without_scripts, back, "^ERR unknown command", "refused",
    "this server lacks the command", hides = true },
  { "CLUSTERDOWN", in_slot { "DELSLOTS" }, in_slot { "ADDSLOTS" }, "CLUSTERDOWN ", "busy",
    "has a primary for each slot again", hides = true, is_of_cluster = true },
  { "MOVED", in_slot({ "DELSLOTS" }, { "SETSLOT", "NODE", cluster.other }),
    in_slot { "SETSLOT", "NODE", cluster.own }, "^MOVED ", "held_back",
    "its URL begins with redis%+cluster://", hides = true, is_of_cluster = true },
  { "WRONGTYPE", function()
    control:call("DEL", cell)
    control:call("LPUSH", cell, "a")
  end, function()
    control:call("DEL", cell)
  end, "^WRONGTYPE ", "refused", "holds no string", destroys = true },
  { "NOPERM outside of the script", without("-evalsha", "-eval"), without(), "^NOPERM ", "refused",
    "give this user the right", as_limited = true, hides = true },
  { "NOPERM inside of it", without("-set"), without(), "", "refused",
    "give this user the right", as_limited = true },
  { "NOPERM for the key", without("resetkeys", "~other"), without(), "", "refused",
    "give this user the right", as_limited = true, hides = true },
}

-- f(), with a cell and a connection of its own, to the cluster or to the other server; user: "" or
-- a name and password for it.
local function with_cell(is_of_cluster, user, f)
  control = is_of_cluster and to_cluster or to_server
  await(is_served) -- a cluster takes its time
  control:call("FLUSHALL")
  new_cell()
  mine = redis.connect(("unix://%s%s"):format(user, (is_of_cluster and cluster or server).path))
  connections.use(mine)
  local results = table.pack(pcall(f))
  connections.use(nil)
  mine:close()
  control = to_server
  assert(results[1], results[2])
end

local function try(name, trouble, f)
  it(name .. ": " .. trouble[1], function()
    with_cell(trouble.is_of_cluster, trouble.as_limited and "limited:pw@" or "", function()
      control:call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all")
      local results = table.pack(pcall(f, trouble))
      if trouble.ending then
        trouble.ending:join()
        trouble.ending = nil
      end
      trouble[3]()
      assert(results[1], results[2])
    end)
  end)
end

-- At each of the troubles: of all, or of those of which `concerns` says so.
local function each(name, f, concerns)
  for _, trouble in ipairs(TROUBLES) do
    if not concerns or concerns(trouble) then
      try(name, trouble, f)
    end
  end
end

local plain = stores.new("plain", search.context("."))

each("nothing is applied, and it is said what can be done", function(trouble)
  vlock.update(cell, function() return "first" end)
  trouble[2]()
  local ok, value, outcome = pcall(vlock.update, cell, function() return "second" end,
    { retry = { "attempts", max = 2 }, backoff = "none", deadline = 5 })
  local _, of_read = pcall(vlock.get, cell)
  trouble[3]()
  if trouble.hides then
    assert.matches(trouble[6], of_read.err)
  end
  if trouble[5] == "busy" then
    assert.is_true(ok)
    assert.are.equal("gave_up", outcome.outcome)
    assert.matches(trouble[4], outcome.reason)
    assert.matches(trouble[6], outcome.reason)
  else
    assert.is_false(ok)
    assert.matches(trouble[4], value.err)
    assert.matches(trouble[6], value.err)
  end
  if not trouble.destroys then
    assert.are.equal("first", control:call("GET", cell))
  end
end)

local function applied(...)
  assert.are.equal("committed", (plain.commit(...)))
end

local function cut_off_on_its_way()
end

-- The store plain, whose first reply is lost, and the server is in trouble since. first_copy: what
-- becomes of that one, by default `applied`.
local function losing(trouble, is_over, first_copy)
  local store = setmetatable({}, { __index = plain })
  function store.commit(...)
    (first_copy or applied)(...)
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
  vlock.update(cell, function() return "first" end)
  local value, result = vlock.update(cell, function() return "second" end,
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
  vlock.update(cell, function() return "first" end)
  local started = vlock.now()
  local value, result = vlock.update(cell, function() return "second" end,
    { store = losing(trouble, false), deadline = 0.4 })
  if trouble.hides then
    assert.is_nil(value)
    assert.are.equal("unknown", result.outcome)
  else
    assert.are.equal("second", value)
  end
  assert.is_true(vlock.now() - started < 2)
end)

each("one that was not applied is made when the trouble is over, or unknown", function(trouble)
  vlock.update(cell, function() return "first" end)
  for _, is_over in ipairs { false, true } do
    local value, result = vlock.update(cell, function() return "second" end,
      { store = losing(trouble, is_over, cut_off_on_its_way), deadline = is_over and 3 or 0.4 })
    if is_over and trouble[5] == "held_back" then
      assert.are.same({ "second", 2 }, { value, result })
    else
      assert.is_nil(value)
      assert.are.equal("unknown", result.outcome)
      assert.matches(trouble[4], result.reason)
      trouble[3]()
      assert.are.equal(not trouble.destroys and "first", control:call("GET", cell))
    end
  end
end, function(trouble)
  return not trouble.hides -- which says the same, whether it was applied or not
end)

it("a server that has forgotten the scripts is told them again, also by a write that is sent again",
  function()
    with_cell(false, "", function()
      vlock.update(cell, function() return "first" end)
      local value, version = vlock.update(cell, function() return "second" end,
        { store = losing({ "", set("SCRIPT", "FLUSH"), function() end }, true) })
      assert.are.equal("second", value)
      assert.are.equal(2, version)
    end)
  end)

it("a server without scripts is said to be one", function()
  local connection <close> = redis.connect(without_scripts.url)
  connections.use(connection)
  local ok, reason = pcall(vlock.update, cell, function() return "x" end)
  connections.use(nil)
  assert.is_false(ok)
  assert.matches("^ERR unknown command.*this server lacks the command", reason.err)
end)

describe("in a cluster", function()
  it("two slots in one command are refused: CROSSSLOT", function()
    with_cell(true, "", function()
      local ok, reason = pcall(vlock.update, cell, function() return "x" end,
        { version_key = "elsewhere" })
      assert.is_false(ok)
      assert.matches("^CROSSSLOT .*same hash tag", reason.err)
      assert.are.equal(0, control:call("EXISTS", cell))
    end)
  end)

  it("a slot that is on its way is said to be: ASK", function()
    with_cell(true, "", function()
      in_slot { "SETSLOT", "MIGRATING", cluster.other } ()
      local ok, reason = pcall(vlock.update, cell, function() return "x" end, { deadline = 2 })
      in_slot { "SETSLOT", "STABLE" } ()
      assert.is_false(ok)
      assert.matches("^ASK .*its URL begins with redis%+cluster://", reason.err)
      assert.are.equal(0, control:call("EXISTS", cell))
    end)
  end)

  it("one of which only a part is there is waited for, by servers that tell: TRYAGAIN", function()
    with_cell(true, "", function()
      control:call("SET", cell, "first")
      in_slot { "SETSLOT", "MIGRATING", cluster.other } ()
      local ok, version, outcome = pcall(vlock.compare_and_set, cell, "x", 1)
      in_slot { "SETSLOT", "STABLE" } ()
      if ok then
        assert.is_nil(version)
        assert.are.equal("gave_up", outcome.outcome)
        assert.matches("TRYAGAIN .*when the slot has moved", outcome.reason)
      else -- Redis 7.0
        assert.matches("^ASK .*its URL begins with redis%+cluster://", version.err)
      end
      assert.are.equal("first", control:call("GET", cell))
    end)
  end)
end)

-- f(), where `trouble` comes just before each EXEC of any connection.
local function before_exec(trouble, f)
  local methods = getmetatable(control).__index
  local call = methods.call
  function methods.call(self, command, ...)
    if command == "EXEC" then
      trouble()
    end
    return call(self, command, ...)
  end
  local results = table.pack(pcall(f))
  methods.call = call
  return table.unpack(results, 1, results.n)
end

describe("a transaction, of the store watch,", function()
  local function update(value)
    return vlock.update(cell, function() return value end, { store = "watch", deadline = 2 })
  end

  it("that is refused as a whole is not applied, and it is said why: EXECABORT", function()
    with_cell(false, "", function()
      update("first")
      for _, trouble in ipairs(TROUBLES) do
        if trouble[1] == "OOM" or trouble[1] == "NOREPLICAS" or trouble[1] == "MISCONF" then
          local ok, reason = before_exec(trouble[2], function()
            return update("second")
          end)
          trouble[3]()
          assert.is_false(ok)
          assert.matches("^EXECABORT .*" .. trouble[1], reason.err)
          assert.matches(trouble[6], reason.err)
          assert.are.equal("first", control:call("GET", cell))
        end
      end
    end)
  end)

  it("whose reply is lost is unknown: it cannot be sent again", function()
    with_cell(false, "", function()
      update("first")
      local killer
      local ok, value, result = before_exec(function()
        control:call("CLIENT", "PAUSE", "1000", "WRITE")
        killer = vlock.spawn(function()
          vlock.sleep(0.05)
          control:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          control:call("CLIENT", "UNPAUSE")
        end)
      end, function()
        return update("second")
      end)
      killer:join()
      assert.is_true(ok)
      assert.is_nil(value)
      assert.are.equal("unknown", result.outcome)
    end)
  end)
end)
