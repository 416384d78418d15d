-- Merges at the server: that it does what the host does, that nothing is merged twice, and that the
-- host does what the server cannot.

local json = require "vlock.text.json"
local own_server = require "own_server"
local server_merge = require "vlock.cell.server_merge"
local vectors = require "json_vectors"

local K, V = "cell", "{cell}:v"
local T = "60000"
local cas, cas_merge = redis.script("cas"), redis.script("cas_merge")

local function text_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- A bundled merge, or the text of one, as it goes to the server: its script, and the words for it.
local function at_server(name, p, text)
  local merge = server_merge.new { name = name, p = p or {}, text = text or
    text_of("lua/merge/" .. name .. ".lua") }
  return redis.script(merge:source(cas.source, cas_merge.source)), merge
end

local function committed(reply)
  assert.is_string(reply.ok, reply.err or "a conflict")
  return reply.ok:sub(4)
end

local function write(script, value, token, base, ...)
  local version = math.tointeger(tonumber(base:match("^%d+"))) + 1
  return script:pcall({ K, V }, { value, version, "0", token, base, "RECEIPT", T, ... })
end

-- The cell as two sessions made it: a base, and theirs over it. Their stamps.
local function two_states(base, theirs)
  redis.call("DEL", K, V)
  local first = committed(write(cas, base or "", "x.1", "0", not base and "DEL" or nil))
  return first, committed(write(cas, theirs or "", "y.1", first, not theirs and "DEL" or nil))
end

-- What the server makes of a conflict: the value that it has written, or nil and its reply.
local function merge_there(script, merge, base, theirs, mine)
  local base_stamp, their_stamp = two_states(base, theirs)
  local reply = write(script, mine, "z.1", base_stamp,
    merge:words { value = base, is_present = base ~= nil })
  if reply[1] == 1 then
    assert.are.same({ 1, 3, mine and redis.call("GET", K), redis.call("HGET", V, "s"), "z.1",
      their_stamp, -1, theirs or false }, reply)
    return reply[3]
  end
  assert.are.equal(-1, reply[1], reply.err)
  assert.are.equal(theirs or false, redis.call("GET", K))
  assert.are.equal(their_stamp, redis.call("HGET", V, "s"))
  return nil, reply
end

-- The same here.
local function merge_here(name, p, base, theirs, mine)
  local spec = { name }
  for parameter, value in pairs(p) do
    spec[parameter] = value
  end
  local ok, merged = pcall(vlock.policy({ merge = spec }).merge, { codec = "string", mine = mine,
    base = { value = base }, theirs = { value = theirs } })
  return ok and merged or nil, not ok and merged or nil
end

local function set(count, make)
  local list = {}
  for i = 1, count do
    list[i] = make(i)
  end
  return list
end

-- ---- documents by chance

local function one_of(list)
  return list[1 + math.floor(vlock.random() * #list)]
end

local SCALARS = { 0, 1, -1, 1.5, 1e300, 0.1, 9007199254740993, true, false, json.null, "", "a",
  "\u{e9}", "\\", "9007199254740993" }

local function document(depth)
  local kind = vlock.random()
  if depth == 0 or kind < 0.3 then
    return one_of(SCALARS)
  elseif kind < 0.5 then
    return json.array(set(math.floor(vlock.random() * 4), function()
      return document(depth - 1)
    end))
  end
  local object = {}
  for _ = 1, math.floor(vlock.random() * 5) do
    object[one_of { "a", "b", "c", "n", "x.y", "\"" }] = document(depth - 1)
  end
  return object
end

-- A document in which something may have changed.
local function changed(tree, depth)
  if type(tree) ~= "table" or json.digits(tree) or vlock.random() < 0.2 then
    return vlock.random() < 0.3 and document(depth) or tree
  end
  local copy = json.is_array(tree) and json.array({}) or {}
  for key, value in pairs(tree) do
    copy[key] = changed(value, depth - 1)
  end
  if not json.is_array(tree) and vlock.random() < 0.3 then
    copy[one_of { "a", "b", "new" }] = vlock.random() < 0.5 and document(1) or nil
  end
  return copy
end

local function texts_by_chance(is_list)
  local base = is_list and json.array(set(4, function()
    return document(1)
  end)) or document(3)
  local function other()
    if not is_list then
      return json.encode(changed(base, 3))
    end
    local list = json.array({})
    for _, element in ipairs(base) do
      if vlock.random() < 0.7 then
        list[#list + 1] = element
      end
    end
    list[#list + 1] = vlock.random() < 0.7 and document(1) or nil
    return json.encode(list)
  end
  return vlock.random() < 0.9 and json.encode(base) or nil, vlock.random() < 0.9 and other() or nil,
    other()
end

local function number_by_chance()
  return vlock.random() < 0.1 and nil or one_of { "0", "1", "-1", "0.5", "-2.25", "1e3",
    "9007199254740991", "9007199254740993", tostring(math.floor(vlock.random() * 1e6)), "x",
    ("%.3f"):format(vlock.random() * 100) }
end

-- Merges the same here and there, so many times; make() gives base, theirs, mine.
local function agree(name, p, times, make)
  local script, merge = at_server(name, p)
  local merges = 0
  for _ = 1, times do
    local base, theirs, mine = make()
    if mine then
      local here, reason = merge_here(name, p, base, theirs, mine)
      local there, reply = merge_there(script, merge, base, theirs, mine)
      assert.are.equal(here, there, ("%s(%s, %s, %s)"):format(name, base, theirs, mine))
      assert.are.equal(reason ~= nil, reply ~= nil and reply[6] ~= nil, reason)
      merges = merges + (there and 1 or 0)
    end
  end
  assert.is_true(merges > times / 4) -- else nothing was compared
end

describe("a merge at the server", function()
  it("gives what every vector says", function()
    local scripts = {}
    for _, case in ipairs(vectors.merges) do
      local name, p, base, theirs, mine, expected = table.unpack(case, 1, 6)
      p = name == "json3" and { rule = p.rule or "theirs" } or p
      local id = name .. json.encode(p)
      scripts[id] = scripts[id] or { at_server(name, p) }
      local merged, reply = merge_there(scripts[id][1], scripts[id][2], base or nil, theirs or nil,
        mine)
      local about = ("%s(%s, %s, %s)"):format(name, base, theirs, mine)
      if expected == nil then
        assert.is_string(reply and reply[6], about)
      elseif expected == "again" then
        assert.is_truthy(reply, about)
        assert.is_nil(reply[6], about)
      else
        assert.are.equal(expected, merged, about)
      end
    end
  end)

  for _, rule in ipairs { "theirs", "mine", "max", "sum" } do
    it("agrees with the host on documents by chance, json3 with rule " .. rule, function()
      agree("json3", { rule = rule == "sum" and { "mine", n = "sum" } or rule == "max"
        and { "theirs", ["a.b"] = "max" } or rule }, 60, texts_by_chance)
    end)
  end

  it("agrees with the host on documents, lists, numbers and texts by chance", function()
    agree("merge_patch", {}, 100, texts_by_chance)
    agree("union", {}, 100, function()
      return texts_by_chance(true)
    end)
    for _, name in ipairs { "counter", "max", "min" } do
      agree(name, {}, 200, function()
        return number_by_chance(), number_by_chance(), number_by_chance()
      end)
    end
    agree("append", {}, 50, function()
      local base = one_of { "", "a", "a\0b\n" }
      return base, base .. one_of { "", "x\r\n", "%d" }, base .. one_of { "", "y", "\255" }
    end)
  end)

  it("is sent the base only where it looks at it", function()
    for _, name in ipairs { "counter", "append", "json3", "merge_patch", "union" } do
      assert.is_true(select(2, at_server(name, { rule = "mine" })).needs_base, name)
    end
    for _, name in ipairs { "max", "min", "first_wins", "last_wins" } do
      assert.is_false(select(2, at_server(name)).needs_base, name)
    end
  end)
end)

describe("a merging write", function()
  local script = at_server("counter")

  -- A write that adds one to a base of 10.
  local function add_one(token, base, ...)
    local words = { ... }
    words[#words + 1], words[#words + 2] = "10", "HELD"
    return write(script, "11", token, base, table.unpack(words))
  end

  local function again(token, base, ...)
    return add_one(token, base, "AGAIN", ...)
  end

  local others = 0

  local function others_write(stamp, value, count)
    for i = 1, count do
      others = others + 1 -- another session each time
      stamp = committed(write(cas, value + i .. "", ("o%d.1"):format(others), stamp))
    end
    return stamp
  end

  it("is an ordinary commit where the version has not moved", function()
    local base = committed(write(cas, "10", "x.1", "0"))
    assert.are.equal("OK 2:px.1:z.1", add_one("z.1", base).ok)
    assert.are.equal("11", redis.call("GET", K))
  end)

  before_each(function()
    redis.call("FLUSHALL")
  end)

  it("is not merged twice, however often and late a copy comes", function()
    local base, theirs = two_states("10", "20")
    local reply = add_one("z.1", base)
    assert.are.same({ 1, 3, "21", "3:px.1:z.1", "z.1", theirs, -1, "20" }, reply)
    local recalled = { 1, 3, "21", "3:px.1:z.1", "z.1", theirs, -3, "20" }
    assert.are.same(recalled, again("z.1", base))
    assert.are.same(recalled, add_one("z.1", base))
    others_write("3:px.1:z.1", 21, 3)
    assert.are.same(recalled, again("z.1", base))
    assert.are.same(recalled, add_one("z.1", base))
    -- Nor where the session has written since.
    reply = add_one("z.2", base)
    assert.are.equal("25", reply[3])
    assert.are.equal(-1, add_one("z.1", base)[1])
    assert.are.equal(-3, again("z.1", base)[1])
    others_write(reply[4], 25, 2)
    assert.are.equal(-1, add_one("z.1", base)[1])
    assert.are.equal("27", redis.call("GET", K))
  end)

  it("is not merged after it was applied where the version had not moved", function()
    local base = committed(write(cas, "10", "x.1", "0"))
    local made = committed(add_one("z.1", base))
    assert.are.equal("OK " .. made, add_one("z.1", base).ok)
    assert.are.equal("OK " .. made, again("z.1", base).ok)
    others_write(made, 20, 1)
    assert.are.equal("OK " .. made, add_one("z.1", base).ok)
    assert.are.equal("OK " .. made, again("z.1", base).ok)
    assert.are.equal("21", redis.call("GET", K))
  end)

  it("that was told that it is not applied is void: no late copy is merged", function()
    local base, theirs = two_states("10", "no number")
    local reply = again("z.1", base)
    assert.are.equal(-1, reply[1])
    assert.matches("^it raised: merge 'counter': theirs is no number", reply[6])
    committed(write(cas, "20", "y.2", theirs)) -- now it could be merged
    assert.are.equal(-1, add_one("z.1", base)[1])
    assert.are.equal(-1, again("z.1", base)[1])
    assert.are.equal("20", redis.call("GET", K))
    assert.are.equal("21", add_one("z.2", base)[3]) -- the next one can
  end)

  it("is merged when it is sent again and no copy had come, once", function()
    local base, theirs = two_states("10", "20")
    assert.are.same({ 1, 3, "21", "3:px.1:z.1", "z.1", theirs, -1, "20" }, again("z.1", base))
    assert.are.equal("21", add_one("z.1", base)[3])
    assert.are.equal("21", redis.call("GET", K))
  end)

  it("leaves nothing in the record where it asks for no receipt", function()
    local base, theirs = two_states("10", "20")
    redis.call("DEL", V)
    redis.call("HSET", V, "s", theirs)
    local reply = script:pcall({ K, V }, { "11", 2, "0", "z.1", base, "10", "HELD" })
    assert.are.same({ 1, 3, "21", "3:px.1:z.1", "z.1", theirs, -1, "20" }, reply)
    assert.are.same({ "s", "3:px.1:z.1" }, redis.call("HGETALL", V))
  end)

  it("is a conflict where it deletes", function()
    local base, theirs = two_states("10", "20")
    assert.are.same({ -1, 2, "20", theirs, "z.1" }, add_one("z.1", base, "DEL"))
    assert.are.equal("20", redis.call("GET", K))
  end)

  it("is refused where its token is not SESSION.SEQUENCE, or the base's words are missing",
    function()
      local base, theirs = two_states("10", "20")
      for _, arguments in ipairs {
        { "11", 2, "0", "z", base, "RECEIPT", T, "10", "HELD" },
        { "11", 2, "0", "", base, "10", "HELD" },
        { "11", 2, "0", "z.1", base, "RECEIPT", T },
        {},
      } do
        local reply = script:pcall({ K, V }, arguments)
        assert.matches("^VLOCK a commit with a merge has a token SESSION.SEQUENCE", reply.err)
      end
      assert.are.same({ "20", theirs }, { redis.call("GET", K), redis.call("HGET", V, "s") })
    end)

  it("is told from others when its receipts have gone, and is then a conflict", function()
    local base = two_states("10", "20")
    local reply = add_one("z.1", base)
    local last = others_write(reply[4], 21, 1)
    for _, field in ipairs { "rz", "r/z" } do
      local kept = redis.call("HGET", V, field)
      redis.call("HSET", V, field, (kept:gsub("%d+$", "1")))
    end
    redis.call("HSET", V, "p", "1:1:1")
    last = others_write(last, 22, 1)
    assert.is_false(redis.call("HGET", V, "r/z"))
    assert.are.equal(-1, add_one("z.1", base)[1])
    assert.are.equal("23", redis.call("GET", K))
    -- What stands on a newer base is merged.
    others_write(last, 23, 1)
    assert.are.equal("15", write(script, "1", "z.2", last, "10", "HELD")[3])
  end)

  it("is told that the server has lost an earlier commit of its client, and not merged", function()
    local base, theirs = two_states("10", "20")
    local dump, value = redis.call("DUMP", V), redis.call("GET", K)
    local made = add_one("z.1", base)[4]
    redis.call("RESTORE", V, "0", dump, "REPLACE")
    redis.call("SET", K, value)
    others_write(theirs, 20, 7)
    local before = redis.call("GET", K)
    for _, flag in ipairs { "XX", "AGAIN" } do
      local reply = write(script, "22", "z.2", made, flag, "AFTER", made, "21", "HELD")
      assert.are.equal(-4, reply[1])
    end
    assert.are.equal(before, redis.call("GET", K))
    assert.are.equal(1, write(script, "22", "z.3", made, "XX", "21", "HELD")[1]) -- who does not ask
  end)

  it("that is long is known as long as nobody has written since", function()
    local long = at_server("last_wins")
    local base = two_states("b", ("t"):rep(100))
    local function send(...)
      return write(long, ("m"):rep(200), "z.1", base, ...)
    end
    assert.are.equal(("m"):rep(200), send("", "LEFT")[3])
    local reply = send("AGAIN", "", "LEFT")
    assert.are.equal(("m"):rep(200), reply[3])
    assert.is_nil(reply[8]) -- theirs is not known
    others_write(reply[4], 0, 1)
    reply = send("AGAIN", "", "LEFT")
    assert.are.same({ 1, 3, false, "3:px.1:z.1", "z.1", "2:px.1:y.1", -3 }, reply)
  end)

  it("is not merged where the values are so long that others would wait", function()
    local long = at_server("last_wins")
    local base, theirs = two_states("b", ("t"):rep(16385))
    local reply = write(long, "m", "z.1", base, "", "LEFT")
    assert.are.equal(-1, reply[1])
    assert.are.equal("the value is longer than 16384 bytes", reply[6])
    committed(write(cas, ("t"):rep(16384), "y.2", theirs))
    assert.are.equal("m", write(long, "m", "z.2", base, "", "LEFT")[3])
  end)

  it("is not merged over a count that was begun anew, or went back", function()
    local base = two_states("10", "20")
    redis.call("DEL", V)
    local anew = committed(write(cas, "30", "n.1", "0"))
    assert.are.equal(-1, add_one("z.1", base)[1])
    assert.are.same({ -2, 1, false, anew, "z.1" }, again("z.1", base))
    redis.call("HSET", V, "s", "1:px.1:w.1")
    assert.are.equal(-1, add_one("z.1", "1:px.1:x.1")[1])
    assert.are.equal(-2, again("z.1", "1:px.1:x.1")[1])
    redis.call("HSET", V, "s", "2:px.1:w.2") -- and no late copy of it
    assert.are.equal(-1, add_one("z.1", "1:px.1:x.1")[1])
    assert.are.equal("30", redis.call("GET", K))
  end)

  it("keeps the lifetime of theirs, and takes its own", function()
    local base = two_states("10", "20")
    redis.call("PEXPIRE", K, 50000)
    local reply = add_one("z.1", base)
    assert.is_true(reply[7] > 40000 and reply[7] <= 50000)
    reply = add_one("z.2", base, "PX", "900000")
    assert.is_true(reply[7] > 800000)
  end)

  it("is merged over nothing where the value's lifetime is over", function()
    local base = committed(write(cas, "10", "x.1", "0"))
    redis.call("DEL", K)
    assert.are.same({ 1, 2, "1", "2:px.1:z.1", "z.1", base, -1, false }, add_one("z.1", base, "XX"))
  end)

  it("changes nothing where the user may not write", function()
    local server = own_server.start("")
    local connection <close> = redis.connect(server.url)
    connection:call("ACL", "SETUSER", "reader", "on", ">x", "~*", "+@all", "-set")
    local base = committed(cas:pcall({ K, V }, { "10", 1, "0", "x.1", "0" }, connection))
    committed(cas:pcall({ K, V }, { "20", 2, "0", "y.1", base }, connection))
    local reader <close> = redis.connect((server.url:gsub("unix://", "unix://reader:x@")))
    local reply = script:pcall({ K, V }, { "11", 2, "0", "z.1", base, "RECEIPT", T, "10", "HELD" },
      reader)
    assert.is_string(reply.err)
    assert.are.equal("20", connection:call("GET", K))
    assert.are.equal("2:px.1:y.1", connection:call("HGET", V, "s"))
    server.stop()
  end)
end)

describe("merge = { NAME, at = \"server\" }", function()
  local key, count = nil, 0

  before_each(function()
    count = count + 1
    key = "k" .. count
  end)

  local function intrude(value)
    local version_key = "{" .. key .. "}:v"
    local stamp = redis.call("HGET", version_key, "s")
    local version = math.tointeger(tonumber(stamp:match("^%d+"))) + 1
    committed(cas:pcall({ key, version_key }, { value, version, "0", "i." .. version, stamp }))
  end

  local function add_one(opts)
    return vlock.update(key, function(value)
      return (tonumber(value) or 0) + 1
    end, opts)
  end

  -- A merge of one's own in a file beside the tests, and the options that name it.
  local function own(name, text)
    local folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir -p " .. folder .. "/merge")
    do
      local file <close> = assert(io.open(folder .. "/merge/" .. name .. ".lua", "w"))
      file:write(text)
    end
    local policy = folder .. "/policy.lua"
    do
      local file <close> = assert(io.open(policy, "w"))
      file:write(('return { backoff = "none", merge = { "%s", at = "server" } }'):format(name))
    end
    return { policy = policy }
  end

  local function calls_of(f)
    local before = redis.call("INFO", "commandstats"):match("cmdstat_evalsha:calls=(%d+)") or 0
    local results = table.pack(f())
    local after = redis.call("INFO", "commandstats"):match("cmdstat_evalsha:calls=(%d+)")
    return math.tointeger(after - before), table.unpack(results, 1, results.n)
  end

  it("commits over theirs in the same round trip, and returns what was written", function()
    local opts = { merge = { "counter", at = "server" } }
    assert.are.equal(1, (add_one(opts)))
    intrude("100")
    local calls, value, version = calls_of(function()
      return add_one(opts)
    end)
    assert.are.same({ 1, "101", 3 }, { calls, value, version })
    intrude("200")
    calls, value = calls_of(function() -- on the base that the merged commit made
      return add_one(opts)
    end)
    assert.are.same({ 1, "201" }, { calls, value })
    assert.are.equal("201", (vlock.get(key)))
  end)

  it("does not merge what is deleted, left alone or compared and set", function()
    local opts = { merge = { "counter", at = "server" }, backoff = "none" }
    add_one(opts)
    intrude("100")
    assert.is_nil((vlock.compare_and_set(key, "5", 1, opts)))
    assert.are.equal("100", (vlock.get(key)))
    assert.is_nil((vlock.delete(key, opts)))
    assert.is_nil((vlock.get(key)))
  end)

  -- A merge that returns "here" where `is_here` says so, and elsewhere does what the text says.
  local function must_be_done_here(name, is_here, text)
    local opts = own(name, ("return { merge = function(_, c) if %s then return 'here' end %s end }")
      :format(is_here, text))
    key = name
    add_one(opts)
    intrude("100")
    assert.are.equal("here", (add_one(opts)), name)
  end

  it("does on the host what raises there, and what returns no value", function()
    for name, text in pairs {
      raises = "error('no')", asks = "return c.attempt .. ''",
      calls = "return redis.call('TIME')[1]",
      nonsense = "return type(redis) == 'nil' and {} or c.mine",
      exact = "return type(redis) == 'nil' and 2 ^ 60 or c.mine",
      endless = "while true do end", tries = "repeat pcall(error) until false",
      recursive = "local function f() return (pcall(f)) or f() end return f()",
      loops = "local s = [==[do ]]]==] for _ = 1, 1e9 do s = 'do \\'repeat' --[[ do ]] end " ..
        "return s",
    } do
      must_be_done_here(name, "redis and redis.call", text)
    end
  end)

  it("does on the host what Lua 5.1 does not read, or what has a module that is not there",
    function()
      for name, text in pairs { later = "goto done ::done:: return 7 // 2 .. ''",
        module = "return require('no' .. 'where')" } do
        must_be_done_here(name, "_VERSION == 'Lua 5.4'", text)
      end
    end)

  it("takes the parameters of the file, and refuses others and other places", function()
    vlock.policy { merge = { "json3", rule = { "mine", ["a\n\0.b"] = "sum" }, at = "server" } }
    local ok, reason = pcall(vlock.policy, own("late",
      'return { params = { age = "2rtt" }, merge = function(p, c) return c.mine end }').policy)
    assert.is_false(ok)
    assert.matches("a merge at the server knows of no round trips", reason, 1, true)
    assert.has_error(function()
      vlock.policy { merge = { "counter", at = "moon" } }
    end, "merge 'counter' (lua/merge/counter.lua): parameter 'at': must be \"host\" or " ..
      "\"server\"")
  end)

  it("writes counters, lists and documents of many tasks, and loses none", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = vlock.spawn(function()
        for _ = 1, 10 do
          assert(add_one { merge = { "counter", at = "server" } })
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.are.equal("200", (vlock.get(key)))
  end)

  it("is done on the host for a store or a codec that cannot", function()
    for _, more in ipairs { { store = "watch" }, { codec = "json" } } do
      key = "k" .. (more.store or more.codec)
      more.merge, more.backoff = { "counter", at = "server" }, "none"
      assert.are.equal(1, (add_one(more)))
      assert.are.equal(2, (add_one(more)))
    end
  end)
end)
