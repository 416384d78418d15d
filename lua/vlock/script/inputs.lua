-- The files that vlockrun has read: scripts, policies, parts, stores and modules, and what they
-- open to read. Nothing that it writes is to overwrite one of them.

local files = require "vlock.files"

local inputs = {}

local paths = {} -- as they were named

--- Takes down that a file was read.
function inputs.note(path)
  paths[path] = true
end

--- Whether one of them is the file with this identity, as vlock.files tells it.
function inputs.has(id)
  for path in pairs(paths) do
    local kind, other = files.identify(path)
    if kind == "file" and other == id then
      return true
    end
  end
  return false
end

-- The same function, which takes down what could be opened.
local function noting(open)
  return function(path, ...)
    local file, reason, code = open(path, ...)
    if file and type(path) == "string" then
      inputs.note(path)
    end
    return file, reason, code
  end
end

--- From here on the functions of this table, io, take down what is read through them.
function inputs.listen(io_functions)
  local open, lines = io_functions.open, io_functions.lines
  local open_to_read = noting(open)
  function io_functions.open(path, mode, ...)
    local is_to_read = mode == nil or type(mode) == "string" and mode:find("^r")
    return (is_to_read and open_to_read or open)(path, mode, ...)
  end
  function io_functions.lines(path, ...)
    if type(path) == "string" then
      inputs.note(path)
    end
    return lines(path, ...)
  end
  io_functions.input = noting(io_functions.input)
end

return inputs
