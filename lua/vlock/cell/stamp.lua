-- The stamps of stores that keep versions: "0" for a cell that was never written, else
-- VERSION:ID:TOKEN. The version counts the writes, the ID is fixed when the count begins, and the
-- token names the write (see lua/cas.lua).

local match = string.match

local stamp = {}

--- The version of a stamp, an integer; nil where it is none.
function stamp.version(text)
  return tonumber(match(text, "^%d+"))
end

--- The ID of a stamp; nil where it has none.
function stamp.id(text)
  return match(text, "^%d+:([^:]+):")
end

--- The stamp of the next write on a base, { stamp }, with this token; maker: the letter with which
-- an ID begins that is made now.
function stamp.next(base, token, maker)
  return ("%d:%s:%s"):format(stamp.version(base.stamp) + 1, stamp.id(base.stamp) or maker .. token,
    token)
end

--- Whether the state with this stamp, found in the place of what was read, is one of the same
-- count as it was earlier: then the server has lost writes. (One that is gone, or whose count was
-- begun anew, is an ordinary conflict.)
function stamp.went_back(base, found)
  local id = stamp.id(base.stamp)
  if not id or stamp.id(found) ~= id then
    return false
  end
  return stamp.version(found) <= stamp.version(base.stamp) and found ~= base.stamp
end

return stamp
