-- What only reads, or does the same when it is done twice, may be done again where its connection
-- died.

local outcome = require "vlock.cell.outcome"

local MOST = 5 -- times, where connections die one after the other

--- f(…), once more where it is unknown whether that ran.
return function(f, ...)
  for _ = 2, MOST do
    local results = table.pack(pcall(f, ...))
    if results[1] then
      return table.unpack(results, 2, results.n)
    elseif not outcome.is(results[2], "unknown") then
      error(results[2], 0)
    end
  end
  return f(...)
end
