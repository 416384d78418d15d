-- Every fault of the network, ordered from the fault proxy for one copy of one write, against every
-- transition of vlock.cell.resolver: each pair happens, with the outcome that is true, or is known
-- to be impossible, and why. What happened is counted where the resolver is asked, and printed; one
-- pair too few or too many is a failure.
--
-- Then each byte of a command and of a reply: cut there, a write is applied once.
--
-- usage: lua5.4 transitions.lua SERVER-URL PROXY-URL [CA-FILE] (with the module vlock); the proxy's
-- with user and password, limited:pw. By TLS, with a CA, the rules that are a matter of time are
-- left out: a connection takes longer there than they have.

local server, proxy, ca = arg[1], arg[2], arg[3]

-- Seconds after which no reply is awaited any more: what a black hole costs.
local TIMEOUT = 0.3 * (tonumber(os.getenv("VLOCK_TEST_SLOWNESS")) or 1)

-- How often a transition is tried that did not come about in time on a busy machine. The second try
-- has twice the time, the third one thrice. An outcome that is false is never tried again.
local TRIES = 8

local vlock = require "vlock"
vlock.open { url = proxy, command_timeout = TIMEOUT, tls_ca = ca }

local folder = arg[0]:match("^(.*)/fault/[^/]*$")
local require = dofile(folder .. "/lua/module_names.lua")(vlock).require
local connections = require "vlock.redis_core"
local task = require("vlock.core").task
local client = require("vlock.engine.current").client()
local resolver = require "vlock.cell.resolver"
local search = require "vlock.policy.search"
local plain = require("vlock.policy.store").new("plain", search.context("."))
local cas = vlock.redis.script("cas")
local redis = vlock.redis

local control = redis.connect(server) -- past the proxy
local orders = redis.connect(proxy)

-- ---- what is counted

local happened = {} -- by fault and transition: how often
local writes = setmetatable({}, { __mode = "k" }) -- by task: what it writes; see new_write

local function count(write, transition)
  local counts = happened[write.fault] or {}
  happened[write.fault] = counts
  counts[transition] = (counts[transition] or 0) + 1
  write.heard[#write.heard + 1] = transition
end

local hear = resolver.hear

function resolver.hear(machine, event, ...)
  local from = resolver.is_ambiguous(machine) and "ambiguous" or "clear"
  local action, detail = hear(machine, event, ...)
  count(writes[task()], ("%s %s -> %s"):format(from, event, action))
  return action, detail
end

-- ---- faults

-- comes: the reply does. seconds: until it is known to be lost.
local FAULTS = {
  { "none", comes = true }, { "delay", comes = true }, { "throttle", comes = true },
  { "cut_behind", comes = true }, { "duplicate", comes = true },
  { "cut_before" }, { "cut_inside" }, { "cut_after" }, { "cut_reply" }, { "zombie" },
  { "half_close" }, { "black_hole", seconds = TIMEOUT }, { "swap" }, { "garbage" },
  { "nesting" }, { "huge" }, { "own_error" },
}

-- Tells the proxy; once more where an outage has ended the connection. It does what it is told as
-- often as it is told.
local function tell(...)
  local reply = orders:pcall(...)
  if type(reply) == "table" and reply.outcome then
    reply = orders:call(...)
  end
  return reply
end

local function order(text, ...)
  tell("FAULT", text, ...)
end

-- ---- troubles of the server: each begins, and returns what ends it

local function await(is_so)
  for _ = 1, 5000 do
    if is_so() then return end
    vlock.sleep(0.002)
  end
  error("it never came to be so", 2)
end

local function answers(beginning)
  return function()
    local reply = control:pcall("EXISTS", "any")
    return type(reply) == "table" and reply.err:find(beginning) ~= nil
  end
end

local function is_served()
  return type(control:pcall("EXISTS", "any")) == "number"
end

local function busy()
  local other = redis.connect(server)
  vlock.spawn(function()
    other:pcall("EVAL_RO", "while true do end", "0")
    other:close()
  end)
  await(answers "^BUSY ")
  return function()
    control:pcall("SCRIPT", "KILL")
    await(is_served)
  end
end

local function held_back()
  control:call("CONFIG", "SET", "replica-serve-stale-data", "no")
  control:call("REPLICAOF", "127.0.0.1", "1")
  await(answers "^MASTERDOWN ")
  return function()
    control:call("REPLICAOF", "NO", "ONE")
    control:call("CONFIG", "SET", "replica-serve-stale-data", "yes")
  end
end

local function refused()
  control:call("ACL", "SETUSER", "limited", "-evalsha")
  return function()
    control:call("ACL", "SETUSER", "limited", "+evalsha")
  end
end

local function unreachable()
  tell("OUTAGE", "on")
  return function()
    tell("OUTAGE", "off")
  end
end

-- ---- one write

local number = 0

-- A write under a fault, of a cell of its own by a connection of its own: key, the stamp of the
-- first state, the value to be written, heard (its transitions).
local function new_write(fault, name)
  number = number + 1
  local one = { fault = fault, name = ("%s, %s"):format(fault, name), heard = {},
    key = ("cell:%d."):format(number), value = ("mine %d"):format(number) }
  one.version_key = ("{%s}:v"):format(one.key)
  local function commit(value, version, token)
    local reply = cas:pcall({ one.key, one.version_key }, { value, version, "0", token }, control)
    return assert(reply.ok, reply.err or "not committed: another version stands there"):sub(4)
  end
  one.oldest = commit("oldest", "1", "other.1")
  one.stamp = commit("first", "2", "other.2")

  -- Somebody else writes; once more where the write itself came in between, from a connection that
  -- was cut behind it.
  function one.overtake(token)
    local function try()
      local version = one.recorded():match("^%d+")
      commit("theirs", math.tointeger(tonumber(version)) + 1, token or "other.3")
    end
    return pcall(try) or try()
  end

  function one.recorded()
    return control:call("HGET", one.version_key, "s")
  end

  one.connection = redis.connect(proxy)
  require "vlock.cell.again"(one.connection.call, one.connection, "PING")
  return one
end

-- The store of one write. steps: first(token), called when the first copy has been answered, or is
-- lost; fails: that it has a fault in `resolve`.
local function store_of(one, steps)
  local store = setmetatable({}, { __index = plain })

  -- For this one to change places with: a commit's, the second time a conflict's.
  local function give_another_reply()
    if one.fault == "swap" then
      local other = "beside " .. one.value -- no order is for it
      vlock.spawn(cas.pcall, cas, { other, other .. ":v" }, { "", "1", "0", "other.1", "0" },
        one.connection)
    end
  end

  function store.commit(cell, base, value, token)
    give_another_reply()
    local results = table.pack(pcall(plain.commit, cell, base, value, token))
    if steps.first then
      steps.first(token)
    end
    if not results[1] then
      error(results[2], 0)
    end
    return table.unpack(results, 2, results.n)
  end

  function store.resolve(...)
    give_another_reply()
    local results = table.pack(plain.resolve(...))
    if steps.fails then
      error("the store has a fault", 0)
    end
    return table.unpack(results, 1, results.n)
  end

  return store
end

-- Writes: `outcome` is what became of it, in a word, `detail` more about it.
local function write(one, steps, options)
  writes[task()] = one
  connections.use(one.connection)
  options.store = store_of(one, steps)
  local ok, version, result = pcall(vlock.compare_and_set, one.key, one.value, one.stamp, options)
  if not ok then
    one.outcome, one.detail = "error", version
  elseif version then
    one.outcome, one.made = "committed", version
    if #one.heard == 0 then
      count(one, "clear committed -> committed") -- attempt.lua knows without asking
    end
  else
    one.outcome, one.detail = result.outcome, result
  end
end

-- ---- the transitions, each brought about by steps around a write under a fault

local function stopped()
  local session = client.session
  local before = session.is_stopped
  function session.is_stopped()
    return true
  end
  return function()
    session.is_stopped = before
  end
end

local function ended_soon(trouble)
  return function(patience)
    local finish = trouble()
    vlock.spawn(function()
      vlock.sleep(patience * (trouble == unreachable and 1.2 * TIMEOUT or 0.03))
      finish()
    end)
  end
end

local function overtaken(one)
  one.overtake()
end

-- Each: its name, and the outcome of a write that ends with it or goes through it. All its writes,
-- one under each fault, are made at the same time.
--   before(write)       happens before it is sent
--   trouble(writes)     begins before they are sent; it returns what ends it, as the next one does
--   after(patience)     begins when the first copies of all have been answered or are lost
--   steps(write)        of its store
--   options, again      of the write; the fault befalls as many of its copies
--   within              seconds until it has to end, behind those that the loss takes
--   is_timed            its trouble ends while it is sent again
--   receipts, late      for so long it is believed; so long is the reply to the second copy delayed
-- Troubles last, and deadlines are, `patience` times as long: it is the number of the try.

-- Those of a first copy of which the reply comes.
local CLEAR = {
  { "clear committed -> committed", "committed" },
  { "clear conflict -> conflict", "conflict", before = overtaken },
  { "clear history_lost -> history_lost", "history_lost", before = function(one)
    control:call("HSET", one.version_key, "s", one.oldest)
  end },
  { "clear busy -> busy", "gave_up", trouble = busy },
  { "clear held_back -> refused", "error", trouble = held_back },
  { "clear refused -> refused", "error", trouble = refused },
  { "clear broken -> unknown", "unknown", steps = function()
    return { first = function() error("the store has a fault", 0) end }
  end },
}

-- The one of a copy that is not sent.
local UNSENT = { "clear unreachable -> refused", "error", trouble = function(list)
  local finish = unreachable()
  for _, one in ipairs(list) do
    one.connection:pcall("PING") -- it is known that the connection has ended
  end
  return finish
end }

-- Those of a write of which a copy was lost.
local LOST = {
  { "clear lost -> unknown", "unknown", options = { receipts = 0 } },
  { "ambiguous committed -> committed", "committed" },
  { "ambiguous conflict -> conflict", "conflict", before = overtaken },
  { "ambiguous conflict -> unknown", "unknown", before = overtaken,
    late = 0.2, receipts = 0.12 },
  { "ambiguous history_lost -> history_lost", "history_lost", steps = function(one)
    return { first = function() control:call("DEL", one.version_key) end }
  end },
  { "ambiguous undecidable -> unknown", "unknown", steps = function(one)
    return { first = function(token)
      one.overtake(token:gsub("%d+$", function(n) return ("%d"):format(n + 1000) end))
    end }
  end },
  { "ambiguous refused -> unknown", "unknown", after = refused },
  { "ambiguous broken -> unknown", "unknown", steps = function() return { fails = true } end },
  { "ambiguous stopped -> unknown", "unknown", after = stopped },
  { "ambiguous busy -> again", "committed", after = ended_soon(busy), is_timed = true },
  { "ambiguous busy -> unknown", "unknown", after = busy, within = 0.2 },
  { "ambiguous held_back -> again", "committed", after = ended_soon(held_back), is_timed = true },
  { "ambiguous held_back -> unknown", "unknown", after = held_back, within = 0.2 },
  { "ambiguous unreachable -> again", "committed", after = ended_soon(unreachable),
    is_timed = true },
  { "ambiguous unreachable -> unknown", "unknown", after = unreachable, within = 0.02 },
  { "ambiguous lost -> again", "committed", again = 2 },
  { "ambiguous lost -> unknown", "unknown", again = 30, within = 0.2 },
}

local all = {} -- the writes, to look at again at the end
local failures = {}

local function fail(format, ...)
  failures[#failures + 1] = format:format(...)
  print("# " .. failures[#failures])
end

-- Whether what stands on the server is what was said of the write.
local function check_truth(one)
  local value = control:call("GET", one.key)
  local is_there = value == one.value
  if one.outcome == "committed" then
    if not is_there or one.made ~= 3 or not tostring(one.recorded()):find("^3:") then
      fail("false: %s: committed, and the cell holds %s", one.name, tostring(value))
    end
  elseif one.fault == "duplicate" and one.outcome ~= "conflict" then
    -- Who doubles commands can have one of them refused, and the other one applied when the trouble
    -- is over: no client can know. (A network does not do that, nor does TCP.)
    return
  elseif one.outcome ~= "unknown" and one.outcome ~= "history_lost" and is_there then
    fail("false: %s: said to be %s, and it is applied", one.name, one.outcome)
  end
end

-- Calls f when it has been called as often as there are writes, and lets none go on before.
local function meeting(size, f)
  local missing = size
  return function()
    missing = missing - 1
    if missing == 0 then
      f()
      missing = -1
    end
    await(function() return missing == -1 end)
  end
end

local function options_of(row, fault, patience)
  local options = {}
  for name, value in pairs(row.options or {}) do
    options[name] = value
  end
  options.receipts = row.receipts and row.receipts + (fault.seconds or 0) or options.receipts
  options.deadline = row.within and patience * row.within + 2 * TIMEOUT or 5 * patience
  return options
end

local function prepare(fault, row)
  local kind = fault[1]
  local one = new_write(kind, row[1])
  all[#all + 1] = one
  if row.before then
    row.before(one)
  end
  for _ = 1, kind == "none" and 0 or row.again or 1 do
    order(one.key, kind)
  end
  if row.late then
    order(one.key, "delay", tostring(row.late))
  end
  return one
end

-- What a write was to show and did not, in words; nil: it did.
local function missed(one, row)
  local detail = one.detail
  if one.outcome ~= row[2] then
    return ("%s: %s (%s) instead of %s, by %s"):format(one.name, one.outcome, tostring(detail
      and (detail.reason or detail.err) or detail), row[2], table.concat(one.heard, "; "))
  elseif not (happened[one.fault] or {})[row[1]] then
    return ("%s: never met"):format(one.name)
  end
end

-- The writes under these faults that make one transition. Returns a list of what they missed.
local function try(faults, row, patience)
  local list = {}
  for i, fault in ipairs(faults) do
    list[i] = prepare(fault, row)
  end
  local finish = row.trouble and row.trouble(list)
  local first = row.after and meeting(#list, function()
    finish = row.after(patience)
  end)
  local tasks = {}
  for i, one in ipairs(list) do
    local steps = row.steps and row.steps(one) or { first = first }
    tasks[i] = vlock.spawn(write, one, steps, options_of(row, faults[i], patience))
  end
  for _, made in ipairs(tasks) do
    made:join()
  end
  if finish then
    finish()
  end
  await(is_served)
  local misses = {}
  for _, one in ipairs(list) do
    tell("FAULT", one.key)
    one.connection:close()
    misses[#misses + 1] = missed(one, row)
    check_truth(one)
  end
  return misses
end

local function try_until_met(faults, row)
  local misses
  for patience = 1, TRIES do
    misses = try(faults, row, patience)
    if #misses == 0 or #failures > 0 then break end
    print(("# not in time: %s"):format(misses[1]))
  end
  for _, miss in ipairs(misses) do
    fail("%s", miss)
  end
end

-- ---- each byte

-- Cuts one write after the other, each a byte further on. part: "cut_inside" or "cut_reply";
-- earlier: what befalls the copy before that one, or nil; way: the transitions of each.
local function cut_each_byte(one, part, first, size, way, earlier)
  for at = first, size - 1 do
    if earlier then
      order(one.key, earlier)
    end
    order(one.key, part, tostring(at))
    one.heard = {}
    one.value = ("%s at byte %d"):format(part, at)
    write(one, {}, { deadline = 5 })
    -- A busy machine may take too long for the new connection, after which another is made.
    local heard = table.concat(one.heard, "; "):gsub("ambiguous unreachable %-> again; ", "")
    if one.outcome ~= "committed" or one.made ~= one.version + 1 or heard ~= way
      or control:call("GET", one.key) ~= one.value then
      fail("%s of %d: %s, version %s behind %d, by %s", one.value, size, one.outcome,
        tostring(one.made), one.version, heard)
    end
    one.stamp = one.recorded()
    one.version = math.tointeger(tonumber(one.stamp:match("^%d+")))
  end
end

local function try_each_byte()
  local one = new_write("cut at each byte", "committed")
  order(one.key, "throttle")
  write(one, {}, { deadline = 5 })
  one.stamp, one.version = one.recorded(), 3
  local sizes = tell("SIZES", one.key)
  local way = "clear lost -> again; ambiguous committed -> committed"
  cut_each_byte(one, "cut_inside", 1, sizes[1], way)
  cut_each_byte(one, "cut_reply", 0, sizes[2], way)
  cut_each_byte(one, "cut_reply", 0, sizes[2],
    "clear lost -> again; ambiguous lost -> again; ambiguous committed -> committed", "cut_after")
  print(("# cut at each of the %d bytes of a command and %d of a reply: version %d"):format(
    sizes[1], sizes[2], one.version))
  if sizes[1] < 100 or sizes[2] < 20 or one.version ~= 3 + sizes[1] - 1 + 2 * sizes[2] then
    fail("that is not as many versions as bytes")
  end
end

-- ---- what must have happened

local NOT_BY_TLS = "it is a matter of time, and tried without TLS"

-- Why a transition cannot happen under a fault; nil: it can.
local function obstacle(fault, row, list)
  if list == LOST and fault.comes then
    return "the reply comes, so that no copy is lost"
  elseif list == CLEAR and not fault.comes then
    return "the reply never comes: the first copy is always lost"
  elseif row == UNSENT and fault[1] ~= "none" then
    return "a copy that is not sent meets no fault"
  elseif ca and (row.is_timed or row.within or row.late) then
    return NOT_BY_TLS
  end
end

local LISTS = { CLEAR, { UNSENT }, LOST }
local LOSS = { "clear lost -> again" } -- on the way to all of LOST but the first

local function check_counts()
  local pairs_of_both, impossible = 0, {}
  for _, fault in ipairs(FAULTS) do
    local counts, cells_of_line = happened[fault[1]] or {}, {}
    for _, list in ipairs { CLEAR, { UNSENT }, { LOSS }, LOST } do
      for _, row in ipairs(list) do
        local reason = obstacle(fault, row, row == LOSS and LOST or list)
        local times = counts[row[1]] or 0
        counts[row[1]] = nil
        if reason then
          impossible[reason] = (impossible[reason] or 0) + 1
        end
        if not reason and times == 0 then
          fail("%s never met \"%s\"", fault[1], row[1])
        elseif reason and reason ~= NOT_BY_TLS and times > 0 then
          fail("%s met \"%s\", which cannot be: %s", fault[1], row[1], reason)
        end
        pairs_of_both = pairs_of_both + 1
        cells_of_line[#cells_of_line + 1] = reason and "  -" or ("%3d"):format(times)
      end
    end
    for transition in pairs(counts) do
      fail("%s met \"%s\", of which nothing is said here", fault[1], transition)
    end
    print(("# %-11s%s"):format(fault[1], table.concat(cells_of_line, " ")))
  end
  print(("# %d pairs of a fault and a transition; - : it cannot be:"):format(pairs_of_both))
  for reason, times in pairs(impossible) do
    print(("#   %3d  %s"):format(times, reason))
  end
end

-- All transitions that the resolver has: of every state and event, at once and too late, of stores
-- that can send a write again and of others.
local function transitions_of_resolver()
  local known = {}
  local function note(from, is_resolvable, at)
    local events = resolver.new(0, true, 1, 1).state
    if from == "ambiguous" then
      local machine = resolver.new(0, true, 1, 1)
      hear(machine, "lost", 0)
      events = machine.state
    end
    for event in pairs(events) do
      local machine = resolver.new(0, is_resolvable, 1, 1)
      if from == "ambiguous" then
        hear(machine, "lost", 0)
      end
      known[("%s %s -> %s"):format(from, event, (hear(machine, event, at)))] = true
    end
  end
  note("clear", true, 0)
  note("clear", false, 0)
  note("ambiguous", true, 0)
  note("ambiguous", true, 2)
  return known
end

local function check_tables()
  local known = transitions_of_resolver()
  for _, list in ipairs { { LOSS }, table.unpack(LISTS) } do
    for _, row in ipairs(list) do
      if not known[row[1]] then
        fail("the resolver has no \"%s\"", row[1])
      end
      known[row[1]] = nil
    end
  end
  for transition in pairs(known) do
    -- A reply for which there is no memory is no fault of the network: see runaway.bats.
    if not transition:find(" unread ", 1, true) then
      fail("nothing is said here of \"%s\", which the resolver has", transition)
    end
  end
end

vlock.run(function()
  control:call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all")
  control:call("CONFIG", "SET", "busy-reply-threshold", "10")
  cas:pcall({ "any" }, {}, control) -- the server knows it
  check_tables()
  for _, list in ipairs(LISTS) do
    for _, row in ipairs(list) do
      local faults = {}
      for _, fault in ipairs(FAULTS) do
        faults[#faults + 1] = not obstacle(fault, row, list) and fault or nil
      end
      try_until_met(faults, row)
    end
  end
  try_each_byte()
  vlock.sleep(0.3) -- the last copies that were held back have come
  for _, one in ipairs(all) do
    check_truth(one)
  end
  check_counts()
end)
print(#failures == 0 and "each fault met each transition that it can" or "FAILED")
os.exit(#failures == 0)
