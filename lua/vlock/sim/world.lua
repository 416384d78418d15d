-- A simulated run from the beginning to the end of its time: the modelled network, the task that is
-- the server, and a clock and random numbers that are the run's own.

local core = require "vlock.core"
local models = require "vlock.sim.model"
local redis_server = require "vlock.sim.redis_server"
local register = require "vlock.sim.register"
local sim_core = require "vlock.sim_core"

local world = {}

local EPOCH = 1700000000 -- seconds since 1970: when a simulation begins, for its server and os.time

-- As they are for the rest of the program.
local time, date, clock = os.time, os.date, os.clock

local World = {}
World.__index = World

-- ---- the clock and the random numbers of scripts

local function bind_to_run(seed)
  math.randomseed(seed)
  os.time = function(fields) -- luacheck: ignore
    return fields and time(fields) or EPOCH + math.floor(core.now())
  end
  os.date = function(format, at) -- luacheck: ignore
    return date(format, at or os.time())
  end
  os.clock = core.now -- luacheck: ignore
end

local function bind_to_system()
  os.time, os.date, os.clock = time, date, clock -- luacheck: ignore
end

-- ---- the server

-- The journal of a server that will fail over: what undoes each write, with the time when it was
-- done, in nanoseconds.
local Journal = {}
Journal.__index = Journal

function Journal:remember(undo)
  local entry = { at = self.now, undo = undo }
  self.last = self.last + 1
  self[self.last] = entry
  -- What is too old will never be taken back.
  while self[self.first] and self[self.first].at < self.now - self.kept do
    self[self.first] = nil
    self.first = self.first + 1
  end
end

-- Takes back all that was done after a point in time.
function Journal:take_back(from)
  while self.last >= self.first and self[self.last].at > from do
    self[self.last].undo()
    self[self.last] = nil
    self.last = self.last - 1
  end
end

local function new_journal(model)
  local forgets = model.failover and math.floor(model.failover.forgets * 1e9)
  return forgets and setmetatable({ first = 1, last = 0, now = 0, kept = forgets }, Journal) or nil
end

-- What answers commands: a function from a command's words and the time, in nanoseconds of virtual
-- time, to its reply; one to be called when another server has taken over; and, of a register, one
-- that puts a key's value and version there.
local function new_server(model, journal)
  local remember = journal and function(undo)
    journal:remember(undo)
  end
  if model.server == "redis" then
    return redis_server.new(EPOCH * 1000000, remember)
  end
  local commands, put = register.commands(remember)
  return function(words)
    local command = commands[words[1]] or commands[words[1]:upper()]
    if not command then
      return { err = ("VLOCK the simulated register does not know '%s'; it knows: READ, WRITE")
        :format(words[1]) }
    end
    return command(words[2], words[3], words[4])
  end, function() end, put
end

-- The seconds that each command takes, by its name, however that is written.
local function service_of(model)
  return setmetatable({}, { __index = function(known, name)
    local seconds = model.service[name:upper()] or model.service.default
    known[name] = seconds
    return seconds
  end })
end

local function serve(core_world, service, journal, answer, restart)
  while true do
    local words = core_world:receive()
    if words then
      local done = core_world:serve(service[words[1]])
      if journal then
        journal.now = done
      end
      core_world:answer(done, answer(words, done))
    else
      journal:take_back(math.floor(core.now() * 1e9) - journal.kept)
      restart()
    end
  end
end

-- ---- worlds

--- Begins the time of a run in this model (vlock.sim.model); it ends with the scope that holds what
-- is returned. on_failure(reason) is called where the server itself is broken.
function world.begin(model, seed, on_failure)
  local core_world = sim_core.begin(models.settings(model, seed))
  local self = setmetatable({ model = model, core = core_world, began = clock() }, World)
  bind_to_run(seed)
  local journal = new_journal(model)
  local answer, restart
  answer, restart, self.put = new_server(model, journal)
  self.service = service_of(model)
  self.server = core.spawn(function()
    local ok, reason = pcall(serve, core_world, self.service, journal, answer, restart)
    if not ok then
      on_failure(reason)
    end
  end)
  return self
end

--- A connection to its server, as redis.connect makes them; direct: one that takes no time and has
-- no faults, for those who look at the server from outside.
function World:connect(is_direct)
  return self.core:connect(is_direct or false)
end

--- All of its clients at once, of a register: w:crowd of src/lua/lib_sim.c, whose settings are
-- these but for the server's times.
function World:crowd(settings)
  settings.read_time, settings.write_time = self.service.READ, self.service.WRITE
  return self.core:crowd(settings)
end

--- Lets time go on until all that was sent has arrived at the server, or never will.
function World:settle()
  while self.core:counts().travelling > 0 do
    core.sleep(0.01)
  end
end

--- What stands of it in a result: the model, what happened, and the time of the processor that it
-- took.
function World:shown()
  local shown, counts = models.shown(self.model), self.core:counts()
  for _, name in ipairs { "events", "lost", "cut", "late", "timeouts", "failovers" } do
    shown[name] = counts[name]
  end
  shown.cpu_seconds = clock() - self.began
  return shown
end

function World:__close()
  self.server:cancel()
  self.core:finish()
  bind_to_system()
end

return world
