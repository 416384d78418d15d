-- What belongs to the engine as a whole: its one client, and where its scripts' files are looked
-- for.

local clients = require "vlock.cell.client"
local misuse = require "vlock.script.misuse"
local search = require "vlock.policy.search"

local current = {}

local context, client -- made at first use

--- Where files are looked for first.
function current.set_script_folder(folder)
  context = search.context(folder)
  -- One client: a policy file's chunk, and what it keeps, is the same for all updates.
  context.chunks = {}
end

local function present_context()
  if not context then
    current.set_script_folder(".") -- a program's: where it runs
  end
  return context
end

--- From here on a file that was found is not looked for again: for runs in which thousands of
-- clients ask for the same.
function current.look_once()
  search.remember(present_context())
end

--- The text of a script for the server, by its name. Raises where there is none.
function current.script_source(name)
  local text = search.text(present_context(), name .. ".lua")
  return text or misuse("no script '%s': there is no %s.lua in %s, and none is built in", name,
    name,
    table.concat(present_context().folders, ", "))
end

--- An instance of a policy.
function current.policy(spec)
  return require("vlock.policy.policy").new(spec, present_context())
end

local function policy_of(opts)
  return current.policy(opts.policy or { retry = opts.retry, backoff = opts.backoff,
    merge = opts.merge })
end

local function store_of(name)
  return require("vlock.policy.store").new(name, present_context())
end

--- The engine's client.
function current.client()
  client = client or clients.new { policies = policy_of, stores = store_of }
  return client
end

return current
