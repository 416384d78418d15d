-- A client: what one process knows of the cells that it updates, and the four things it does with
-- them. Scripts have one, behind the global `vlock`; in the lab every worker has its own.

local attempt = require "vlock.cell.attempt"
local cache = require "vlock.cell.cache"
local cells = require "vlock.cell.cell"
local options = require "vlock.cell.call_options"
local codecs = require "vlock.cell.codec"
local combine = require "vlock.cell.combine"
local core = require "vlock.core"
local misuse = require "vlock.script.misuse"
local outcome = require "vlock.cell.outcome"
local sessions = require "vlock.cell.session"
local states = require "vlock.cell.state"
local update = require "vlock.cell.update"

local error_text = require "vlock.text.error_text"

local CELL_LIMIT = 1024 -- cells of one options table
-- Seconds, of compare_and_set's version record where no `expire` is given.
local ARTICLE_LIFETIME = 100

local Client = {}
Client.__index = Client

--- opts: policies (a function from the options of an update to a policy's instance), stores (a
-- function from a store's name to the store), and those of vlock.cell.session; combiner (of
-- vlock.cell.combine, with whose other users this client's updates become common commits where
-- they ask for it; by default one of its own), combines (whether they all ask for it).
local function new(opts)
  return setmetatable({
    session = sessions.new(opts),
    policies = opts.policies,
    stores = opts.stores,
    combiner = opts.combiner, -- nil: one is made at its first use
    combines = opts.combines,
  }, Client)
end

local NO_OPTIONS = {}

-- f(…), of which a refusal is what the script did wrong.
local function of_script(f, ...)
  local ok, result = pcall(f, ...)
  if ok then
    return result
  elseif type(result) ~= "string" then
    error(result, 0)
  end
  misuse("%s", result)
end

-- Plans by options table. Thousands of workers of the lab have the default options alone, and need
-- no weak table each.
function Client:known_plan(opts)
  if opts == NO_OPTIONS then
    return self.default_plan
  end
  return self.plans and self.plans[opts]
end

function Client:keep_plan(opts, plan)
  if opts == NO_OPTIONS then
    self.default_plan = plan
    return
  end
  self.plans = self.plans or setmetatable({}, { __mode = "k" })
  self.plans[opts] = plan
end

-- What an options table means, worked out once for every table.
function Client:plan(key, opts)
  opts = opts or NO_OPTIONS
  if type(key) ~= "string" or key == "" then
    misuse("a key must be a text that is not empty, not %s", key == "" and "an empty one"
      or type(key))
  end
  local plan = self:known_plan(opts)
  if not plan then
    local read = options.read(opts)
    plan = {
      store = of_script(self.stores, read.store or "plain"),
      store_name = tostring(read.store or "plain"),
      codec = of_script(codecs.find, read.codec or "string"),
      compute = update.compute,
      deadline = read.deadline,
      opts = read,
      cells = cache.new(CELL_LIMIT),
    }
    self:keep_plan(opts, plan)
  end
  return plan
end

--- The plan of an update, with its policy: a broken one is refused at once, not at the first
-- conflict.
function Client:prepare(key, opts)
  local plan = self:plan(key, opts)
  plan.policy = plan.policy or of_script(self.policies, plan.opts)
  return plan
end

-- The cell of a key under these options; the last ones are kept.
local function cell_of(plan, key)
  local cell = plan.cells:get(key)
  if not cell then
    cell = cells.new(key, plan.opts)
    plan.cells:put(key, cell)
  end
  return cell
end

--- client:get(key, opts) -> value (nil: absent), version (0: never written), stamp. One atomic
-- read.
function Client:get(key, opts)
  local plan = self:plan(key, opts)
  local cell = cell_of(plan, key)
  local base = states.read(plan, cell)
  self.session:note_seen(cell, base.is_present and base.stamp or nil)
  return plan.codec.decode(base.value), base.version, base.stamp
end

--- client:compare_and_set(key, value, version or stamp, opts) -> version, stamp; or nil and a
-- conflict: an outcome with version, value and stamp as they stand now. The article's function: one
-- attempt, and the caller decides. A bare number checks the number only, a stamp (from get or an
-- earlier commit) also tells a recreated record from the one that was read. value nil deletes.
-- expire is 100 s unless given. is_present: that what was read had a value, where the caller knows;
-- one that is over by now is another state.
function Client:compare_and_set(key, value, expected, opts, is_present)
  local plan = self:plan(key, opts)
  local cell = cells.new(key, plan.opts) -- one of its own: its lifetime is another one
  cell.expire = cell.expire or ARTICLE_LIFETIME
  local base
  if math.type(expected) == "integer" and expected >= 0 then
    base = { stamp = "", version = expected, is_present = is_present }
  elseif type(expected) == "string" and plan.store.version and plan.store.version(expected) then
    base = { stamp = expected, version = plan.store.version(expected), is_present = is_present
      or self.session:has_seen(cell, expected) }
  else
    misuse("compare_and_set: the third argument is the version that was read, an integer from " ..
      "0, or its stamp, not %s", tostring(expected))
  end
  local text = codecs.for_server(plan.codec, value)
  local started = core.now()
  local result, theirs = attempt.run(self.session, plan, cell, base, text, function()
    return started + (plan.deadline or math.huge)
  end)
  if result == "busy" then
    return nil, outcome.new("gave_up",
      { reason = "the server is too busy to answer: " .. error_text(theirs) })
  end
  if result == "committed" then
    self.session:note_seen(cell, value ~= nil and theirs.stamp or nil)
    return theirs.version, theirs.stamp
  elseif result == "conflict" then
    theirs = theirs or states.read(plan, cell)
    self.session:note_seen(cell, theirs.is_present and theirs.stamp or nil)
    return nil, outcome.new("conflict", {
      version = theirs.version,
      value = plan.codec.decode(theirs.value),
      stamp = theirs.stamp,
    })
  end
  return nil, theirs
end

--- client:update(key, fn, opts) -> value, version; or nil and an outcome (gave_up, unknown).
-- fn(value, version) gets nil where the cell is absent and returns the new value, nil to leave it
-- as it is, or vlock.DELETE. It may be called more than once.
function Client:update(key, fn, opts)
  if type(fn) ~= "function" then
    misuse("update: the second argument is the update function, not %s", type(fn))
  end
  local value, version = self:update_state(key, fn, opts)
  return value, version
end

--- The same, with the state that was written or left as third result, and true as fourth where it
-- was left.
function Client:update_state(key, fn, opts)
  local plan = self:prepare(key, opts)
  if plan.opts.combine or self.combines then
    self.combiner = self.combiner or combine.new()
    return self.combiner:update(self.session, plan, cell_of(plan, key), fn)
  end
  return update.run(self.session, plan, cell_of(plan, key), fn)
end

--- client:delete(key, opts) -> nil, version; or nil and an outcome. The version record stays and
-- moves on.
function Client:delete(key, opts)
  return self:update(key, function()
    return update.DELETE
  end, opts)
end

return { new = new }
