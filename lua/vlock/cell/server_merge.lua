-- Merges that are done at the server: the script that a commit is sent by. It is lua/cas.lua with
-- lua/cas_merge.lua at its place in it, and the texts of the merge's file and of the modules which
-- that file requires before it. The server knows it by its SHA-1, as every script.
--
-- Where a merge cannot be done there, it is done here, as any merge is; a line in the log says so,
-- and why.

local cache = require "vlock.cell.cache"
local files = require "vlock.files"
local guarded = require "vlock.cell.loop_guard"
local hook = require "vlock.cell.hook"

local EXACT = 9007199254740992 -- 2^53: Redis' numbers are doubles
local NUMBER = "vlock.text.number"
-- Turns of loops and calls of functions in one merge: some milliseconds. While it lasts everybody
-- else waits.
local MOST_TICKS = 50000

local server_merge = {}

local Merge = {}
Merge.__index = Merge

-- ---- the text

-- A value as Lua 5.1 reads it; nil: it cannot be written down.
local function literal(value)
  local kind = math.type(value) or type(value)
  if kind == "string" then
    return ("%q"):format(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "integer" and math.abs(value) <= EXACT then
    return ("%d"):format(value)
  elseif kind == "float" and value - value == 0 then
    return ("%.17g"):format(value)
  elseif kind ~= "table" then
    return nil
  end
  local pieces = {}
  for key, inner in pairs(value) do
    local name, text = literal(key), literal(inner)
    if not name or not text then
      return nil
    end
    pieces[#pieces + 1] = ("[%s]=%s"):format(name, text)
  end
  table.sort(pieces) -- the same parameters are the same script
  return "{" .. table.concat(pieces, ",") .. "}"
end

local function module_text(name)
  if name:find("^vlock%.") then
    return files.built_in(name:gsub("%.", "/") .. ".lua")
  end
  local path = package.searchpath(name, package.path)
  local file <close> = path and io.open(path, "rb") or nil
  return file and file:read("a")
end

-- Adds the texts of the modules that a text requires, and of those that they require, by name. One
-- that is not found is missed where it is called for.
local function add_modules(text, modules)
  for name in text:gmatch("require%s*%(?%s*[\"']([%w_.-]+)[\"']") do
    if modules[name] == nil and name ~= "cjson" then
      modules[name] = module_text(name) or false
      if modules[name] then
        add_modules(modules[name], modules)
      end
    end
  end
end

-- Whether a merge looks at the base, as its text and those of its modules say. Where they are
-- wrong about it, the merge raises there.
local function looks_at_base(text, modules)
  if text:gsub("%-%-[^\n]*", ""):find("%.base%f[%W]") then
    return true
  end
  for _, module in pairs(modules) do
    if module and looks_at_base(module, {}) then
      return true
    end
  end
  return false
end

local BEGINNING = [[
local function merge_part()
  local redis, KEYS, ARGV
  local left = %d
  local function tick()
    left = left - 1
    if left < 0 then
      error("it runs for too long", 0)
    end
  end
  local files, loaded = {}, { cjson = cjson }
  local function require(name)
    if loaded[name] == nil then
      if not files[name] then
        error("there is no module '" .. tostring(name) .. "' inside of the server", 0)
      end
      local result = files[name](name)
      loaded[name] = result == nil and true or result
    end
    return loaded[name]
  end
]]
local FILE = "files[%q] = function(...)\n%s\nend\n"
local ENDING = [[
  return files.merge().merge, %s, require
end
local cas
function cas(is_asking)
%s
end
return cas(false)]]

-- Where it stands in lua/cas.lua that a commit carries nothing. lua/cas_merge.lua is set there.
local PLACE = "local carried = nil\n"

local function joined(cas, cas_merge)
  local first, last = cas:find(PLACE, 1, true)
  return cas:sub(1, first - 1) .. "local carried\n" .. cas_merge .. cas:sub(last + 1)
end

local function without_first_line(text)
  return (text:gsub("^#[^\n]*", ""))
end

-- Of the text of a merge: the modules that it needs, by name.
local function modules_of(text)
  local modules = { [NUMBER] = module_text(NUMBER) }
  add_modules(text, modules)
  return modules
end

-- The script of a merge; cas, cas_merge: the texts of these files.
local function compose(merge, cas, cas_merge)
  local modules = merge.modules
  local names, pieces = {}, { BEGINNING:format(MOST_TICKS) }
  for name, module in pairs(modules) do
    names[#names + 1] = module and name or nil
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local module = without_first_line(modules[name])
    pieces[#pieces + 1] = FILE:format(name, name:find("^vlock%.") and module or guarded(module))
  end
  pieces[#pieces + 1] = FILE:format("merge", guarded(without_first_line(merge.text)))
  pieces[#pieces + 1] = ENDING:format(merge.parameters, joined(cas, cas_merge))
  return table.concat(pieces)
end

-- ---- what a plan has of it

local known = cache.new(64) -- by parameters and text

--- The merge of a part that is to be done at the server: part.name, part.text (of its file), part.p
-- (its parameters).
function server_merge.new(part)
  local parameters = literal(part.p)
  local name = ("%s\0%s\0%s"):format(part.name, parameters, part.text)
  local merge = known:get(name)
  if not merge then
    merge = setmetatable({ name = part.name, text = part.text, parameters = parameters,
      modules = modules_of(part.text) }, Merge)
    merge.needs_base = looks_at_base(part.text, merge.modules)
    if not parameters then
      merge:refuse("its parameters cannot be written into a script")
    end
    known:put(name, merge)
  end
  return merge
end

--- The text of its script, which is put together of these two files.
function Merge:source(cas, cas_merge)
  self.composed = self.composed or compose(self, cas, cas_merge)
  return self.composed
end

--- Says that it was done here, and why. The same is not said again and again.
function Merge:say(reason)
  hook.note(("merge '%s' is done on the host, not at the server: "):format(self.name), reason)
end

--- The same, for good.
function Merge:refuse(reason)
  self.is_refused = true
  self:say(reason)
end

--- What of an update goes to the server with its merge: two words behind those of lua/cas.lua.
function Merge:words(base)
  if not self.needs_base then
    return "", "LEFT"
  elseif base.is_present then
    return base.value, "HELD"
  end
  return "", "ABSENT"
end

--- The merge of a plan (see vlock.cell.client) that is done at the server; nil: it is done here.
function server_merge.of(plan)
  local part = plan.policy.server_merge
  if not part then
    return nil
  end
  local merge = server_merge.new(part)
  if not plan.store.merges then
    merge:say(("the store '%s' cannot"):format(plan.store_name))
    return nil
  elseif plan.codec.name ~= "string" then
    merge:say(("the codec '%s' is not known there"):format(plan.codec.name))
    return nil
  end
  return merge
end

return server_merge
