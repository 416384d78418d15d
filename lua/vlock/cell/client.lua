-- A client: what one process knows of the cells that it updates, and the four things it does with
-- them. Scripts have one, behind the global `vlock`.

local attempt = require "vlock.cell.attempt"
local cache = require "vlock.cell.cache"
local cells = require "vlock.cell.cell"
local options = require "vlock.cell.call_options"
local codecs = require "vlock.cell.codec"
local combine = require "vlock.cell.combine"
local core = require "vlock.core"
local misuse = require "vlock.script.misuse"
local outcome = require "vlock.cell.outcome"
local one_plan = require "vlock.cell.plan"
local plans = require "vlock.cell.plans"
local sessions = require "vlock.cell.session"
local states = require "vlock.cell.state"
local update = require "vlock.cell.update"

local error_text = require "vlock.text.error_text"

local CELL_LIMIT = 1024 -- cells of one options table
-- Seconds, of compare_and_set's version record where no `expire` is given.
local ARTICLE_LIFETIME = 100

local VALUE_LOST = "it is committed, but the value that the server's merge made is not known " ..
  "any more"

local Client = {}
Client.__index = Client

--- opts: policies (a function from the options of an update to a policy's instance), stores (a
-- function from a store's name to the store), and those of vlock.cell.session.
local function new(opts)
  return setmetatable({
    session = sessions.new(opts),
    policies = opts.policies,
    stores = opts.stores,
    plans = plans.new(),
    combiner = nil, -- of vlock.cell.combine: made at its first use
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

-- Most updates have the default options alone.
function Client:known_plan(opts)
  if opts == NO_OPTIONS then
    return self.default_plan
  end
  return self.plans:get(opts)
end

function Client:keep_plan(opts, content, plan)
  if opts == NO_OPTIONS then
    self.default_plan = plan
    return
  end
  self.plans:put(opts, content, plan)
end

--- Policies that options name are loaded again where they are written down anew: their files may
-- have changed.
function Client:forget_plans()
  self.plans:forget_contents()
end

-- What an options table means.
function Client:plan(key, opts)
  opts = opts or NO_OPTIONS
  if type(key) ~= "string" or key == "" then
    misuse("a key must be a text that is not empty, not %s", key == "" and "an empty one"
      or type(key))
  end
  local plan, content = self:known_plan(opts)
  if not plan then
    local read = options.read(opts)
    local store = of_script(self.stores, read.store or "plain")
    plan = of_script(one_plan.new, read, store)
    plan.cells = cache.new(CELL_LIMIT)
    self:keep_plan(opts, content, plan)
  end
  return plan
end

--- The plan of an update, with its policy: a broken one is refused at once, not at the first
-- conflict.
function Client:prepare(key, opts)
  local plan = self:plan(key, opts)
  if not plan.policy then
    one_plan.complete(plan, of_script(self.policies, plan.opts))
  end
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
  local base = states.read(self.session, plan, cell, core.now(), plan.reads_from_replica)
  if not (plan.reads_from_replica and self.session:has_seen_later(cell, plan.store, base)) then
    self.session:note_seen(cell, base.is_present and base.stamp or nil)
  end
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
    base = { stamp = "", version = expected, is_present = is_present, is_bare = true }
  elseif type(expected) == "string" and plan.store.version and plan.store.version(expected) then
    base = { stamp = expected, version = plan.store.version(expected), is_present = is_present
      or self.session:has_seen(cell, expected), is_bare = true }
  else
    misuse("compare_and_set: the third argument is the version that was read, an integer from " ..
      "0, or its stamp, not %s", tostring(expected))
  end
  local text = codecs.for_server(plan.codec, value)
  local started = core.now()
  local result, theirs = attempt.run(self.session, plan, cell, base, text, started, function()
    return started + (plan.deadline or math.huge)
  end)
  if result == "busy" or result == "late" then
    return nil, outcome.new("gave_up", { reason = result == "late" and "its deadline has passed"
      or "the server is too busy to answer: " .. error_text(theirs) })
  end
  if result == "committed" then
    -- Where that fails, for want of memory, it is committed nevertheless.
    pcall(self.session.note_seen, self.session, cell, value ~= nil and theirs.stamp or nil)
    return theirs.version, theirs.stamp
  elseif result == "conflict" then
    theirs = theirs or states.read(self.session, plan, cell, started)
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
-- as it is, or vlock.DELETE. It may be called more than once. Where the server merges, the value is
-- what that made; nil, version, text: it was committed, but its reply was lost, and when it was
-- asked for once more others had written over it.
function Client:update(key, fn, opts)
  if type(fn) ~= "function" then
    misuse("update: the second argument is the update function, not %s", type(fn))
  end
  local value, version, state = self:update_state(key, fn, opts)
  if state and state.is_lost then
    return nil, version, VALUE_LOST
  end
  return value, version
end

--- The same, with the state that was written or left as third result, and true as fourth where it
-- was left.
function Client:update_state(key, fn, opts)
  local plan = self:prepare(key, opts)
  if plan.opts.combine then
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
