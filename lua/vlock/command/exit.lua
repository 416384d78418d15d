-- The exit codes of vlockrun, and errors that carry one.

local exit = { FINE = 0, SCRIPT = 1, USAGE = 2, UNREACHABLE = 3, UNMET = 4, INTERRUPTED = 130 }

--- Raises: vlockrun ends with this exit code and this message, without a traceback.
function exit.with(code, format, ...)
  error({ exit = code, message = select("#", ...) > 0 and format:format(...) or format }, 0)
end

--- Raises: the command line is wrong.
function exit.usage(...)
  exit.with(exit.USAGE, ...)
end

--- f(...), of which an error ends vlockrun with this exit code: the message alone says where and
-- what.
function exit.refuse(code, f, ...)
  local results = table.pack(pcall(f, ...))
  if not results[1] then
    local reason = results[2]
    if type(reason) == "table" and reason.exit then
      error(reason, 0)
    end
    exit.with(code, "%s", tostring(reason))
  end
  return table.unpack(results, 2, results.n)
end

return exit
