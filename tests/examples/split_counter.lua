-- A counter of which many are at work: one key would have one slot, and so one node of a cluster,
-- however many there are. It is kept in several keys instead, which are added up when it is read.
--
--     vlockrun -u redis+cluster://HOST split_counter.lua visits , 1

local PARTS = 8

local counter = {}

local function key_of(name, part)
  return ("%s:%d"):format(name, part)
end

function counter.add(name, n)
  return vlock.update(key_of(name, math.random(PARTS)), function(value)
    return (value or 0) + n
  end)
end

function counter.read(name)
  local commands, sum = {}, 0
  for part = 1, PARTS do
    commands[part] = { "GET", key_of(name, part) }
  end
  for _, value in ipairs(redis.pipeline(commands)) do
    sum = sum + (tonumber(value) or 0) -- false: nobody has added to this one yet
  end
  return math.tointeger(sum) or sum
end

counter.add(KEYS[1], tonumber(ARGV[1]))
return counter.read(KEYS[1])
