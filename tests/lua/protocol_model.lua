-- The protocol of ambiguous writes as a model: writers that use the real resolver, a server in
-- memory that runs the real script, and between them a network that loses, delays and doubles. It
-- tries every order of events up to a depth, and reports the first thing that is not true.
--
-- What is checked, on one surviving history of the server (until somebody deletes the record, or a
-- failover loses writes):
--   "committed" of what is in the chain, once
--   "conflict" of what is not in it, and never will be
--   no write twice in the chain
--   "unknown" only where the server answered too late, or no receipts were asked for
--   "history_lost" only where history was lost since the write's base was read, or since the
--   writer's last commit
--   no "committed" after a failover has lost the writer's last commit, while receipts live: also
--   not where others have built on what was left
--
-- A writer may carry a merge (lua/cas_merge.lua), which keeps mine but leaves the article's values
-- alone. What it is told is then also the value, and the state that it stands on.

local memory_server = require "memory_server"
local server_merge = require "vlock.cell.server_merge"

local resolver -- the module, or a copy with a planted fault

local K, V = "k", "{k}:v"

local model = {}

-- ---- states: everything in one table, copied before each event

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local new = {}
  for name, field in pairs(value) do
    new[name] = copy(field)
  end
  return new
end

local function copy_server(server)
  return { keys = { [K] = server.keys[K], [V] = server.keys[V] }, ms = server.ms,
    chain = copy(server.chain), epoch = server.epoch }
end

-- The machine's state is one of two tables, which are compared by identity.
local function copy_write(write)
  if not write then
    return nil
  end
  local new = {}
  for name, field in pairs(write) do
    new[name] = field
  end
  return new
end

local function copy_world(world)
  local new = {
    server = copy_server(world.server),
    earlier = world.earlier, -- never changed
    writers = {},
    copies = {},
    short_calls = world.short_calls,
    ends = world.ends,
    ops = world.ops,
  }
  for i, writer in ipairs(world.writers) do
    new.writers[i] = {
      session = writer.session, receipts = writer.receipts, sequence = writer.sequence,
      merges = writer.merges, op = writer.op, base = writer.base,
      base_epoch = writer.base_epoch, token = writer.token, write = copy_write(writer.write),
      sent = writer.sent, awaits = writer.awaits, updates = writer.updates, last = writer.last,
    }
  end
  for i, message in ipairs(world.copies) do
    new.copies[i] = message
  end
  for name, ended in pairs(world.ends) do
    new.ends = new.ends == world.ends and {} or new.ends
    new.ends[name] = ended
  end
  return new
end

-- ---- what a server does

local function version_of(stamp)
  return math.tointeger(tonumber(stamp:match("^%d+")))
end

local function stamp_of(server)
  local record = server.keys[V]
  return type(record) == "table" and record.s or record or "0"
end

local function fail(world, format, ...)
  error({ violation = format:format(...), world = world }, 0)
end

-- Notes what a script has written: the op that is in the value now.
local function note_applied(world, before)
  local server = world.server
  if stamp_of(server) == before then
    return
  end
  local op = server.keys[K]
  for _, other in ipairs(server.chain) do
    if other == op then
      fail(world, "%s is in the chain twice", op)
    end
  end
  local ended = world.ends[op]
  if ended and ended.said == "conflict" and ended.base_epoch == server.epoch then
    fail(world, "%s was said to be in conflict, and is applied", op)
  end
  server.chain[#server.chain + 1] = op
end

local function in_chain(world, op)
  for _, other in ipairs(world.server.chain) do
    if other == op then
      return true
    end
  end
  return false
end

local function flags_of(message)
  local args = { message.op, tostring(version_of(message.base) + 1), "0", message.token,
    message.base }
  if message.receipts > 0 then
    args[#args + 1], args[#args + 2] = "RECEIPT", tostring(message.receipts)
  end
  if message.is_again then
    args[#args + 1] = "AGAIN"
  end
  if message.after then
    args[#args + 1], args[#args + 2] = "AFTER", message.after
  end
  if message.merges then
    args[#args + 1], args[#args + 2] = "", "LEFT"
  end
  return args
end

-- ---- what writers do

local function id_of(stamp)
  return stamp:match("^%d+:([^:]+):")
end

-- Whether the present record is the one that a writer's last commit was made in, and lacks it.
local function has_lost(world, last)
  return last and id_of(last.stamp) == id_of(stamp_of(world.server))
    and not in_chain(world, last.op)
end

-- What a writer knows of its commits: the last, and that it was told of the loss of one.
local function note_end(world, writer, said, stamp)
  if said == "committed" and stamp then
    if has_lost(world, writer.last) and world.server.ms - writer.last.sent < writer.receipts then
      fail(world, "%s is committed, and nobody has said that %s was lost", writer.op,
        writer.last.op)
    end
    writer.last = { op = writer.op, stamp = stamp, sent = writer.sent }
  elseif said == "history_lost" then
    writer.last = nil
  end
end

-- The end of a write, and whether that may be said of it.
local function finish(world, writer, said, stamp)
  local op, server = writer.op, world.server
  local is_lost = writer.base_epoch ~= server.epoch or has_lost(world, writer.last)
  if said == "committed" then
    if not in_chain(world, op) then
      fail(world, "%s is said to be committed, and is not", op)
    elseif stamp and not stamp:find(writer.token, 1, true) then
      fail(world, "%s is answered with the stamp of another: %s", op, stamp)
    elseif stamp and server.chain[version_of(stamp)] ~= op then
      fail(world, "%s is answered with another version than its own: %s", op, stamp)
    end
  elseif said == "conflict" and in_chain(world, op) and not is_lost then
    fail(world, "%s is said to be in conflict, and is applied", op)
  elseif said == "unknown" and writer.receipts > 0 and not is_lost
    and server.ms - writer.sent <= writer.receipts then
    fail(world, "%s is said to be unknown, although receipts are kept", op)
  elseif said == "history_lost" and not is_lost then
    fail(world, "%s is said to have lost its history, which is whole", op)
  end
  note_end(world, writer, said, stamp)
  world.ends[op] = { said = said, base_epoch = writer.base_epoch }
  writer.op, writer.write, writer.awaits = nil, nil, nil
end

local SAYS = { [-1] = "conflict", [-2] = "history_lost", [-3] = "undecidable",
  [-4] = "history_lost" }

local function is_told(world, writer)
  local last = writer.last
  return last and world.server.ms - last.sent < writer.receipts
end

-- What is said of a write that was committed over theirs.
local function check_merged(world, message, reply)
  local chain, version = world.server.chain, reply[2]
  local _, _, value, stamp, token, base, _, theirs = table.unpack(reply, 1, 8)
  if token ~= message.token or version_of(stamp) ~= version or version_of(base) ~= version - 1 then
    fail(world, "%s is answered as another: %s over %s", message.op, stamp, base)
  elseif value and value ~= message.op or theirs and theirs ~= chain[version - 1] then
    fail(world, "%s is said to have written %s over %s", message.op, value, theirs)
  end
end

local function event_of(world, message, reply)
  if reply.ok then
    if message.merges and version_of(reply.ok:sub(4)) ~= version_of(message.base) + 1 then
      fail(world, "%s was merged, and that is not said", message.op)
    end
    return "committed", reply.ok:sub(4)
  elseif reply[1] == 1 then
    check_merged(world, message, reply)
    return "committed", reply[4]
  elseif reply.err then
    fail(world, "the script refuses %s: %s", message.op, reply.err)
  elseif reply[1] == -4 and not is_told(world, world.writers[message.writer]) then
    return message.is_again and "undecidable" or "conflict"
  end
  return SAYS[reply[1]]
end

local function send(world, writer, is_again)
  world.ops.count = world.ops.count + 1
  local last = is_told(world, writer) and writer.last
  local message = { op = writer.op, base = writer.base, token = writer.token,
    receipts = writer.receipts, is_again = is_again, writer = writer.index, merges = writer.merges,
    after = last and (writer.merges or last.stamp ~= writer.base) and last.stamp or nil,
    id = world.ops.count }
  world.copies[#world.copies + 1] = message
  writer.awaits = message.id
end

-- Tells a writer's machine, and carries out what it wants.
local function hear(world, writer, event, stamp)
  local action = resolver.hear(writer.write, event, world.server.ms)
  if action == "again" then
    writer.awaits = "nothing" -- the next copy is an event of its own
  else
    finish(world, writer, action, stamp)
  end
end

-- ---- events: each a function of a world that it changes; false: it cannot happen here

local function begin(index, limits)
  return function(world)
    local writer = world.writers[index]
    if writer.op or writer.updates >= limits.updates then
      return false
    end
    writer.updates, writer.sequence = writer.updates + 1, writer.sequence + 1
    writer.index = index
    writer.op = ("op%d.%d"):format(index, writer.updates)
    writer.token = ("%s.%d"):format(writer.session, writer.sequence)
    writer.base, writer.base_epoch = stamp_of(world.server), world.server.epoch
    writer.sent = world.server.ms
    writer.write = resolver.new(writer.sent, writer.receipts > 0, writer.receipts, math.huge)
    send(world, writer, false)
  end
end

-- The oldest copy of a writer's that is under way, or the newest, arrives at the server.
local function arrive(index, which, keeps)
  return function(world)
    local at
    for i, message in ipairs(world.copies) do
      if message.writer == index then
        at = which == "oldest" and at or i
      end
    end
    if not at then
      return false
    end
    local message = world.copies[at]
    if not keeps then
      table.remove(world.copies, at)
    elseif message.is_doubled then
      return false
    else
      local doubled = copy(message)
      doubled.is_doubled = true
      world.copies[at] = doubled
    end
    local before = stamp_of(world.server)
    local reply = world.run(world.server, { K, V }, flags_of(message), message.merges)
    note_applied(world, before)
    local writer = world.writers[index]
    if writer.awaits == message.id then
      hear(world, writer, event_of(world, message, reply))
    end
  end
end

-- The reply that a writer waits for is lost: whatever was sent may still arrive.
local function cut(index)
  return function(world)
    local writer = world.writers[index]
    if type(writer.awaits) ~= "number" then
      return false
    end
    hear(world, writer, "lost")
  end
end

-- A copy goes under way and never arrives.
local function drop(index)
  return function(world)
    for i, message in ipairs(world.copies) do
      if message.writer == index and world.writers[index].awaits ~= message.id then
        table.remove(world.copies, i)
        return
      end
    end
    return false
  end
end

local function send_again(index)
  return function(world)
    local writer = world.writers[index]
    if writer.awaits ~= "nothing" then
      return false
    end
    send(world, writer, true)
  end
end

-- A client of the article's: reads and writes at once, without a token.
local function short_call(limits)
  return function(world)
    if world.short_calls >= limits.short_calls then
      return false
    end
    world.short_calls = world.short_calls + 1
    local before = stamp_of(world.server)
    world.run(world.server, { K, V }, { "short" .. world.short_calls,
      tostring(version_of(before) + 1) })
    note_applied(world, before)
  end
end

-- Time passes, for all.
local function pass(ms)
  return function(world)
    world.server.ms = world.server.ms + ms
  end
end

-- The version record is deleted by others, expires, is evicted: what comes next is another history.
local function delete_record(world)
  local server = world.server
  if not server.keys[V] then
    return false
  end
  server.keys = { [K] = server.keys[K] }
  server.chain, server.epoch = {}, server.epoch + 1
end

-- The state as it is becomes what a replica has.
local function replicate(world)
  world.earlier = copy_server(world.server)
end

local function fail_over(world)
  local server = world.earlier
  if not server or #server.chain == #world.server.chain then
    return false
  end
  local lost = copy_server(server)
  lost.epoch, lost.ms = world.server.epoch + 1, world.server.ms
  world.server = lost
end

--- The events of a model with these limits: updates (of each writer), short_calls, deletes,
-- fails_over, passes (a list of ms).
function model.events(limits)
  local events = {}
  local function add(name, event)
    events[#events + 1] = { name = name, run = event }
  end
  for i = 1, limits.writers or 2 do
    add("begin " .. i, begin(i, limits))
    add("arrive oldest " .. i, arrive(i, "oldest"))
    add("arrive newest " .. i, arrive(i, "newest"))
    add("arrive twice " .. i, arrive(i, "oldest", true))
    add("cut " .. i, cut(i))
    add("drop " .. i, drop(i))
    add("again " .. i, send_again(i))
  end
  if (limits.short_calls or 0) > 0 then
    add("short call", short_call(limits))
  end
  for _, ms in ipairs(limits.passes or {}) do
    add("pass " .. ms, pass(ms))
  end
  if limits.deletes then
    add("delete record", delete_record)
  end
  if limits.fails_over then
    add("replicate", replicate)
    add("fail over", fail_over)
  end
  return events
end

--- The world at the beginning. writers: a list of { session, receipts in ms, first sequence or nil;
-- merges = true where it carries a merge }; run: a server's.
function model.new(writers, run)
  local world = { server = { keys = {}, ms = 1000000, chain = {}, epoch = 0 }, writers = {},
    copies = {}, short_calls = 0, ends = {}, ops = { count = 0 }, run = run }
  for i, writer in ipairs(writers) do
    world.writers[i] = { index = i, session = writer[1], receipts = writer[2],
      sequence = writer[3] or 0, updates = 0, merges = writer.merges }
  end
  return world
end

--- One event: the world after it, or nil where it cannot happen.
function model.step(world, event)
  local new = copy_world(world)
  new.run = world.run
  new.ops = { count = world.ops.count }
  for i, writer in ipairs(new.writers) do
    writer.index = i
  end
  if event.run(new) == false then
    return nil
  end
  return new
end

-- ---- every order of events

local function words_of(value, seen)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local names = {}
  for name in pairs(value) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  local words = {}
  for i, name in ipairs(names) do
    local field = value[name]
    if field == nil then
      field = value[math.tointeger(tonumber(name))]
    end
    words[i] = name .. "=" .. words_of(field, seen)
  end
  return "{" .. table.concat(words, ",") .. "}"
end

-- What tells worlds apart; the number of a copy does not, but which one is awaited.
local function name_of(world)
  local words = { words_of(world.server), words_of(world.earlier), world.short_calls,
    words_of(world.ends) }
  for _, writer in ipairs(world.writers) do
    local write = writer.write
    words[#words + 1] = table.concat({ tostring(writer.op), tostring(writer.base),
      tostring(writer.base_epoch), writer.updates, writer.sequence, tostring(writer.sent),
      writer.last and writer.last.stamp or "-", writer.last and writer.last.sent or "-",
      write and tostring(resolver.is_ambiguous(write)) or "-",
      type(writer.awaits) == "number" and "copy" or tostring(writer.awaits) }, "/")
  end
  for _, message in ipairs(world.copies) do
    words[#words + 1] = table.concat({ message.op, message.base, tostring(message.is_again),
      tostring(message.after),
      tostring(message.is_doubled),
      tostring(world.writers[message.writer].awaits == message.id) }, "/")
  end
  return table.concat(words, ";")
end

--- Those of a list of events that bear one of these names.
function model.only(events, names)
  local wanted, list = {}, {}
  for _, name in ipairs(names) do
    wanted[name] = true
  end
  for _, event in ipairs(events) do
    list[#list + 1] = wanted[event.name] and event or nil
  end
  assert(#list == #names, "an event that there is not")
  return list
end

--- Tries every order of so many events. Returns how many different worlds there were, and how often
-- each way to end was seen. Raises { violation, trail }.
function model.explore(world, events, depth)
  local seen, count, ends = {}, 0, {}
  local trail = {}
  local function visit(from, left)
    if left == 0 then
      return
    end
    for _, event in ipairs(events) do
      trail[#trail + 1] = event.name
      local ok, to = pcall(model.step, from, event)
      if not ok then
        error({ violation = type(to) == "table" and to.violation or tostring(to),
          trail = table.concat(trail, ", ") }, 0)
      elseif to then
        local name = name_of(to)
        if (seen[name] or 0) < left then
          if not seen[name] then
            count = count + 1
            for op, ended in pairs(to.ends) do
              if not from.ends[op] then
                ends[ended.said] = (ends[ended.said] or 0) + 1
              end
            end
          end
          seen[name] = left
          visit(to, left - 1)
        end
      end
      trail[#trail] = nil
    end
  end
  visit(world, depth)
  return count, ends
end

-- A file with `edits`: { file, text, by } each, of which those of this file must be found in it.
local function source_of(path, edits)
  local file <close> = assert(io.open(path))
  local source = file:read("a")
  for _, edit in ipairs(edits or {}) do
    if edit[1] == path then
      local from, to = source:find(edit[2], 1, true)
      assert(from, path .. " has changed, and the planted fault must follow it: " .. edit[2])
      source = source:sub(1, from - 1) .. edit[3] .. source:sub(to + 1)
    end
  end
  return source
end

local MERGE = [[
  return { merge = function(_, c)
    return not string.find(c.theirs.value or "", "^short") and c.mine or nil
  end }]]

--- Has the model use the resolver with these edits; returns a server that runs the scripts with
-- them.
function model.with(edits)
  resolver = assert(load(source_of("lua/vlock/cell/resolver.lua", edits), "=resolver.lua"))()
  local cas = source_of("lua/cas.lua", edits)
  local merge = server_merge.new { name = "of the model", text = MERGE, p = {} }
  local plain = memory_server.new(cas)
  local merging = memory_server.new(merge:source(cas, source_of("lua/cas_merge.lua", edits)))
  merge.composed = nil -- other edits make another one
  return function(state, keys, args, merges)
    return (merges and merging or plain)(state, keys, args)
  end
end

return model
