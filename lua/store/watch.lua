-- Store "watch": the textbook way, to compare with. WATCH and a read, then MULTI, the writes and
-- EXEC, on a connection of the client's own: WATCH belongs to a connection. The transaction counts
-- the version in the version's key, a plain decimal.

local connection
local watched -- the cell's key and the stamp read under the WATCH that stands, if one does
local turn = require("vlock.cell.lock").new()

-- Whether a connection was lost on which a WATCH or MULTI stood, and EXEC did not reach it: then
-- nothing was applied, and nothing will be.
local function is_lost(reason)
  local text = type(reason) == "table" and reason.err
  return text and (text:find("^VLOCK the connection was lost since WATCH or MULTI")
    or text:find("^ERR EXEC without MULTI"))
end

-- A step that was left half done leaves its connection inside of MULTI: that one is not used again.
local function forget_connection()
  if connection then
    connection:close()
  end
  connection, watched = nil, nil
end

-- Several commands make one step: a second task of this client waits for its turn.
local function in_turn(step, ...)
  if not turn:take() then
    forget_connection()
  end
  connection = connection or redis.connect()
  local results = table.pack(pcall(step, ...))
  if not results[1] then
    forget_connection()
  end
  turn:release()
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

local function watch_and_read(cell)
  if watched then
    connection:call("UNWATCH") -- what it saw of other keys, or before, would fail EXEC
    watched = nil
  end
  connection:call("WATCH", cell.key, cell.version_key)
  local pair = connection:call("MGET", cell.key, cell.version_key)
  watched = { key = cell.key, stamp = pair[2] or "0" }
  return pair[1] or nil, watched.stamp
end

local function queue_writes(cell, value, version)
  if value == nil then
    connection:call("DEL", cell.key)
  elseif cell.ttl then
    connection:call("SET", cell.key, value, "PX", cell.ttl)
  else
    connection:call("SET", cell.key, value, "KEEPTTL")
  end
  if (cell.expire or 0) > 0 then
    connection:call("SET", cell.version_key, version, "EX", cell.expire)
  else
    connection:call("SET", cell.version_key, version)
  end
end

-- base.stamp "": only the number base.version is compared, which here is the stamp.
local function stamp_of(base)
  return base.stamp ~= "" and base.stamp or ("%d"):format(base.version)
end

local function commit(cell, base, value)
  local expected = stamp_of(base)
  if not watched or watched.key ~= cell.key or watched.stamp ~= expected then
    local present, stamp = watch_and_read(cell)
    if stamp ~= expected or base.is_present and not present then
      return "conflict", present, stamp
    end
  end
  local version = ("%d"):format(tonumber(expected) + 1)
  connection:call("MULTI")
  queue_writes(cell, value, version)
  local results = connection:call("EXEC")
  watched = nil -- EXEC ends every WATCH of its connection
  if not results then
    return "conflict"
  end
  for _, result in ipairs(results) do
    if type(result) == "table" and result.err then
      -- No refusal: something is written.
      error("one command of the transaction failed, and the others did not: " .. result.err, 0)
    end
  end
  return "committed", version
end

return {
  doc = "WATCH, MULTI and EXEC on a connection of its own: the textbook way, to compare with.",

  read = function(cell)
    local ok, value, stamp
    repeat
      ok, value, stamp = pcall(in_turn, watch_and_read, cell)
    until ok or not is_lost(value)
    if not ok then
      error(value, 0)
    end
    -- How long it lives is another command, and a read by which nothing is lost: its WATCH serves
    -- the commit.
    return value, stamp, false
  end,

  commit = function(cell, base, value)
    local results = table.pack(pcall(in_turn, commit, cell, base, value))
    if results[1] then
      return table.unpack(results, 2, results.n)
    elseif is_lost(results[2]) then
      return "conflict"
    end
    error(results[2], 0)
  end,

  -- Whoever makes the next version, it is called that.
  made = function(base)
    return ("%d"):format(tonumber(stamp_of(base)) + 1)
  end,

  version = function(stamp)
    return tonumber(stamp)
  end,
}
