---@meta vlock
-- Definitions for editors (LuaCATS): `vlock`. Nothing of this runs.

---@alias vlock.time number | string seconds, or a text like "2ms"

---@class vlock.options
---@field retry? vlock.retry
---@field backoff? vlock.backoff
---@field merge? vlock.merge
---@field policy? string | vlock.policy | vlock.instance a whole one, instead of these three
---@field codec? "string" | "json"
---@field store? string | vlock.store
---@field expire? vlock.time lifetime of the version record, whole seconds
---@field ttl? vlock.time lifetime of the value
---@field deadline? vlock.time of the update
---@field receipts? vlock.time for which a write can be sent again
---@field read_from? "primary"|"replica" what an update begins with, and get returns
---@field version_key? string
---@field combine? boolean

---What became of an update that did not commit. It prints as a sentence.
---@class vlock.outcome
---@field outcome "conflict" | "gave_up" | "unknown" | "history_lost"
---@field reason? string
---@field attempts? integer
---@field theirs? vlock.state
---@field token? string of the attempt whose outcome is unknown
---@field value? any what stands there, after a conflict
---@field version? integer
---@field stamp? string

---@class vlock.state
---@field value any nil: absent
---@field version integer

---@class vlock.task
local task = {}

---Waits for its end; returns its results or raises its error.
---@return any ...
function task:join() end

---Ends it where it waits.
function task:cancel() end

---@class vlocklib
---@field DELETE table what an update function returns to delete the value
vlock = {}

---@param key string
---@param opts? vlock.options
---@return any value nil: absent
---@return integer version 0: never written
---@return string stamp
function vlock.get(key, opts) end

---Reads, computes, writes, and tries again as the policy says.
---@param key string
---@param fn fun(value: any, version: integer): any the new value; nil: leave it; vlock.DELETE
---@param opts? vlock.options
---@return any value nil: it did not commit
---@return integer | vlock.outcome version
function vlock.update(key, fn, opts) end

---One attempt; the caller decides.
---@param key string
---@param value any nil deletes
---@param expected integer | string the version or the stamp that was read
---@param opts? vlock.options
---@return integer? version nil: it did not commit
---@return string | vlock.outcome stamp
function vlock.compare_and_set(key, value, expected, opts) end

---@param key string
---@param opts? vlock.options
---@return nil
---@return integer | vlock.outcome version
function vlock.delete(key, opts) end

---@class vlock.instance
---@field retry fun(c: vlock.conflict): boolean, string?
---@field backoff fun(c: vlock.conflict): number
---@field merge fun(c: vlock.conflict): any
---@field describe fun(): table

---An instance of a policy, for loops of your own.
---@param spec string | vlock.policy
---@return vlock.instance
function vlock.policy(spec) end

---Several retry parts as one: goes on while all of them do.
---@param parts vlock.retry[]
---@return vlock.retry
function vlock.all(parts) end

---Goes on while one of them does.
---@param parts vlock.retry[]
---@return vlock.retry
function vlock.any(parts) end

---Runs a function as a task beside this one.
---@param fn function
---@param ... any
---@return vlock.task
function vlock.spawn(fn, ...) end

---In a program of stock Lua, where tasks can be spawned; in a script the same as fn(...).
---@param fn function
---@param ... any
---@return any ...
function vlock.run(fn, ...) end

---@param seconds number
function vlock.sleep(seconds) end

---@return number seconds on a clock that never goes back
function vlock.now() end

---@return number uniform in [0,1), from the stream that --seed starts
function vlock.random() end
