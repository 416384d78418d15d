-- Writes of unknown outcome that the server may have merged (lua/cas_merge.lua): each may have been
-- applied on any state, and not on its base alone. Where it was, the state that it made bears its
-- token: somebody has built on it, or has read it, or it is the last one. From that, and from the
-- states on which nobody is known to have built, follows where it stands in the chain.

local stamps = require "vlock.cell.stamp"

local Floating = {}
Floating.__index = Floating

local function new()
  return setmetatable({
    latest = nil, -- stamp of the state that the last commit made; in none of the two sets yet
    made = {}, -- stamps of states that commits made, and none was made on yet
    bases = {}, -- stamps of states that commits were made on, and none is known to have made yet
    reads = {}, -- stamps of states that were read
    writes = {}, -- {token, started, note}, in the order of time
  }, Floating)
end

-- Out of one set where it is in there, else into the other.
local function settle(stamp, from, into)
  if from[stamp] then
    from[stamp] = nil
  else
    into[stamp] = true
  end
end

--- A commit that somebody was told of. Most are made on the last one that was told of.
function Floating:commit(base, made)
  if base ~= self.latest then
    if self.latest then
      settle(self.latest, self.bases, self.made)
    end
    settle(base, self.made, self.bases)
  end
  self.latest = made
end

--- A state that was read.
function Floating:read(stamp)
  self.reads[stamp] = true
end

--- A write of which nobody knows whether it was applied.
function Floating:add(token, started, note)
  self.writes[#self.writes + 1] = { token = token, started = started, note = note }
end

local function by_version(set)
  local list = {}
  for stamp in pairs(set) do
    list[#list + 1] = { stamp = stamp, version = stamps.version(stamp) or 0 }
  end
  table.sort(list, function(a, b)
    return a.version < b.version
  end)
  return list
end

-- Takes out of a list of writes the one whose token a stamp bears; nil: there is none.
local function take(writes, stamp)
  for i, write in ipairs(writes) do
    if stamp:sub(-#write.token - 1) == ":" .. write.token then
      return table.remove(writes, i)
    end
  end
end

-- The states that these writes have made, as far as these stamps tell, in a list to which they are
-- added; what is left of the writes stays in theirs.
local function find_states(writes, known, states)
  for _, state in ipairs(known) do
    state.write = take(writes, state.stamp)
    if state.write then
      states[#states + 1] = state
    end
  end
  return states
end

local function add_state(add, base, state)
  add(base, state.stamp, state.write.started, state.write.note)
  return state.stamp
end

--- Calls add(base, made, started, note), stamps and what `add` was told, for each of these writes
-- that the chain from `first` to `last`, stamps, needs. Of several in a row only the last is
-- certain to be known by its state: where others are not, they are those that stand nowhere else,
-- the one that began first before the others. (Nothing can be out of the order of time for having
-- begun too early.)
function Floating:place(first, last, add)
  if #self.writes == 0 then
    return
  end
  self:commit(last, first) -- closes the circle: what is left of both sets are the gaps
  settle(first, self.bases, self.made)
  table.sort(self.writes, function(a, b)
    return a.started < b.started
  end)
  local left = table.move(self.writes, 1, #self.writes, 1, {})
  local ends, middle = by_version(self.made), {}
  local states = find_states(left, by_version(self.bases), {})
  for _, state in ipairs(find_states(left, by_version(self.reads), {})) do
    middle[state.version] = state
  end
  for _, state in ipairs(states) do
    local base
    for _, one in ipairs(ends) do
      base = one.version < state.version and one or base
    end
    local from = base and base.stamp
    for version = base and base.version + 1 or state.version, state.version - 1 do
      local between = middle[version]
      if not between and #left > 0 then
        local write = table.remove(left, 1)
        between = { write = write, stamp = ("%d:%s:%s"):format(version, stamps.id(state.stamp),
          write.token) }
      end
      from = between and add_state(add, from, between) or from
    end
    if from then
      add_state(add, from, state)
    end
  end
end

return { new = new }
