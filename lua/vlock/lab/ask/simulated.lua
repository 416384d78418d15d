-- What --sim asks for: the model of a simulation, and entrants that take part in one.

local exit = require "vlock.command.exit"
local models = require "vlock.sim.model"
local register = require "vlock.sim.register"

local simulated = {}

local DEFAULT = "loopback"

--- The model that the options name, or nil. Raises a usage error.
function simulated.model(options)
  local name = options.sim
  if not name then
    return nil
  end
  for _, other in ipairs { "cluster", "url", "password_file", "cacert", "cert", "cert_key", "sni",
    "insecure" } do
    if options[other] then
      exit.usage("--sim and --%s exclude each other: a simulation has a server of its own",
        (other:gsub("_", "-")))
    end
  end
  return exit.refuse(exit.USAGE, models.find, name == true and DEFAULT or name)
end

-- A store whose conflicts do not tell what stands there.
local function silent(store)
  local function tell(said, a, b)
    if said == "conflict" then
      return said
    end
    return said, a, b
  end
  local quiet = setmetatable({}, { __index = store })
  for _, name in ipairs { "commit", "resolve" } do
    quiet[name] = store[name] and function(...)
      return tell(store[name](...))
    end
  end
  return quiet
end

--- Has these entrants take part in a simulation: with its store, where it has one, and with its
-- defaults for what a policy leaves out. Nothing changes where `model` is nil.
function simulated.adapt(entrants, model)
  for _, one in ipairs(model and entrants or {}) do
    if model.server == "register" then
      if one.store_name ~= "plain" then
        exit.usage("the model '%s' has a store of its own: leave out the store '%s'", model.name,
          one.store_name)
      end
      one.store_name, one.store = "register", register.store
    end
    if not model.conflict_value and model.server ~= "register" then
      local new_store = one.new_store
      one.store = nil
      one.new_store = function(self)
        return silent(new_store(self))
      end
    end
    one.context = setmetatable({ defaults = model.defaults }, { __index = one.context })
  end
end

return simulated
