-- Policies: what becomes of a conflict. A policy is composed of three parts: retry (go on, or give
-- up?), backoff (how long to wait?), merge (what to write?). Each part is given by name, by a table
-- with parameters, or as a function in place; what is left out is DEFAULTS. An instance belongs to
-- one client: its files' chunks are run for it alone. (But for vlock.policy.sharing.)

local core = require "vlock.core"
local did_you_mean = require "vlock.text.did_you_mean"
local params = require "vlock.policy.params"
local part = require "vlock.policy.part"
local located = require("vlock.policy.source_line").located
local sharing = require "vlock.policy.sharing"
local search = require "vlock.policy.search"

local KINDS = part.KINDS
local HOOKS = { "on_conflict", "on_commit", "on_give_up" }
local DEFAULTS = { retry = { "deadline", max = "30s" }, backoff = "full_jitter",
  merge = "recompute" }

local policy = { KINDS = KINDS, all = part.all, any = part.any }

local Instance = {} -- the metatable of what policy.new returns

local fail = part.fail

local is_kind = { retry = true, backoff = true, merge = true }

--- Whether a value that a script returned is meant as a policy: a table with a part, or with what
-- is nearly a part's name, which `new` refuses. A list, or what Redis takes for a reply ({ok = …},
-- {map = …}), is none.
function policy.is_meant(value)
  if type(value) ~= "table" or value[1] ~= nil then
    return false
  end
  for field in pairs(value) do
    if is_kind[field] or type(field) == "string" and #field > 3 and core.nearest(field, KINDS) then
      return true
    end
  end
  return false
end

-- ---- overrides

-- Every parameter of a policy's parts: label as -p names it, and its slot.
local function all_parameters(parts)
  local list = {}
  for _, kind in ipairs(KINDS) do
    for _, slot in ipairs(parts[kind].slots) do
      for _, name in ipairs(params.names(slot.declared)) do
        list[#list + 1] = { kind = kind, slot = slot, name = name, inner = slot.prefix .. name,
          label = kind .. "." .. slot.prefix .. name }
      end
    end
  end
  return list
end

local function is_named(parameter, override)
  if override.part and override.part ~= parameter.kind then
    return false
  end
  return parameter.inner == override.name or parameter.name == override.name
end

local function fail_unknown(override, known, where)
  local names, labels = {}, {}
  for _, parameter in ipairs(known) do
    if parameter.kind == override.part then
      names[#names + 1] = parameter.inner
    end
    labels[#labels + 1] = parameter.label
  end
  if override.part then
    params.fail_unknown(override.name, names, where)
  end
  for _, parameter in ipairs(known) do
    names[#names + 1] = parameter.name
  end
  fail(where, "no part of the policy has a parameter '%s'%s; %s", override.name,
    did_you_mean(override.name, names),
    #labels > 0 and "there are: " .. table.concat(labels, ", ") or "it has none")
end

-- Functions in one table share its parameters: they are one parameter, not several.
local function are_one(chosen)
  for _, parameter in ipairs(chosen) do
    if parameter.slot.declared ~= chosen[1].slot.declared then
      return false
    end
  end
  return true
end

local function apply_override(override, known)
  local where = override.where
  local chosen, labels = {}, {}
  for _, parameter in ipairs(known) do
    if is_named(parameter, override) then
      chosen[#chosen + 1] = parameter
      labels[#labels + 1] = parameter.label
    end
  end
  if #chosen == 0 then
    fail_unknown(override, known, where)
  elseif #chosen > 1 and not are_one(chosen) then
    fail(where, "several parts have a parameter '%s': say %s", override.name,
      table.concat(labels, " or "))
  end
  for _, parameter in ipairs(chosen) do
    parameter.slot.given[parameter.name] = override.value
  end
  return chosen[1]
end

local function apply_overrides(overrides, known)
  local alone = {} -- by parameter: the override that is to be its only one of that sort
  for _, override in ipairs(overrides) do
    local parameter = apply_override(override, known)
    if override.is_alone and alone[parameter] then
      error(("%s stands for the same parameter"):format(alone[parameter].where), 0)
    end
    alone[parameter] = override.is_alone and override or alone[parameter]
  end
end

--- A parameter of a policy's parts given another value: name as -p has it ("cap", "backoff.base";
-- "retry.attempts.max" for a member of a group), value a text. where begins the messages about it.
-- is_alone: no other one with this mark may stand for the same parameter.
function policy.override(name, value, where, is_alone)
  local kind, inner = name:match("^([^.]*)%.(.*)$")
  if kind and not is_kind[kind] then
    fail(where, "the part must be retry, backoff or merge")
  end
  return { part = kind, name = inner or name, value = value, where = where, is_alone = is_alone }
end

--- Reads a -p option: "backoff.base=5ms".
function policy.parse_override(text)
  local name, value = text:match("^([%w_.]+)=(.*)$")
  if not name then
    fail("-p " .. text, "must be name=value or part.name=value")
  end
  return policy.override(name, value, "-p " .. text)
end

-- ---- composition

-- "full_jitter (base=1ms, cap=250ms)"
local function part_text(name, texts)
  local pieces = {}
  for parameter, text in pairs(texts) do
    pieces[#pieces + 1] = parameter .. "=" .. text
  end
  table.sort(pieces)
  return #pieces > 0 and ("%s (%s)"):format(name, table.concat(pieces, ", ")) or name
end

-- What is told of a policy: name; parts, their names; params, their parameters' values; texts, both
-- as people read them.
local function description_of(parts, spec)
  local described = { parts = {}, params = {}, texts = {} }
  local names = {}
  for i, kind in ipairs(KINDS) do
    local values, texts = part.parameters(parts[kind])
    for name, value in pairs(values) do
      values[name] = params.shown(value)
    end
    names[i] = parts[kind].name
    described.parts[kind] = names[i]
    described.params[kind] = next(values) and values or nil
    described.texts[kind] = part_text(names[i], texts)
  end
  described.name = spec.name or table.concat(names, "+")
  return described
end

local function instance_of(spec, context)
  local parts = {}
  for _, kind in ipairs(KINDS) do
    local own = spec[kind]
    if type(own) == "function" then
      parts[kind] = part.own(kind, own, spec)
    else
      parts[kind] = part.find(kind, own or context.defaults and context.defaults[kind]
        or DEFAULTS[kind], context)
    end
  end
  if context.overrides then
    apply_overrides(context.overrides, all_parameters(parts))
  end
  local instance = setmetatable({ doc = spec.doc, scenario = spec.scenario }, Instance)
  for _, kind in ipairs(KINDS) do
    instance[kind] = part.bind(parts[kind])
  end
  instance.server_merge = part.server_merge(parts.merge)
  instance.recomputes = part.is_built_in(parts.merge, "merge/recompute.lua")
  instance.never_ends = part.is_built_in(parts.retry, "retry/forever.lua")
  local listeners = {}
  part.add_listeners(parts.retry, listeners)
  instance.listeners = #listeners > 0 and listeners or nil
  local described
  function instance.describe()
    described = described or description_of(parts, spec)
    return described
  end
  function instance.watch_sharing()
    local slots = {}
    for _, kind in ipairs { "retry", "backoff" } do
      table.move(parts[kind].slots, 1, #parts[kind].slots, #slots + 1, slots)
    end
    return sharing.watch(slots)
  end
  for _, hook in ipairs(HOOKS) do
    instance[hook] = spec[hook]
  end
  return instance
end

-- ---- instances

-- The table that a policy file returns, and a context in which its names are looked for beside it.
local function from_file(name, context)
  local text, path = search.file(context, name)
  if not text then
    fail("policy", "%s", path)
  end
  local own = search.beside(context, path)
  own.where, own.text, own.chunks, own.overrides = path, text, context.chunks, context.overrides
  local spec = part.table_in(text, path, context.chunks)
  spec.name = spec.name or policy.name_of(path, spec)
  return spec, own
end

local function new(spec, context)
  local name = spec
  if type(spec) == "table" then
    name = spec[1]
  end
  if type(name) == "string" then
    spec = { [policy.kind_of(name, context)] = spec }
  elseif type(spec) ~= "table" then
    fail("policy", "must be a table or a name, not %s", type(spec))
  end
  part.check_table(spec, context.where or type(spec.name) == "string" and spec.name or "policy")
  return instance_of(spec, context)
end

--- An instance of a policy. spec: a table with any of retry, backoff, merge (names, tables with
-- parameters, functions), as a policy file returns it; a policy's file ("mine.lua"); or the name of
-- a bundled or own file of any kind, alone or in a table with its parameters. An instance is
-- returned as it is. context: from vlock.policy.search; its field `overrides` changes parameters,
-- `defaults` says what a table means that leaves a part out, `where` begins the messages about the
-- table itself, `text` is the source that it stands in, and `chunks`, a table, makes every file's
-- chunk run once for all instances of this context. Raises on anything that is broken: what, where,
-- and the nearest known name.
function policy.new(spec, context)
  if getmetatable(spec) == Instance then
    return spec
  end
  if type(spec) == "string" and spec:find("%.lua$") then
    spec, context = from_file(spec, context)
  end
  local ok, result = pcall(new, spec, context)
  if not ok then
    error(context.text and located(result, context.where, context.text) or result, 0)
  end
  return result
end

--- Whether this word names policies: "full_jitter", or several as in "full_jitter+counter".
function policy.is_known(word, context)
  if not word:find("^[%w_+]+$") then
    return false
  end
  for name in word:gmatch("[^+]+") do
    if not pcall(policy.kind_of, name, context) then
      return false
    end
  end
  return true
end

local function fail_unknown_policy(name, context)
  local known = {}
  for _, kind in ipairs(KINDS) do
    for _, other in ipairs((search.names(context, kind))) do
      known[#known + 1] = other
    end
  end
  error(("no policy '%s'%s; there are: %s"):format(name, did_you_mean(name, known),
    table.concat(known, ", ")), 0)
end

--- The kind that a bare name is of: the first that has a file of it. Raises where none has.
function policy.kind_of(name, context)
  for _, kind in ipairs(KINDS) do
    if search.find(context, kind, name) then
      return kind
    end
  end
  return fail_unknown_policy(name, context)
end

--- Runs the chunk of a policy file anew, for one more client; returns its table. `path` is its name
-- in messages.
policy.from_text = part.table_of

policy.environment = part.environment

--- The name of a policy that lies in its kind's folder and defines that kind: full_jitter for
-- lua/backoff/full_jitter.lua. Else nil.
function policy.name_of(path, spec)
  local folder, name = path:match("([^/]*)/([^/]*)%.lua$")
  if folder and is_kind[folder] and type(spec[folder]) == "function" then
    return name
  end
end

return policy
