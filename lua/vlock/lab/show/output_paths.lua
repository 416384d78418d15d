-- The files that a run is to write, looked at before anything runs: that each can be written, and
-- none is an input of the run or another output of it, under whatever name.

local exit = require "vlock.command.exit"
local files = require "vlock.files"
local inputs = require "vlock.script.inputs"

local output_paths = {}

local Outputs = {}
Outputs.__index = Outputs

--- For a run that reads these files, a list of { what, path }, beside what vlock.script.inputs
-- knows of.
function output_paths.new(read)
  -- Owners: by what tells a file from others.
  local self = setmetatable({ owners = {}, made = {} }, Outputs)
  for _, input in ipairs(read) do
    local kind, id = files.identify(input[2])
    if kind == "file" then
      self.owners[id] = ("%s is %s, which this run reads"):format(input[2], input[1])
    end
  end
  for _, name in ipairs { "/dev/stdout", "/dev/stderr" } do
    local kind, id = files.identify(name)
    if kind == "file" then
      self.owners[id] = "that is where this run's own words go"
    end
  end
  return self
end

-- A pipe without a reader would be waited for, for ever.
local function check_pipe(option, path)
  if not files.has_reader(path) then
    exit.usage("--%s: %s is a pipe that nobody reads", option, path)
  end
end

-- Raises where the file cannot be written. One that is there keeps what it holds until there is
-- something to put in its place.
local function check_writable(option, path)
  local file, reason = io.open(path, "ab")
  if not file then
    exit.usage("--%s: cannot write %s", option, reason)
  end
  file:close()
end

--- Raises a usage error where the file that an option names cannot be written, or must not be.
function Outputs:add(option, path)
  if path == "-" then
    exit.usage("--%s -: standard output is for the report; name a file", option)
  end
  local kind, id = files.identify(path)
  if kind == "pipe" then
    return check_pipe(option, path)
  elseif self.owners[id] then
    exit.usage("--%s: %s", option, self.owners[id])
  elseif kind == "file" and inputs.has(id) then
    exit.usage("--%s: %s is a file which this run reads", option, path)
  elseif kind == "file" and path:find("%.lua$") then -- which a policy may yet come to read
    exit.usage("--%s: %s is a Lua file: it is not overwritten", option, path)
  end
  check_writable(option, path)
  if not kind then
    id = select(2, files.identify(path))
    -- It is there until all are known, so that another name of it is told.
    self.made[#self.made + 1] = files.real(path) or path
  end
  if kind ~= "device" then
    self.owners[id] = ("%s is what --%s is to write"):format(path, option)
  end
end

--- All are known: what was made to know them goes.
function Outputs:finish()
  for _, path in ipairs(self.made) do
    os.remove(path)
  end
end

--- Whether the file was read since it was looked at: what a policy opens while it runs is not known
-- before.
function output_paths.was_read(path)
  local kind, id = files.identify(path)
  return kind == "file" and inputs.has(id)
end

return output_paths
