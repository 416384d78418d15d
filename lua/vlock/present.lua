-- What belongs to the engine as a whole: its one client, and where its scripts' files are looked for.

local clients = require "vlock.client"
local misuse = require "vlock.misuse"
local search = require "vlock.search"

local present = {}

local context, client -- made at first use

--- Where files are looked for first.
function present.set_script_folder(folder)
  context = search.context(folder)
  context.chunks = {} -- one client: a policy file's chunk, and what it keeps, is the same for all updates
end

local function present_context()
  if not context then
    present.set_script_folder(".") -- a program's: where it runs
  end
  return context
end

--- From here on a file that was found is not looked for again: for runs in which thousands of clients ask for the same.
function present.look_once()
  search.remember(present_context())
end

--- The text of a script for the server, by its name. Raises where there is none.
function present.script_source(name)
  local text = search.text(present_context(), name .. ".lua")
  return text or misuse("no script '%s': there is no %s.lua in %s, and none is built in", name, name,
    table.concat(present_context().folders, ", "))
end

--- An instance of a policy.
function present.policy(spec)
  return require("vlock.policy").new(spec, present_context())
end

local function policy_of(opts)
  return present.policy(opts.policy or { retry = opts.retry, backoff = opts.backoff, merge = opts.merge })
end

local function store_of(name)
  return require("vlock.store").new(name, present_context())
end

--- The engine's client.
function present.client()
  client = client or clients.new { policies = policy_of, stores = store_of }
  return client
end

return present
