-- Combining: updates of one cell by tasks that share this combiner become one commit. While one
-- commit is under way, the updates that come meanwhile gather; then their functions are called one
-- after the other, each on what the one before it made, and one commit writes what came of them
-- all. On a hot key that is as many updates a second as the tasks can compute, and no conflict
-- among them. (The idea: flat combining, D. Hendler, I. Incze, N. Shavit, M. Tzafrir, SPAA 2010.)
--
-- To the outside every update is as without: it returns its own value, its own error, and the
-- version of the commit that it was part of. The options of the update that begins a batch hold for
-- all of the batch.

local codecs = require "vlock.cell.codec"
local core = require "vlock.core"
local misuse = require "vlock.script.misuse"
local update = require "vlock.cell.update"

local Combiner = {}
Combiner.__index = Combiner

--- A combiner of its own: tasks that use it combine with each other, and with nobody else.
local function new()
  return setmetatable({ lines = {} }, Combiner)
end

-- Calls one request's function on `present`, bytes or nil; returns what stands afterwards, and
-- whether it wants to write that.
local function apply(request, codec, present, version)
  local wanted = request.fn(codec.decode(present), version)
  if wanted == nil then
    request.value = codec.decode(present)
    return present, false
  elseif wanted == update.DELETE then
    request.value = nil
    return nil, true
  end
  local bytes = codecs.for_server(codec, wanted)
  request.value = wanted
  return bytes, true
end

-- In the place of update.compute, with a batch as the function: what all its requests make of a
-- base. One that fails leaves no trace. As for a single update, an error or a decision not to write
-- counts only on a base that was read, not on one that was kept.
local function compute(plan, batch, value, version, is_kept)
  local present, writes = value, false
  for _, request in ipairs(batch.requests) do
    local ok, after, wants = pcall(apply, request, plan.codec, present, version)
    if is_kept and not (ok and wants) then
      return "leave"
    end
    request.failed, request.reason = not ok, not ok and after or nil
    if ok then
      present, writes = after, writes or wants
    end
  end
  batch.bytes = present
  if not writes then
    return "leave"
  end
  return "write", present, plan.codec.decode(present)
end

-- Runs a batch once the one before it has ended; from then on it takes no further request.
local function run(line, batch, before)
  if before then
    before:join()
  end
  line.open, line.running = nil, batch.task
  local plan = setmetatable({ compute = compute, undisturbed = false }, { __index = batch.plan })
  -- Into fields that are there: afterwards there may be no memory for another table.
  batch.ok, batch.value, batch.version, batch.state, batch.is_left = pcall(update.run,
    batch.session, plan, batch.cell, batch, batch.asked)
  batch.has_ended = true
end

-- What requests share that are combined, as a text. All that use one cell have one store and codec.
local function name_of(plan, cell)
  local name = cell.line
  if not name then
    name = table.concat({ cell.version_key, plan.store_name, plan.codec.name or "" }, "\0")
    cell.line = name
  end
  return name
end

-- The batch of this cell that still takes requests; begins one where there is none.
local function open_batch(self, session, plan, cell)
  local key = name_of(plan, cell)
  local line = self.lines[key]
  -- A run that was cut left it behind.
  if not line or line.last and not core.is_alive(line.last) then
    line = {}
    self.lines[key] = line
  end
  if line.running and line.running == core.task() then
    misuse("a combined update of '%s' inside of its own update function: it would wait for itself",
      cell.key)
  end
  local batch = line.open
  if not batch then
    batch = { session = session, plan = plan, cell = cell, requests = {}, task = false,
      asked = core.now(), bytes = false, has_ended = false, ok = false, value = false,
      version = false, state = false, is_left = false }
    local before = line.last
    batch.task = core.spawn(function()
      run(line, batch, before)
      if line.last == batch.task then
        self.lines[key] = nil
      end
    end)
    line.open, line.last = batch, batch.task
  end
  return batch
end

-- What a request's caller gets, after its batch has ended.
local function answer(batch, request)
  if not batch.has_ended then
    error("the task of the combined updates was ended", 0)
  end
  local ok, value, version, state, is_left = batch.ok, batch.value, batch.version, batch.state,
    batch.is_left
  if request.failed then
    error(request.reason, 0)
  elseif not ok then
    error(value, 0)
  elseif not state then
    return nil, version -- an outcome
  elseif not is_left and state.value ~= batch.bytes then
    -- The merge's: on the base that stood, nobody's function has been called.
    return value, version, state
  end
  return request.value, version, state, is_left
end

local function take_part(self, session, plan, cell, fn)
  local batch = open_batch(self, session, plan, cell)
  local request = { fn = fn, value = false, failed = false, reason = false }
  batch.requests[#batch.requests + 1] = request
  batch.task:join()
  return answer(batch, request)
end

--- The same as update.run, together with the other tasks that call it for this cell meanwhile.
function Combiner:update(...)
  return core.run(take_part, self, ...)
end

return { new = new }
