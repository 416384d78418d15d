-- What the workers of a run saw of its keys: every commit they were told of, on which state it was made and which state it made. One
-- chain per key; at the end each must lead from the first state to the one that stands on the server.

local lab_core = require "vlock.lab_core"

local Ledger = {}
Ledger.__index = Ledger

-- What names a state of the cell: its stamp where the store has versions, else its value.
local function identity(store, value, stamp)
  if store.version then
    return stamp
  end
  return value == nil and "absent" or "value:" .. value
end

local function read_identity(store, cell)
  local value, stamp = store.read(cell)
  return identity(store, value, stamp)
end

local function is_unknown(reason)
  return type(reason) == "table" and reason.outcome == "unknown"
end

--- A ledger for these cells, which `store` reads as they stand before the run.
local function new(list, store)
  local self = setmetatable({ cells = list, chains = {}, first = {}, calls = 0 }, Ledger)
  for _, cell in ipairs(list) do
    self.chains[cell.key] = lab_core.chain()
    self.first[cell.key] = read_identity(store, cell)
  end
  return self
end

--- The same store, writing down every commit that is sent through it. self.calls counts them.
function Ledger:recording(store)
  local recorded = setmetatable({}, { __index = store })
  function recorded.commit(cell, base, value, token)
    self.calls = self.calls + 1
    local chain = self.chains[cell.key]
    local from = identity(store, base.value, base.stamp)
    local ok, result, a, b = pcall(store.commit, cell, base, value, token)
    if not ok then
      if is_unknown(result) then
        local made = store.version and store.made and store.made(base, token)
        chain:unknown(from, made or identity(store, value, "unknown:" .. token))
      end
      error(result, 0)
    end
    if result == "committed" then
      chain:commit(from, identity(store, value, a))
    end
    return result, a, b
  end
  return recorded
end

--- Whether all of it is whole, as `store` reads the cells now: a table of lost_updates, duplicated, missing and whole.
function Ledger:verify(store)
  local found = { lost_updates = 0, duplicated = 0, missing = 0, whole = true }
  for _, cell in ipairs(self.cells) do
    local result = self.chains[cell.key]:check(self.first[cell.key], read_identity(store, cell))
    found.lost_updates = found.lost_updates + result.lost_updates
    found.duplicated = found.duplicated + result.duplicated
    found.missing = found.missing + result.missing
    found.whole = found.whole and result.whole
  end
  return found
end

return { new = new }
