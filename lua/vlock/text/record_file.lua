-- A file in which a program writes down what it does, while it does it: histories and traces.

local record_file = {}

local BUFFER = 65536 -- bytes

local File = {}
File.__index = File

local function fail(file, reason)
  error(("cannot write the %s %s: %s"):format(file.kind, file.path,
    tostring(reason):gsub("^.*: ", "")), 0)
end

-- Whatever stands in the file that is none of its kind is not overwritten: somebody's policy, by a
-- slip of the hand. Opened so that a pipe does not wait for its reader.
local function check_that_it_may_go(self, beginning)
  local file, reason = io.open(self.path, "a+")
  if not file then
    fail(self, reason)
  end
  local size = file:seek("end")
  local start = size and size > 0 and file:seek("set") and (file:read(#beginning) or "")
  file:close()
  if start and start ~= beginning then
    error(("%s is there and is no %s: it is not overwritten"):format(self.path, self.kind), 0)
  end
end

--- A new one at this path. kind: what it is called in messages; beginning: the text that each of
-- its kind begins with: one that is there is overwritten, any other file is not. Raises where it
-- cannot be written.
function record_file.create(path, kind, beginning)
  local self = setmetatable({ path = path, kind = kind }, File)
  check_that_it_may_go(self, beginning)
  local file, reason = io.open(path, "w")
  if not file then
    fail(self, reason)
  end
  file:setvbuf("full", BUFFER)
  self.file = file
  return self
end

--- Writes texts. What cannot be written costs no run: nothing more is written then, and `close`
-- says why.
function File:write(...)
  if self.failure then
    return
  end
  local ok, reason = self.file:write(...)
  self.failure = not ok and reason or nil
end

--- Writes out what is still in memory.
function File:flush()
  local ok, reason = self.file:flush()
  self.failure = self.failure or not ok and reason or nil
end

--- The same, at the end. Raises where that fails, or has failed before.
function File:close()
  local ok, reason = self.file:close()
  if self.failure or not ok then
    fail(self, self.failure or reason)
  end
end

return record_file
