-- The module `vlock` in a program of stock Lua 5.4. That program's globals, its modules and
-- coroutines stay as they are: what vlock's own files and those of policies and stores find beside
-- them stands in a table of its own. It opens at the first use of anything but `open`.

local open_engine = ... -- by module.c

local option_types = {
  url = "string", password = "string", private_server = "boolean", seed = "integer",
    connect_timeout = "number", command_timeout = "number", busy_poll = "number",
  tls_ca = "string", tls_certificate = "string", tls_key = "string", tls_server_name = "string",
  tls_insecure = "boolean",
}
local may_be_0 = { busy_poll = true }
local option_names = "url, password, private_server, seed, connect_timeout, command_timeout, " ..
  "busy_poll, tls_ca, tls_certificate, tls_key, tls_server_name, tls_insecure"

local program_require = require
local is_open = false
local module = {}

local function check_options(options)
  if type(options) ~= "table" then
    error(("vlock.open takes a table of options, not %s; there are: %s"):format(type(options),
      option_names), 3)
  end
  for name, value in pairs(options) do
    local wanted = option_types[name]
    if not wanted then
      error(("vlock.open: unknown option '%s'; there are: %s"):format(tostring(name), option_names),
        3)
    elseif type(value) ~= wanted and math.type(value) ~= wanted then
      error(("vlock.open: %s must be of type %s, not %s"):format(name, wanted, type(value)), 3)
    elseif wanted == "number" and not (value > 0 and value < 1e9 or value == 0 and may_be_0[name])
    then
      error(("vlock.open: %s is a number of seconds %s 0 and below 1e9"):format(name,
        may_be_0[name] and "from" or "above"), 3)
    end
  end
end

-- The table that stands before the program's globals, for policies and stores. libraries: what is
-- required, by name.
local function environment(libraries)
  local names = setmetatable({}, { __index = _G })
  names.coroutine = setmetatable({}, { __index = coroutine })
  names.io = setmetatable({}, { __index = io })
  names.table = setmetatable({}, { __index = table })
  local own, update_own -- the names for our own files

  --- Our own files and libraries; for all other names the program's `require`.
  function names.require(name)
    if libraries[name] ~= nil then
      return libraries[name]
    end
    local file = name:gsub("%.", "/") .. ".lua"
    local text = name:find("^vlock%.") and libraries["vlock.files"].built_in(file)
    if not text then
      return program_require(name)
    end
    libraries[name] = assert(load(text, "@" .. file, "t", own))(name, file)
    return libraries[name]
  end

  local text = libraries["vlock.files"].built_in("vlock/script/environment.lua")
  own, update_own = assert(load(text, "@vlock/script/environment.lua"))().own_names(names)
  names.require "vlock.script.globals"(names)
  update_own()
  libraries.redis, libraries.vlock, libraries.cjson = names.redis, module, names.cjson
  return names
end

-- The defaults of vlockrun: the variables of the environment, where nothing else is said.
local function open(options)
  local names = environment(open_engine {
    url = options.url or not options.private_server and os.getenv("VLOCK_REDIS_URL") or nil,
    password = options.password or os.getenv("REDISCLI_AUTH"),
    private_server = options.private_server,
    seed = options.seed,
    connect_timeout = options.connect_timeout,
    command_timeout = options.command_timeout,
    busy_poll = options.busy_poll == 0 and -1 or options.busy_poll,
    tls_ca = options.tls_ca,
    tls_certificate = options.tls_certificate,
    tls_key = options.tls_key,
    tls_server_name = options.tls_server_name,
    tls_insecure = options.tls_insecure,
  })
  for name, value in pairs(names.vlock) do
    module[name] = value
  end
  module.redis = names.redis
  is_open = true
end

--- open { url = …, password = …, private_server = true, seed = …, connect_timeout = …,
-- command_timeout = …, busy_poll = … }: opens it otherwise than by default. Connects at the first
-- command. Seconds; without a url, VLOCK_REDIS_URL; the options are those of struct vlock_options
-- in ../../../src/vlock.h, but busy_poll = 0 is none. Once, and before all else; raises where it is
-- too late.
function module.open(options)
  check_options(options or {})
  if is_open then
    error("vlock is open already: vlock.open comes once, before anything else of vlock is used", 2)
  end
  open(options or {})
  return module
end

return setmetatable(module, {
  __index = function(_, name)
    if not is_open then
      open({})
    end
    return rawget(module, name)
  end,
})
