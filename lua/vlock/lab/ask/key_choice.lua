-- How a worker of the lab chooses the key of its next update.

local did_you_mean = require "vlock.text.did_you_mean"

local key_choice = {
  OWN = "own",
  UNIFORM = "uniform",
}

-- Worker i keeps to key i mod keys.
local function own(keys)
  return function(worker)
    local mine = (worker.index - 1) % keys + 1
    return function()
      return mine
    end
  end
end

local function uniform(keys)
  return function(worker)
    local random = worker.session.random
    return function()
      return math.floor(random() * keys) + 1
    end
  end
end

-- Zipf's law: the k-th key is chosen with a probability proportional to 1/k^s. By inversion of the
-- cumulated probabilities.
local function zipf(keys, exponent)
  local cumulated, sum = {}, 0
  for k = 1, keys do
    sum = sum + 1 / k ^ exponent
    cumulated[k] = sum
  end
  return function(worker)
    local random = worker.session.random
    return function()
      local wanted = random() * sum
      local low, high = 1, keys
      while low < high do
        local middle = (low + high) // 2
        if cumulated[middle] > wanted then
          high = middle
        else
          low = middle + 1
        end
      end
      return low
    end
  end
end

local names = { key_choice.OWN, key_choice.UNIFORM, "zipf" }

--- new("own" | "uniform" | "zipf:S", number of keys): a function from a worker to a function that
-- chooses 1 … keys. Raises on an unknown name, or an S that is not from 0 to 20.
function key_choice.new(dist, keys)
  local name, parameter = dist:match("^(%a+):?(.*)$")
  if dist == key_choice.OWN then
    return own(keys)
  elseif dist == key_choice.UNIFORM then
    return uniform(keys)
  elseif name == "zipf" then
    local exponent = tonumber(parameter ~= "" and parameter or "1")
    if not exponent or not (exponent >= 0 and exponent <= 20) then
      error(("--dist zipf:S needs an exponent from 0 to 20, like zipf:1.1, not " ..
        "'%s'"):format(parameter), 0)
    end
    return zipf(keys, exponent)
  end
  error(("unknown --dist '%s'%s; there are: own, uniform, zipf:S"):format(dist,
    did_you_mean(name or dist, names)), 0)
end

return key_choice
