-- The core script at a server that refuses it something half-way: a user without a right, memory at
-- its limit, a replica, missing replicas. All of a commit is done, or nothing of it. And what the
-- script refuses itself: wrong arguments, keys that hold something else, versions too large.

local own_server = require "own_server"

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local SCRIPT, READ = read_file("lua/cas.lua"), read_file("lua/read.lua")
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

-- The script refuses this call, with an error that matches, and writes nothing.
local function refuses(pattern, script, ...)
  local before, reply = state(), control:pcall("EVAL", script, ...)
  assert.matches(pattern, reply.err)
  assert.are.same(before, state())
end

-- This call is committed, and the record says so, with this stamp.
local function commits(stamp, ...)
  assert.are.equal("OK " .. stamp, control:pcall("EVAL", SCRIPT, 2, K, V, ...).ok)
  assert.are.equal(stamp, control:call("HGET", V, "s"))
end

it("what is no argument of ours is refused, and the token echoed", function()
  local function refuses_words(pattern, ...)
    refuses("^VLOCK " .. pattern, SCRIPT, 2, K, V, ...)
  end
  control:call("FLUSHALL")
  commits("1:pw.1:w.1", "a", 1, 0, "w.1")
  for _, lifetime in ipairs { "abc", "-1", "+1", "1.5", "1e3", "007", "00", " 1", "0x10",
    "3153600001", "99999999999999999999" } do
    refuses_words("the lifetime .*[^)]$", "b", 2, lifetime)
    refuses_words("the lifetime .* %(token w%.2%)$", "b", 2, lifetime, "w.2")
  end
  for _, version in ipairs { "", "0", "-1", "+2", "02", "2.0", "2e0", "0x2", " 2", "2 ", "x",
    "9007199254740992", "9007199254740993", "10000000000000000", "99999999999999999999" } do
    refuses_words("the version %(ARGV%[2%]%) .* %(token w%.2%)$", "b", version, 0, "w.2")
  end
  for _, token in ipairs { "a b", "a:b", "a(b", "a\nb", ("x"):rep(65) } do
    refuses_words("the token %(ARGV%[4%]%) [^(]*$", "b", 2, 0, token)
  end
  for _, flags in ipairs { "NX", "PX", "PX 0", "PX 05", "PX -1", "PX x", "PX 99999999999999",
    "del", "DEL x", "PX 5 5" } do
    refuses_words("unknown flag.* %(token w%.2%)$", "b", 2, 0, "w.2", "",
      table.unpack(words(flags)))
  end
  refuses_words("the flags DEL and PX exclude each other", "b", 2, 0, "w.2", "", "DEL", "PX", 5)
  refuses_words("takes a value", "b")
  refuses_words("takes a value")
  for _, keys in ipairs { {}, { K }, { K, V, "x", "y" } } do
    local count = #keys
    keys[count + 1], keys[count + 2] = "b", 2
    refuses("VLOCK takes 2 keys.*; got " .. count, SCRIPT, count, table.unpack(keys))
    refuses("VLOCK takes 2 keys.*; got " .. count, READ, count, table.unpack(keys, 1, count))
  end
  refuses("^VLOCK the value's key and the version's key must differ", SCRIPT, 2, K, K, "b", 2)
  local longest = ("x"):rep(64)
  commits("2:pw.1:" .. longest, "b", 2, "", longest)
end)

-- Both scripts refuse the cell as it is, with an error that matches, and write nothing. calls: the
-- arguments of the core script, a list; echo: what its refusals end with, or nil.
local function is_refused(pattern, calls, echo)
  for _, call in ipairs(calls) do
    refuses(pattern .. (echo or ""), SCRIPT, 2, K, V, table.unpack(words(call)))
  end
  local before = state()
  assert.matches(pattern, control:pcall("EVAL_RO", READ, 2, K, V).err)
  assert.are.same(before, state())
end

-- What the version's key may hold that is none: its type, and how it comes to be.
local NO_VERSIONS = [[
list RPUSH V x
set SADD V 1
zset ZADD V 1 1
stream XADD V 1-1 s 1
string SET V hello
string SET V 1.5
string SET V -1
string SET V 007
string SET V 7:pw.1:w.1
string SETBIT V 1 0
hash HSET V t 1:pw.1:w.1
hash HSET V s 1
hash HSET V s 0:pw.1:w.1
hash HSET V s 01:pw.1:w.1
hash HSET V s 1:w.1:w.1
hash HSET V s 1:pw.1
]]

it("a version's key that holds anything else is left alone, and the error says what it is",
  function()
    for kind, make in NO_VERSIONS:gmatch("(%a+) ([^\n]+)") do
      control:call("FLUSHALL")
      control:call("SET", K, "a")
      control:call(table.unpack(words(make)))
      assert.are.equal(kind, control:call("TYPE", V).ok)
      local refusal = "^VLOCK the version's key holds .*a " .. kind ..
        ".*: name another key, or delete this one"
      is_refused(refusal, { "b 1 0 w.1", "b 2 0 w.1", "b 8 0 w.1" }, " %(token w%.1%)$")
    end
  end)

it("a value's key of another type is refused, whatever is asked", function()
  control:call("FLUSHALL")
  control:call("RPUSH", K, "x")
  is_refused("^WRONGTYPE", { "b 1 0", "b 1 100 w.1 0", "b 1 0 w.1 0 DEL", "b 1 0 w.1 0 PX 50",
    "b 5 0" })
end)

it("versions are exact up to the last, and refused beyond", function()
  control:call("FLUSHALL")
  control:call("HSET", V, "s", "9007199254740989:pw.0:w.0")
  commits("9007199254740990:pw.0:w.1", "a", "9007199254740990", 0, "w.1")
  local before = state()
  local reply = control:call("EVAL", SCRIPT, 2, K, V, "b", "9007199254740990")
  assert.are.equal(9007199254740990, reply[2])
  assert.are.same(before, state())
  commits("9007199254740991:pw.0:w.2", "a", "9007199254740991", 0, "w.2")
  assert.are.equal(9007199254740991, control:call("EVAL_RO", READ, 2, K, V)[2])
  refuses("^VLOCK the version 9007199254740991 is too large", SCRIPT, 2, K, V, "b",
    "9007199254740991", 0, "w.3")
  for _, version in ipairs { "9007199254740992", "9007199254740993", "10000000000000000",
    "99999999999999999999" } do
    for _, make in ipairs { "HSET V s " .. version .. ":pw.0:w.0", "SET V " .. version } do
      control:call("DEL", V)
      control:call(table.unpack(words(make)))
      is_refused("^VLOCK the version " .. version .. " is too large",
        { "b 9007199254740991 0 w.3" })
    end
  end
end)
