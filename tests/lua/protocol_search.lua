-- What the specs of the protocol ask of its model: that nothing false is said in any order of
-- events, and that a planted fault is found.

local model = require "protocol_model"

local search = {
  -- What it takes to lose a commit that somebody was told of, and to build on what is left.
  FAILOVER = { "begin 1", "arrive oldest 1", "begin 2", "arrive oldest 2", "replicate",
    "fail over" },
}

-- Tries all; the number of worlds and of each way to end; or nil, what is wrong, and the events.
local function try(writers, events, depth, edits)
  local ok, count, ends = pcall(model.explore, model.new(writers, model.with(edits)), events, depth)
  if ok then
    return count, ends
  end
  assert(type(count) == "table" and count.violation, count)
  return nil, count.violation, count.trail
end

--- Fails where anything false is said; returns the number of worlds and of each way to end.
function search.must_hold(writers, events, depth)
  local count, ends, trail = try(writers, events, depth)
  assert(count, ("%s: %s"):format(ends, trail))
  return count, ends
end

--- Fails where the model finds nothing wrong with these edits.
function search.must_find(writers, events, depth, edits)
  local count, violation = try(writers, events, depth, edits)
  assert(count == nil, "it was not found")
  assert(type(violation) == "string", violation)
end

--- The same of so many walks at random, of so many events each: fewer orders, but deeper ones.
function search.must_hold_at_random(writers, events, walks, length)
  local server, random = model.with(), vlock.random
  for _ = 1, walks do
    local world, trail = model.new(writers, server), {}
    for _ = 1, length do
      local event = events[math.floor(random() * #events) + 1]
      local ok, after = pcall(model.step, world, event)
      if not ok or after then
        trail[#trail + 1] = event.name
      end
      assert(ok, ok or type(after) ~= "table" and after
        or ("%s: %s"):format(after.violation, table.concat(trail, ", ")))
      world = after or world
    end
  end
end

--- The events of these limits that are in `way` or in `more`.
function search.along(way, limits, more)
  more = more or {}
  return model.only(model.events(limits), table.move(more, 1, #more, #way + 1,
    { table.unpack(way) }))
end

return search
