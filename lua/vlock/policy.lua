-- Policies: what becomes of a conflict. A policy is composed of three parts: retry (go on, or give up?), backoff (how long to wait?),
-- merge (what to write?). Each part is given by name, by a table with parameters, or as a function in place; what is left out is
-- DEFAULTS. An instance belongs to one client: its files' chunks are run for it alone.

local core = require "vlock.core"
local params = require "vlock.params"
local search = require "vlock.search"

local KINDS = { "retry", "backoff", "merge" }
local HOOKS = { "on_conflict", "on_commit", "on_give_up" }
local DEFAULTS = { retry = { "deadline", max = "30s" }, backoff = "full_jitter", merge = "recompute" }
local FIELDS = { "retry", "backoff", "merge", "params", "doc", "name", "scenario", "on_conflict", "on_commit", "on_give_up" }

local policy = { KINDS = KINDS }

local is_field = {}
for _, field in ipairs(FIELDS) do
  is_field[field] = true
end

local function fail(where, ...)
  error(("%s: %s"):format(where, string.format(...)), 0)
end

-- ---- files

--- What the chunk of a policy sees: the globals, and all and any. What it sets becomes global.
function policy.environment()
  return setmetatable({ all = policy.all, any = policy.any }, { __index = _G, __newindex = _G })
end

-- Chunks by path: compiled once, run once for every instance.
local compiled = {}

local function run_chunk(text, path)
  local entry = compiled[path]
  if not entry or entry.text ~= text then
    local chunk, reason = load((text:gsub("^#[^\n]*", "")), "@" .. (path:gsub("^built%-in ", "")), "t", policy.environment())
    if not chunk then
      error(reason, 0)
    end
    entry = { text = text, chunk = chunk }
    compiled[path] = entry
  end
  local result = entry.chunk()
  if type(result) ~= "table" then
    fail(path, "must return a table with retry, backoff or merge, not %s", type(result))
  end
  return result
end

-- A policy's table: its fields are known and of the right type.
local function check_table(spec, where)
  for field, value in pairs(spec) do
    if not is_field[field] then
      local near = core.nearest(tostring(field), FIELDS)
      fail(where, "unknown field '%s'%s; there are: %s", tostring(field),
        near and (", did you mean '%s'?"):format(near) or "", table.concat(FIELDS, ", "))
    end
    local kind = type(value)
    if (field == "retry" or field == "backoff" or field == "merge") and kind ~= "function" and kind ~= "string"
        and kind ~= "table" then
      fail(where, "%s must be a function, a name or a table, not %s", field, kind)
    elseif (field == "params" or field == "scenario") and kind ~= "table" then
      fail(where, "%s must be a table, not %s", field, kind)
    elseif field:find("^on_") and kind ~= "function" then
      fail(where, "%s must be a function, not %s", field, kind)
    end
  end
end

--- Whether a value that a script returned is meant as a policy.
function policy.is_policy(value)
  return type(value) == "table" and (value.retry ~= nil or value.backoff ~= nil or value.merge ~= nil)
end

-- ---- parts

local function line_of(fn)
  local info = debug.getinfo(fn, "S")
  return ("%s:%d"):format(info.short_src:gsub('^%[string "(.*)"%]$', "%1"), info.linedefined)
end

-- What a part returned must make sense: a policy that is broken is refused, never guessed at.
local checks = {}

function checks.retry(fn, p, where)
  return function(c)
    local goes_on, reason = fn(p, c)
    if goes_on == true then
      return true
    elseif goes_on == false then
      return false, reason
    end
    fail(where, "retry must return true, or false and a reason, not %s", tostring(goes_on))
  end
end

function checks.backoff(fn, p, where)
  return function(c)
    local seconds = fn(p, c)
    if type(seconds) == "number" and seconds >= 0 and seconds < 1e9 then
      return seconds
    end
    fail(where, "backoff must return seconds, a number from 0 to 1e9, not %s", tostring(seconds))
  end
end

function checks.merge(fn, p)
  return function(c)
    return fn(p, c)
  end
end

local make_part

-- A part that a file defines.
local function part_from_file(kind, name, given, context)
  local text, path = search.find(context, kind, name)
  if not text then
    search.fail(context, kind, name)
  end
  local file = run_chunk(text, path)
  check_table(file, path)
  local fn = file[kind]
  if type(fn) == "string" or type(fn) == "table" then
    return make_part(kind, fn, context)
  elseif not fn then
    fail(path, "has no function %s, which a file in %s/ must have", kind, kind)
  end
  local p = params.resolve(file.params, given, ("%s '%s' (%s)"):format(kind, name, path))
  return { name = name, params = p, call = checks[kind](fn, p, line_of(fn)), doc = file.doc }
end

-- all {…} and any {…}: made by policy.all and policy.any below.
local function part_from_group(kind, group, context)
  local names, parts, shown = {}, {}, {}
  for i, spec in ipairs(group.list) do
    parts[i] = make_part(kind, spec, context)
    names[i], shown[i] = parts[i].name, parts[i].params
  end
  local stops_at = group.mode == "any"
  return {
    name = ("%s(%s)"):format(group.mode, table.concat(names, ", ")),
    params = shown,
    call = function(c)
      local reason
      for _, part in ipairs(parts) do
        local goes_on, why = part.call(c)
        if goes_on == stops_at then
          return goes_on, why
        end
        reason = reason or why
      end
      return not stops_at, reason
    end,
  }
end

-- One part, of any form.
function make_part(kind, spec, context)
  if type(spec) == "string" then
    return part_from_file(kind, spec, nil, context)
  elseif type(spec) == "function" then
    local where = line_of(spec)
    return { name = "(" .. where .. ")", params = {}, call = checks[kind](spec, {}, where) }
  elseif type(spec) ~= "table" then
    fail(kind, "must be a name, a table or a function, not %s", type(spec))
  elseif spec.mode and spec.list then
    if kind ~= "retry" then
      fail(kind, "all {…} and any {…} are for retry")
    end
    return part_from_group(kind, spec, context)
  elseif type(spec[1]) ~= "string" then
    fail(kind, "a table begins with the name: { \"%s\", … }", kind == "retry" and "attempts" or "fixed")
  end
  local given = {}
  for name, value in pairs(spec) do
    if name ~= 1 then
      given[name] = value
    end
  end
  return part_from_file(kind, spec[1], given, context)
end

local function group(mode)
  return function(list)
    if type(list) ~= "table" or #list == 0 then
      error(mode .. " takes a list of retry policies: " .. mode .. " { \"attempts\", \"deadline\" }", 2)
    end
    return { mode = mode, list = list }
  end
end

--- all {…}: goes on while every one of them does. any {…}: while one of them does.
policy.all, policy.any = group("all"), group("any")

-- ---- composition

-- Overrides: a list of {part, name, value}, from -p. Each changes the parameters of one part.
local function find_part(override, kinds_with, where)
  local kinds = kinds_with(override.name)
  if override.part then
    return override.part
  elseif #kinds == 1 then
    return kinds[1]
  elseif #kinds == 0 then
    fail(where, "no part of the policy has a parameter '%s'", override.name)
  end
  fail(where, "several parts have a parameter '%s': say %s.%s", override.name, table.concat(kinds, "." .. override.name .. " or "),
    override.name)
end

local function declared_params(kind, spec, own, context)
  if type(spec) == "function" then
    return own or {}
  end
  local name = type(spec) == "table" and spec[1] or spec
  if type(name) ~= "string" then
    return {}
  end
  local text, path = search.find(context, kind, name)
  if not text then
    search.fail(context, kind, name)
  end
  return run_chunk(text, path).params or {}
end

local function apply_overrides(parts, own_params, overrides, context)
  local declared, given = {}, {}
  for _, kind in ipairs(KINDS) do
    declared[kind] = declared_params(kind, parts[kind], own_params, context)
    given[kind] = {}
  end
  local function kinds_with(name)
    local kinds = {}
    for _, kind in ipairs(KINDS) do
      if declared[kind][name] ~= nil then
        kinds[#kinds + 1] = kind
      end
    end
    return kinds
  end
  for _, override in ipairs(overrides) do
    local kind = find_part(override, kinds_with, "-p " .. override.text)
    if declared[kind][override.name] == nil then
      params.resolve(declared[kind], { [override.name] = override.value }, "-p " .. override.text)
    end
    given[kind][override.name] = override.value
  end
  return given
end

local function with_params(spec, given)
  if next(given) == nil or type(spec) == "function" then
    return spec
  end
  local changed = type(spec) == "table" and {} or { spec }
  if type(spec) == "table" then
    for name, value in pairs(spec) do
      changed[name] = value
    end
  end
  for name, value in pairs(given) do
    changed[name] = value
  end
  return changed
end

-- A function in the policy's own table takes the table's own `params`.
local function own_part(kind, spec, given)
  local fn = spec[kind]
  local where = line_of(fn)
  local p = params.resolve(spec.params, given, spec.name or where)
  return { name = spec.name or "(" .. where .. ")", params = p, call = checks[kind](fn, p, where), doc = spec.doc }
end

local function instance_of(spec, context)
  local parts = {}
  for _, kind in ipairs(KINDS) do
    parts[kind] = spec[kind] or DEFAULTS[kind]
  end
  local given = apply_overrides(parts, spec.params, context.overrides or {}, context)
  local instance = { doc = spec.doc, scenario = spec.scenario }
  local names, shown = {}, {}
  for _, kind in ipairs(KINDS) do
    local part
    if type(spec[kind]) == "function" then
      part = own_part(kind, spec, given[kind])
    else
      part = make_part(kind, with_params(parts[kind], given[kind]), context)
    end
    instance[kind] = part.call
    names[#names + 1] = part.name
    shown[kind] = next(part.params) and part.params or nil
  end
  for _, hook in ipairs(HOOKS) do
    instance[hook] = spec[hook]
  end
  instance.parts = names
  local described = { name = spec.name or table.concat(names, "+"), parts = {
    retry = names[1], backoff = names[2], merge = names[3] }, params = shown }
  function instance.describe()
    return described
  end
  return instance
end

--- An instance of a policy. spec: a table with any of retry, backoff, merge (names, tables with parameters, functions), as a policy
-- file returns it; or the name of a bundled or own file of any kind. context: from vlock.search; its field `overrides` changes
-- parameters. Raises on anything that is broken: what, where, and the nearest known name.
function policy.new(spec, context)
  if type(spec) == "string" then
    spec = policy.named(spec, context)
  end
  if type(spec) ~= "table" then
    fail("policy", "must be a table or a name, not %s", type(spec))
  end
  check_table(spec, spec.name or "policy")
  return instance_of(spec, context)
end

--- The table for a bare name: the first kind that has a file of it.
function policy.named(name, context)
  for _, kind in ipairs(KINDS) do
    if search.find(context, kind, name) then
      return { [kind] = name }
    end
  end
  local all = {}
  for _, kind in ipairs(KINDS) do
    table.move(search.names(context, kind), 1, 99, #all + 1, all)
  end
  local near = core.nearest(name, all)
  error(("no policy '%s'%s; there are: %s"):format(name, near and (", did you mean '%s'?"):format(near) or "",
    table.concat(all, ", ")), 0)
end

--- Runs the chunk of a policy file anew, for one more client; returns its table. `path` is its name in messages.
function policy.from_text(text, path)
  local spec = run_chunk(text, path)
  check_table(spec, path)
  return spec
end

--- The name of a policy that lies in its kind's folder and defines that kind: full_jitter for lua/backoff/full_jitter.lua. Else nil.
function policy.name_of(path, spec)
  local folder, name = path:match("([^/]*)/([^/]*)%.lua$")
  if folder and (folder == "retry" or folder == "backoff" or folder == "merge") and type(spec[folder]) == "function" then
    return name
  end
end

--- Reads the -p options: "backoff.base=5ms", "cap=1s".
function policy.parse_overrides(texts)
  local overrides = {}
  for i, text in ipairs(texts) do
    local part, name, value = text:match("^(%a+)%.([%w_]+)=(.*)$")
    if not part then
      name, value = text:match("^([%w_]+)=(.*)$")
    end
    if not name then
      fail("-p " .. text, "must be name=value or part.name=value")
    elseif part and part ~= "retry" and part ~= "backoff" and part ~= "merge" then
      fail("-p " .. text, "the part must be retry, backoff or merge")
    end
    overrides[i] = { part = part, name = name, value = value, text = text }
  end
  return overrides
end

return policy
