-- One part of a policy: its retry, its backoff or its merge. It is given by name (a file of that
-- kind), by a table with parameters, as a function in place, or as a group of retries. A part is
-- found first and bound later, so that -p can change its parameters in between. A merge that is
-- found by name has one parameter more than its file declares, `at`: where it is done.
--
-- Of a part: name; doc; slots, the functions behind it with their parameters; members and mode
-- ("all", "any"), of a group only. Of a slot: kind, name, fn, on_success, declared (parameters),
-- given, where (begins the messages about them), prefix (of their names in a group: "attempts."),
-- source (the text of its file), text (the same, of a merge); when it is bound: p, their values,
-- trips, those in round trips, and at, of a merge.

local chunk = require "vlock.policy.chunk"
local environment = require "vlock.script.environment"
local files = require "vlock.files"
local did_you_mean = require "vlock.text.did_you_mean"
local params = require "vlock.policy.params"
local located = require("vlock.policy.source_line").located
local search = require "vlock.policy.search"
local DELETE = require("vlock.cell.update").DELETE

local part = { KINDS = { "retry", "backoff", "merge" } }

--- The fields of a policy's table.
part.FIELDS = { "retry", "backoff", "merge", "params", "doc", "name", "scenario", "on_conflict",
  "on_commit", "on_give_up", "on_success" }

local FIELDS = part.FIELDS

-- What each field of a policy's table may hold, and how that is said.
local part_types = { ["function"] = true, string = true, table = true,
  said = "a function, a name or a table" }
local field_types = {
  retry = part_types, backoff = part_types, merge = part_types,
  params = { table = true, said = "a table" }, scenario = { table = true, said = "a table" },
  doc = { string = true, said = "a text" }, name = { string = true, said = "a text" },
  on_conflict = { ["function"] = true, said = "a function" }, on_commit = { ["function"] = true,
    said = "a function" },
  on_give_up = { ["function"] = true, said = "a function" }, on_success = { ["function"] = true,
    said = "a function" },
}

local function fail(where, ...)
  error(("%s: %s"):format(where, string.format(...)), 0)
end

part.fail = fail

-- ---- files

-- What the chunk of a policy sees beside the names that we see.
local function more_names()
  return { all = part.all, any = part.any }
end

--- What it sees in all, where it is no file of ours. What it sets becomes one of the names.
function part.environment()
  return environment.chunk_names(_ENV, more_names())
end

--- Refuses a policy's table that has unknown fields, or fields of a wrong type.
function part.check_table(spec, where)
  for field, value in pairs(spec) do
    local types = field_types[field]
    if not types then
      fail(where, "unknown field '%s'%s; there are: %s", tostring(field),
        did_you_mean(field, FIELDS), table.concat(FIELDS, ", "))
    elseif not types[type(value)] then
      fail(where, "%s must be %s, not %s", field, types.said, type(value))
    end
  end
  local takes_params = type(spec.retry) == "function" or type(spec.backoff) == "function"
    or type(spec.merge) == "function"
  if spec.params and next(spec.params) ~= nil and not takes_params then
    fail(where, "declares params, but no function of its own that would take them")
  end
end

-- Whether each field of a table is of the same type in another one.
local function has_types_of(one, other)
  for field, value in next, one do
    if type(other[field]) ~= type(value) then
      return false
    end
  end
  return true
end

-- Whether a table has the fields, and no others, of one that was found right before.
local function is_like(result, right)
  return has_types_of(result, right) and has_types_of(right, result)
end

local found_right = setmetatable({}, { __mode = "k" }) -- by chunk: a table that it returned

--- Runs a policy file's chunk anew; returns its table, checked. `path` is its name in messages.
function part.table_of(text, path)
  local code = chunk.compile(text, path, more_names())
  local result = code()
  if type(result) ~= "table" then
    fail(path, "must return a table with retry, backoff or merge, not %s", type(result))
  elseif found_right[code] and is_like(result, found_right[code]) then
    return result
  end
  local ok, reason = pcall(part.check_table, result, path)
  if not ok then
    error(located(reason, path, text), 0)
  end
  found_right[code] = result
  return result
end

--- The same; where `chunks` is a table, each chunk is run once and its result kept there.
function part.table_in(text, path, chunks)
  if not chunks then
    return part.table_of(text, path)
  end
  if not chunks[path] or chunks[path].text ~= text then
    chunks[path] = { text = text, result = part.table_of(text, path) }
  end
  return chunks[path].result
end

-- The table of KIND/NAME.lua, its path and its text.
local function find_file(kind, name, context)
  local text, path = search.find(context, kind, name)
  if not text then
    search.fail(context, kind, name)
  end
  return part.table_in(text, path, context.chunks), path, text
end

local PLACES = { host = true, server = true }

-- What a file declares, and where its merge is done: see vlock.cell.server_merge.
local function with_place(declared, path)
  if declared and declared.at ~= nil then
    fail(path, "declares a parameter 'at': of a merge that is where it is done, \"host\" or " ..
      "\"server\"; give it another name")
  end
  local all = { at = { default = "host", check = function(value)
    return not PLACES[value] and "must be \"host\" or \"server\"" or nil
  end } }
  for name, declared_as in pairs(declared or {}) do
    all[name] = declared_as
  end
  return all
end

--- Where a function stands: file:line.
function part.place_of(fn)
  local info = debug.getinfo(fn, "S")
  return ("%s:%d"):format(info.short_src:gsub('^%[string "(.*)"%]$', "%1"), info.linedefined)
end

-- ---- what functions return

local checks = {}

function checks.retry(fn, p)
  return function(c)
    local goes_on, more, take = fn(p, c)
    if goes_on == true then
      return true, tonumber(more), take
    elseif goes_on == false then
      return false, more
    end
    fail(part.place_of(fn), "retry must return true, or false and a reason, not %s",
      tostring(goes_on))
  end
end

function checks.backoff(fn, p)
  return function(c)
    local seconds = fn(p, c)
    if type(seconds) == "number" and seconds >= 0 and seconds < 1e9 then
      return seconds
    end
    fail(part.place_of(fn), "backoff must return seconds, a number from 0 to 1e9, not %s",
      tostring(seconds))
  end
end

-- What no codec can write.
local never_a_value = { ["function"] = true, thread = true }

function checks.merge(fn, p)
  return function(c)
    local merged = fn(p, c)
    local kind = type(merged)
    if kind == "string" or kind == "nil" or kind == "number" or merged == DELETE then
      return merged
    elseif never_a_value[kind] or c.codec ~= "json"
      and (kind == "boolean" or c.codec == "string" and kind == "table") then
      fail(part.place_of(fn),
        "merge must return the value to write, or nil to call the update function again, not " ..
        "%s", tostring(merged))
    end
    return merged
  end
end

-- ---- finding

local function new_slot(kind, fn, slot)
  slot.kind, slot.fn, slot.prefix = kind, fn, ""
  slot.declared, slot.given, slot.where = slot.declared or {}, slot.given or {}, slot.where
    or part.place_of(fn)
  return slot
end

-- Parameters that a table gives to a part which is named in another file: over those which that
-- file gives.
local function with_given(found, given, where)
  if next(given) == nil then
    return found
  elseif found.members then
    fail(where,
      "takes no parameters: it is a group; name its members' with -p, or compose them in place")
  end
  local slot = found.slots[1]
  slot.where = where
  for name, value in pairs(given) do
    slot.given[name] = value
  end
  return found
end

local find

local function from_file(kind, name, given, context, trail)
  local file, path, text = find_file(kind, name, context)
  local where = ("%s '%s' (%s)"):format(kind, name, path)
  local fn = file[kind]
  if not fn then
    fail(path, "has no function %s, which a file in %s/ must have", kind, kind)
  elseif type(fn) == "function" then
    local slot = new_slot(kind, fn, {
      name = name, given = given, where = where,
      declared = kind == "merge" and with_place(file.params, path) or file.params,
      source = text, text = kind == "merge" and text or nil,
      on_success = kind == "retry" and file.on_success or nil,
    })
    return { name = name, doc = file.doc, slots = { slot } }
  elseif trail[path] then
    fail(path, "its %s is named in a circle", kind)
  end
  trail[path] = true
  local found = with_given(find(kind, fn, context, trail), given, where)
  trail[path] = nil
  found.name, found.doc = name, file.doc or found.doc
  if not found.members then
    found.slots[1].name = name
  end
  return found
end

local function from_group(kind, group, context, trail)
  local names, members, slots, taken = {}, {}, {}, {}
  if trail[group] then
    fail(kind, "%s {…} holds itself", group.mode)
  end
  trail[group] = true
  for i, spec in ipairs(group.list) do
    members[i] = find(kind, spec, context, trail)
    names[i] = members[i].name
    for _, slot in ipairs(members[i].slots) do
      slots[#slots + 1] = slot
      taken[slot.name] = (taken[slot.name] or 0) + 1
      slot.prefix = ("%s%s."):format(slot.name, taken[slot.name] > 1 and taken[slot.name] or "")
    end
  end
  trail[group] = nil
  return { name = ("%s(%s)"):format(group.mode, table.concat(names, ", ")), mode = group.mode,
    members = members, slots = slots }
end

local function split(spec)
  local given = {}
  for name, value in pairs(spec) do
    if name ~= 1 then
      given[name] = value
    end
  end
  return spec[1], given
end

local group_type = {}

function find(kind, spec, context, trail)
  if type(spec) == "string" then
    return from_file(kind, spec, {}, context, trail)
  elseif type(spec) == "function" then
    local name = "(" .. part.place_of(spec) .. ")"
    return { name = name, slots = { new_slot(kind, spec, { name = name }) } }
  elseif type(spec) ~= "table" then
    fail(kind, "must be a name, a table or a function, not %s", type(spec))
  elseif getmetatable(spec) == group_type then
    if kind ~= "retry" then
      fail(kind, "all {…} and any {…} are for retry")
    end
    return from_group(kind, spec, context, trail)
  elseif type(spec[1]) ~= "string" then
    fail(kind, "a table begins with the name: { \"%s\", … }", kind == "retry" and "attempts"
      or "fixed")
  end
  local name, given = split(spec)
  return from_file(kind, name, given, context, trail)
end

--- A part of any form. Raises where it, or anything that it names, is not there or is broken.
function part.find(kind, spec, context)
  return find(kind, spec, context, {})
end

--- A function in the table of a policy, which takes the parameters that the table declares.
function part.own(kind, fn, spec)
  local name = spec.name or "(" .. part.place_of(fn) .. ")"
  return { name = name, doc = spec.doc, slots = { new_slot(kind, fn, {
    name = name, declared = spec.params, where = spec.name, on_success = kind == "retry"
      and spec.on_success or nil,
  }) } }
end

-- ---- groups

local function group(mode)
  return function(list)
    if type(list) ~= "table" or #list == 0 then
      error(mode .. " takes a list of retry policies: " .. mode
        .. " { \"attempts\", \"deadline\" }", 2)
    end
    return setmetatable({ mode = mode, list = list }, group_type)
  end
end

--- all {…}: goes on while every one of them does. any {…}: while one of them does.
part.all, part.any = group("all"), group("any")

-- ---- binding

-- Both functions called, where there are both.
local function both(a, b)
  return a and b and function()
    a()
    b()
  end or a or b
end

-- Goes on while every one of them does, and no longer than the first to end.
local function bind_all(calls)
  return function(c)
    local earliest, takes
    for _, call in ipairs(calls) do
      local goes_on, more, take = call(c)
      if not goes_on then
        return false, more
      end
      earliest = math.min(earliest or math.huge, more or math.huge)
      takes = both(takes, take)
    end
    return true, earliest, takes
  end
end

-- Goes on while one of them does, and as long as the last to end: the first that does so for ever
-- decides.
local function bind_any(calls)
  return function(c)
    local latest, reason, takes
    for _, call in ipairs(calls) do
      local goes_on, more, take = call(c)
      if goes_on and (more or math.huge) > (latest or -1) then
        latest, takes = more or math.huge, take
      elseif not goes_on then
        reason = reason or more
      end
      if latest == math.huge then
        break
      end
    end
    return latest ~= nil, latest or reason, takes
  end
end

-- The same function, whose parameters follow the round trip where they are so many of it.
local function measured(slot, call)
  local p, trips = slot.p, slot.trips
  if slot.at == "server" then
    fail(slot.where, "a merge at the server knows of no round trips: give its durations as seconds")
  end
  return function(c)
    params.measure(p, trips, c.rtt)
    return call(c)
  end
end

--- The function of a part, with its parameters final: it takes the conflict alone and answers for
-- what it returns.
function part.bind(found)
  if found.members then
    local calls = {}
    for i, member in ipairs(found.members) do
      calls[i] = part.bind(member)
    end
    return (found.mode == "any" and bind_any or bind_all)(calls)
  end
  local slot = found.slots[1]
  slot.p, slot.trips = params.resolve(slot.declared, slot.given, slot.where)
  if slot.text then
    slot.at, slot.p.at = slot.p.at, nil
  end
  local call = checks[slot.kind](slot.fn, slot.p)
  return slot.trips and measured(slot, call) or call
end

--- Whether a part is nothing but this one of the built-in files: "retry/forever.lua".
function part.is_built_in(found, file)
  return not found.members and found.slots[1].source == files.built_in(file)
end

--- Of a part that is bound: the functions that hear of every commit, as a list that is added to.
function part.add_listeners(found, list)
  for _, slot in ipairs(found.slots) do
    if slot.on_success then
      list[#list + 1] = function()
        slot.on_success(slot.p)
      end
    end
  end
end

--- Of a merge that is bound and is to be done at the server, what vlock.cell.server_merge takes;
-- else nil.
function part.server_merge(found)
  local slot = found.slots[1]
  return slot.at == "server" and { name = found.name, text = slot.text, p = slot.p } or nil
end

--- Of a part that is bound: its parameters' values by their names, and the same as people write
-- them.
function part.parameters(found)
  local values, texts = {}, {}
  for _, slot in ipairs(found.slots) do
    for name, value in pairs(slot.p) do
      value = slot.trips and slot.trips[name] or value
      values[slot.prefix .. name] = value
      texts[slot.prefix .. name] = params.text(slot.declared[name], value)
    end
    if slot.at == "server" then
      values.at, texts.at = slot.at, slot.at
    end
  end
  return values, texts
end

return part
