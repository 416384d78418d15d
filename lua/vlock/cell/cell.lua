-- A cell: a value with its version, and where the two live on the server.

local misuse = require "vlock.script.misuse"

local cell = { RECEIPTS = 60 } -- seconds

-- The part of a key that decides its slot in a cluster: what stands between the first { and the
-- next }, where that is not empty.
-- (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, "Hash tags")
local function has_hash_tag(key)
  local open = key:find("{", 1, true)
  local close = open and key:find("}", open + 1, true)
  return close and close > open + 1
end

-- {KEY} would end at the first } of the key.
local function is_spoiled(key)
  return not has_hash_tag(key) and key:find("}", 1, true) ~= nil
end

--- The key of a cell's version: {acct:42}:v for acct:42, and {u7}:cart:v for {u7}:cart, so that
-- both share a slot.
function cell.version_key(key)
  if has_hash_tag(key) then
    return key .. ":v"
  elseif is_spoiled(key) then
    misuse("the key '%s' has braces by which its version, {%s}:v, would lie in another slot " ..
      "of a cluster: name the version's key yourself, "
      .. "with the option version_key, or leave the braces out", key, key)
  end
  return "{" .. key .. "}:v"
end

-- What most cells have; thousands of them need not each say so.
local Cell = { receipts = cell.RECEIPTS, receipt_ms = cell.RECEIPTS * 1000 }
Cell.__index = Cell

--- key: the value's key. opts, as vlock.cell.call_options reads them: version_key (default: as
-- above), expire (lifetime of the version record in seconds; 0 or nil: it does not expire), ttl (of
-- the value, in seconds; nil: as it is), receipts (for how long a write can be sent again, in
-- seconds; 0: not at all; default: a minute).
function cell.new(key, opts)
  local new = setmetatable({ key = key, version_key = opts.version_key or cell.version_key(key) },
    Cell)
  new.expire = opts.expire
  new.ttl = opts.ttl and math.ceil(opts.ttl * 1000)
  if opts.receipts then
    new.receipts, new.receipt_ms = opts.receipts, math.ceil(opts.receipts * 1000)
  end
  return new
end

return cell
