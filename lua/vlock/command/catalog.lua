-- What is there: vlockrun list, show NAME, new KIND NAME.

local files = require "vlock.files"
local did_you_mean = require "vlock.text.did_you_mean"
local search = require "vlock.policy.search"

local catalog = {}

local KINDS = { "retry", "backoff", "merge", "store", "model" }

local templates = {
  retry = [[
-- retry "NAME": what it does, and why.
---@type vlock.policy
return {
  doc = "Go on while …",
  -- A number is a count; a text like "2ms" is a duration, which reaches p in seconds.
  params = { max = 20 },
  retry = function(p, c)                   -- true: go on; false and a reason: give up
    if c.attempt < p.max then
      return true
    end
    return false, ("%d attempts failed"):format(c.attempt)
  end,
}
]],
  backoff = [[
-- backoff "NAME": what it does, and why.
---@type vlock.policy
return {
  doc = "Sleep …",
  -- A text like "2ms" is a duration, which reaches p in seconds; a number is a count.
  params = { base = "1ms", cap = "250ms" },
  backoff = function(p, c)                  -- seconds to wait before the next attempt
    return c.random() * math.min(p.cap, p.base * 2 ^ c.attempt)
  end,
}
]],
  merge = [[
-- merge "NAME": what it does, and why. A pure function of base, theirs and mine, for Lua 5.1 and
-- 5.4.
---@type vlock.policy
return {
  doc = "Write …",
  -- The value to write over theirs; nil: the update function is called again, on theirs.
  merge = function(p, c)
    if c.theirs.value == nil then
      return c.mine
    end
    return nil
  end,
}
]],
  store = [[
-- store "NAME": what it does, and why.
---@type vlock.store
return {
  doc = "…",
  read = function(cell)                     -- value (nil: absent) and stamp, in one atomic step
    local value, stamp = unpack(redis.call("MGET", cell.key, cell.version_key))
    return value or nil, stamp or "0"
  end,
  commit = function(cell, base, value, token) -- value nil: delete
    local script = redis.script(
      "if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[1] then return false end " ..
      "redis.call('SET', KEYS[1], ARGV[2]) return redis.call('INCR', KEYS[2])")
    local version = script({ cell.key, cell.version_key }, { base.stamp, value or "" })
    if not version then
      return "conflict"
    end
    return "committed", tostring(version)
  end,
  version = tonumber,                       -- the version in a stamp
}
]],
}

local test_templates = {
  retry = [[
local one = vlock.policy { retry = { "NAME", max = 3 } }
local c = { attempt = 1, elapsed = 0, state = {}, random = vlock.random, now = vlock.now }
assert(one.retry(c) == true)
c.attempt = 3
assert(one.retry(c) == false)
]],
  backoff = [[
local one = vlock.policy { backoff = { "NAME", base = "1ms", cap = "10ms" } }
local c = { elapsed = 0, state = {}, random = vlock.random, now = vlock.now }
for attempt = 1, 100 do
  c.attempt = attempt
  local seconds = one.backoff(c)
  assert(seconds >= 0 and seconds <= 0.010, seconds)
end
]],
  merge = [[
local one = vlock.policy { merge = "NAME" }
assert(one.merge { base = { value = "1" }, theirs = {}, mine = "2" } == "2")
assert(one.merge { base = { value = "1" }, theirs = { value = "3" }, mine = "2" } == nil)
]],
  store = [[
for i = 1, 10 do
  local value = vlock.update("test:NAME", function(value)
    return (value or 0) + 1
  end, { store = "NAME" })
  assert(value == i)
end
assert(vlock.get("test:NAME", { store = "NAME" }) == "10")
]],
}

local function doc_of(context, kind, name)
  local text, path = search.find(context, kind, name)
  local chunk = load((text:gsub("^#[^\n]*", "")), "@" .. path, "t")
  local ok, result = pcall(chunk or error)
  if not ok or type(result) ~= "table" then
    return "(broken: vlockrun show " .. name .. ")", path
  end
  return result.doc or "", path
end

--- Every retry, backoff, merge, store and model that is found, with what it says of itself.
function catalog.list(context)
  local lines = {}
  for _, kind in ipairs(KINDS) do
    lines[#lines + 1] = kind
    for _, name in ipairs((search.names(context, kind))) do
      local doc, path = doc_of(context, kind, name)
      local where = path:find("^built%-in") and "" or "  [" .. path .. "]"
      lines[#lines + 1] = ("  %-14s %s%s"):format(name, doc, where)
    end
  end
  return table.concat(lines, "\n")
end

--- The text of NAME or KIND/NAME, where it is found first. Raises where there is none.
function catalog.show(context, wanted)
  local kind, name = wanted:match("^(%a+)/(.+)$")
  local all = {}
  for _, one in ipairs(KINDS) do
    if not kind or kind == one then
      local text, path = search.find(context, one, name or wanted)
      if text then
        return ("-- %s\n%s"):format(path, text)
      end
      table.move(search.names(context, one), 1, 999, #all + 1, all)
    end
  end
  error(("there is no '%s'%s; vlockrun list shows what there is"):format(wanted,
    did_you_mean(name or wanted, all)), 0)
end

local function write_new(path, text)
  local existing = io.open(path)
  if existing then
    existing:close()
    error(path .. " is there already: nothing was written", 0)
  end
  local file, reason = io.open(path, "w")
  if not file then
    error(("cannot write %s (is the folder there? mkdir -p %s)"):format(reason,
      path:match("^(.*)/")), 0)
  end
  file:write(text)
  file:close()
end

-- Where the definitions lie that lua-language-server completes and checks policies by.
local function for_editors()
  for _, folder in ipairs { "lua/vlock/library", files.share_folder .. "/lua/vlock/library" } do
    if files.identify(folder) == "folder" then
      return ("completion in an editor: lua-language-server, with %s among workspace.library")
        :format(files.real(folder))
    end
  end
  return ""
end

--- Writes KIND/NAME.lua and KIND/NAME_test.lua from templates; returns what to do next. Raises
-- rather than overwrite.
function catalog.new(kind, name)
  if not templates[kind] then
    error("new needs a kind (retry, backoff, merge or store) and a name"
      .. (kind and did_you_mean(kind, KINDS) or ""), 0)
  elseif not name or not name:find("^[%w_]+$") then
    error("the name must be letters, digits and _", 0)
  end
  files.make_folder(kind)
  local path, test = ("%s/%s.lua"):format(kind, name), ("%s/%s_test.lua"):format(kind, name)
  write_new(path, (templates[kind]:gsub("NAME", name)))
  write_new(test, ("-- Run it with: vlockrun %s\n"):format(test)
    .. (test_templates[kind]:gsub("NAME", name)) ..
    'print("' .. name .. ': fine")\n')
  return ("wrote %s and %s\n  vlockrun %s\n  vlockrun %s\n%s"):format(path, test, test,
    kind == "store" and "--store " .. path .. " -e '{ backoff = \"full_jitter\" }'" or path,
    for_editors())
end

return catalog
