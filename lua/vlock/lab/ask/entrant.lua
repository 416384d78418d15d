-- What takes part in a run of the lab: a policy and a store, of which every worker gets instances
-- of its own.
--
-- label         what it is called in tables and pictures: "full_jitter", "mine@watch"
-- new_policy()  an instance of the policy, its files' chunks run anew
-- new_store()   the same for the store, which is one for all where it says that it is stateless;
--               store_name
-- scenario      the table of the policy's own file, or nil; new_update(), where that has an update
--               function: one more of it

local exit = require "vlock.command.exit"
local policy = require "vlock.policy.policy"
local printable = require "vlock.text.printable"
local search = require "vlock.policy.search"
local store = require "vlock.policy.store"

local entrant = {}

local Entrant = {}
Entrant.__index = Entrant

function Entrant.new_policy(self)
  return policy.new(self.spec_of(), self.context)
end

function Entrant.new_store(self)
  if self.store then
    return self.store
  end
  local new = store.new(self.store_name, self.context)
  self.store = new.stateless and new or nil
  return new
end

-- A context like this one with one more parameter overridden.
local function context_with(context, override)
  local all = table.move(context.overrides or {}, 1, #(context.overrides or {}), 1, {})
  all[#all + 1] = override
  return setmetatable({ overrides = all }, { __index = context })
end

--- The same entrant with one more parameter given, a policy.override. Raises where it has none of
-- that name.
function Entrant:with_parameter(override)
  local changed = setmetatable({ context = context_with(self.context, override) },
    { __index = self })
  changed:check()
  return changed
end

--- Raises what is broken, before anything runs.
function Entrant:check()
  self:new_policy()
end

-- spec_of(): the policy's table, or name, anew.
local function new(label, spec_of, context, store_name)
  local self = setmetatable({ label = printable.line(label), spec_of = spec_of, context = context,
    store_name = store_name or "plain" }, Entrant)
  exit.refuse(exit.USAGE, self.new_store, self)
  return self
end

-- The table that a file's chunk returns, each time from a chunk run anew.
local function from_text(label, text, path, folder, store_name)
  local context = search.remember(search.context(folder))
  context.where, context.text = path, text
  local self = new(label, function()
    local own = policy.from_text(text, path)
    own.name = own.name or policy.name_of(path, own)
    return own
  end, context, store_name)
  local own = self.spec_of()
  self.scenario = own.scenario
  if own.scenario and own.scenario.update then
    self.new_update = function()
      return self.spec_of().scenario.update
    end
  end
  return self
end

--- The policy of a script that is run: its text, the path it is called by in messages, the folder
-- it lies in.
function entrant.from_program(text, path, folder, store_name)
  return from_text(path:match("([^/]*)%.lua$") or path, text, path, folder, store_name)
end

-- "full_jitter+counter": several parts by their names.
local function spec_of_names(names, context)
  local spec = {}
  for name in names:gmatch("[^+]+") do
    local kind = policy.kind_of(name, context)
    if spec[kind] then
      exit.usage("%s: both '%s' and '%s' are a %s", names, spec[kind], name, kind)
    end
    spec[kind] = name
  end
  spec.name = names
  return spec
end

-- Whether this may be a policy: names, or a file that is there.
local function is_policy(text)
  return policy.is_known(text, search.context(".")) or text:find("%.lua$")
    and search.read_file(text) ~= nil
end

-- A policy and perhaps a store. A path may hold an @ of its own: the first that has a policy before
-- it parts the two.
local function split_word(word)
  local at = 0
  if is_policy(word) then
    return word
  end
  repeat
    at = word:find("@", at + 1, true)
    if at and is_policy(word:sub(1, at - 1)) then
      return word:sub(1, at - 1), word:sub(at + 1)
    end
  until not at
  local name, store_name = word:match("^(.+)@(.+)$")
  return name or word, store_name
end

--- What a word of `vlockrun compare` means: POLICY or POLICY@STORE. POLICY: a file (it ends in
-- .lua), or a name, or several joined by +: full_jitter+counter. STORE: a name or a file;
-- `default_store` where none is said.
function entrant.from_word(word, default_store)
  local name, store_name = split_word(word)
  if name == "" then
    exit.usage("'%s' names no policy", word)
  elseif name:find("%.lua$") then
    local text, reason = search.read_file(name)
    if not text then
      exit.usage("cannot read the policy: %s", reason)
    end
    local label = name:match("([^/]*)%.lua$")
      .. (store_name and "@" .. (store_name:match("([^/]*)%.lua$") or store_name) or "")
    local self = exit.refuse(exit.SCRIPT, from_text, label, text, name, name:match("^(.*)/[^/]*$")
      or ".", store_name or default_store)
    return self
  end
  local context = search.remember(search.context("."))
  local spec = exit.refuse(exit.USAGE, spec_of_names, name, context)
  return new(word, function()
    local copy = {}
    for kind, part in pairs(spec) do
      copy[kind] = part
    end
    return copy
  end, context, store_name or default_store)
end

--- Gives these entrants the parameters of the command line, as -p has them. With several entrants,
-- one that has no such parameter is left as it is; a parameter that none has is refused. Returns
-- the list, changed, and what was left out, in words.
function entrant.with_parameters(list, texts)
  local left_out = {}
  for _, text in ipairs(texts) do
    local override = exit.refuse(exit.USAGE, policy.parse_override, text)
    local taken, first_reason = 0, nil
    for i, one in ipairs(list) do
      local ok, result = pcall(one.with_parameter, one, override)
      if ok then
        list[i], taken = result, taken + 1
      else
        first_reason = first_reason or tostring(result)
        left_out[#left_out + 1] = ("%s: %s"):format(one.label, tostring(result))
      end
    end
    if taken == 0 then
      exit.usage("%s", first_reason)
    end
  end
  return list, left_out
end

--- Makes the labels differ: a second "mine" becomes "mine (2)", or the next number that nobody else
-- bears.
function entrant.name_apart(list)
  local taken, seen = {}, {}
  for _, one in ipairs(list) do
    taken[one.label] = true
  end
  for _, one in ipairs(list) do
    local label, number = one.label, 1
    while seen[label] or number > 1 and taken[label] do
      number = number + 1
      label = ("%s (%d)"):format(one.label, number)
    end
    one.label, seen[label], taken[label] = label, true, true
  end
end

return entrant
