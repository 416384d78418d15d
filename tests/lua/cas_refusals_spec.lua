-- The core script at a server that refuses it something half-way: a user without a right, memory at
-- its limit, a replica, missing replicas. All of a commit is done, or nothing of it.

local own_server = require "own_server"

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local SCRIPT = read_file("lua/cas.lua")
local K, V = "cell", "{cell}:v"

local server = own_server.start("")
local control = redis.connect(server.url)

teardown(server.stop)

-- The words of a line, with the names of the keys for K and V.
local function words(line)
  local list = {}
  for word in line:gmatch("%S+") do
    list[#list + 1] = word == "K" and K or word == "V" and V or word
  end
  return list
end

-- Each way to commit: how the cell comes to be, and the call. With `;` between.
local SITUATIONS = {}
for before, call in ([[
;b 1
;b 1 100
;b 1 0 w.2 0
;b 1 100 w.2 0
SET K a;b 1 100 w.2 0 DEL
SET K a;b 1 0 w.2 0 PX 5000
HSET V s 1:pw.1:w.1;b 2 0 w.2 1:pw.1:w.1
HSET V s 1:pw.1:w.1;b 2 100 w.2 1:pw.1:w.1
HSET V s 1:pw.1:w.1;b 2 100 w.2 1:pw.1:w.1 DEL
HSET V s 1:ew.1:w.1;b 2 100 w.2
SET K a;b 1
HSET V s 1:ew.1:w.1;b 2 0 w.2
SET V 7;b 8
SET V 7;b 8 100
SET V 7 EX 50;b 8 100 w.2 7
SET V 7 EX 50;b 8 0 w.2 7 DEL
;b 1 0 w.2 0 RECEIPT 60000
HSET V s 1:pw.1:w.1 t 60000;b 2 0 x.1 1:pw.1:w.1 RECEIPT 60000
HSET V s 1:pw.1:w.1 t 60000;b 2
HSET V s 1:pw.1:w.1 t 1 p 1 ry 1:1:1;b 2 0 x.1 1:pw.1:w.1 RECEIPT 9
HSET V s 1:pw.1:w.1 t 60000;b 2 0 x.1 1:pw.1:w.1 RECEIPT 60000 AGAIN
]]):gmatch("([^;\n]*);([^\n]*)") do
  SITUATIONS[#SITUATIONS + 1] = { before = before, call = call }
end

-- What stands on the server, and how many changes it has counted: equal before and after means that
-- nothing was written.
local function state()
  return { control:call("DUMP", K), control:call("DUMP", V), control:call("PEXPIRETIME", K),
    control:call("PEXPIRETIME", V),
    control:call("INFO", "persistence"):match("rdb_changes_since_last_save:%d+") }
end

-- A server with nothing else on it than what stands before the call.
local function prepare(situation)
  control:call("FLUSHALL")
  if situation.before ~= "" then
    control:call(table.unpack(words(situation.before)))
  end
  if situation.before:find(":e", 1, true) then
    control:call("EXPIRE", V, 50)
  end
end

-- The reply to the call by this connection, of which a reply of OK means that all was done, any
-- other that nothing was.
local function attempt(connection, situation, trouble)
  local before = state()
  local reply = connection:pcall("EVAL", SCRIPT, 2, K, V, table.unpack(words(situation.call)))
  local about = ("%s, %s; %s: %s"):format(trouble, situation.before, situation.call,
    reply.err or reply.ok or "another reply")
  if reply.ok then
    assert.matches("^OK", reply.ok, 1, false, about)
    assert.matches("^[1-9]:[ep]", control:call("HGET", V, "s"), 1, false, about)
    assert.are_not.same(before, state(), about)
  else
    assert.is_string(reply.err, about)
    assert.are.same(before, state(), about)
  end
  return reply
end

it("a user who may not run a command that is needed writes nothing at all", function()
  local refusals = 0
  local url = server.url:gsub("^unix://", "unix://limited:pw@")
  for command in ([[set hset hget hmget hgetall hdel get del expire persist exists strlen type
      time pttl]]):gmatch("%a+") do
    control:call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all",
      "-" .. command)
    local limited <close> = redis.connect(url)
    for _, situation in ipairs(SITUATIONS) do
      prepare(situation)
      local reply = attempt(limited, situation, "-" .. command)
      refusals = refusals + (reply.ok and 0 or 1)
    end
  end
  assert.is_true(refusals >= 60, refusals .. " refusals")
end)

for trouble, refusal in pairs({ ["CONFIG SET maxmemory 1"] = "OOM",
    ["CONFIG SET min-replicas-to-write 1"] = "NOREPLICAS", ["REPLICAOF 127.0.0.1 1"] = "READONLY",
  }) do
  it("all of a commit or nothing, behind " .. trouble, function()
    for _, situation in ipairs(SITUATIONS) do
      prepare(situation)
      control:call(table.unpack(words(trouble)))
      local reply = attempt(control, situation, trouble)
      -- DEL needs no memory, so that a full server still lets go of values.
      if refusal ~= "OOM" or not situation.call:find("DEL$") then
        assert.matches(refusal, reply.err)
      end
      control:call("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "0")
      control:call("REPLICAOF", "NO", "ONE")
    end
  end)
end
