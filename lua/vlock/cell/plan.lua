-- What an update does, of which its options tell: its store, codec and policy, and its ways.

local cells = require "vlock.cell.cell"
local codecs = require "vlock.cell.codec"
local server_merge = require "vlock.cell.server_merge"
local update = require "vlock.cell.update"

local plan = {}

--- A plan without a policy, which is enough to read. opts: as vlock.cell.call_options reads them;
-- store: that of this name.
function plan.new(opts, store)
  if opts.read_from == "replica" and not store.reads_from_replica then
    error(("store '%s' reads from the primary only: leave read_from = 'replica' out"):format(
      tostring(opts.store)), 0)
  end
  return {
    store = store,
    store_name = tostring(opts.store or "plain"),
    codec = codecs.find(opts.codec or "string"),
    compute = update.compute,
    deadline = opts.deadline,
    reads_from_replica = opts.read_from == "replica",
    opts = opts,
  }
end

-- Of a store whose commits kept.write can make, where the options ask for nothing that it does not
-- know (see src/lua/kept_write.c): how it does. Else false.
local function undisturbed_of(made)
  local way, opts = made.store.undisturbed, made.opts
  local is_usual = not (made.merge or made.deadline or opts.ttl)
    and (opts.receipts or cells.RECEIPTS) == cells.RECEIPTS
  return is_usual and way and way.commit == made.store.commit and way or false
end

--- Gives it its policy.
function plan.complete(made, policy)
  made.policy = policy
  made.merge = server_merge.of(made)
  made.undisturbed = undisturbed_of(made)
end

return plan
