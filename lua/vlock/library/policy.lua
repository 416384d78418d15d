---@meta policy
-- Definitions for editors (LuaCATS): policies, stores, scenarios. Nothing of this runs.
-- Above the table that a policy's file returns:
--     ---@type vlock.policy

---What a policy is told of a conflict.
---@class vlock.conflict
---@field key string
---@field attempt integer failed attempts so far: 1 at the first conflict
---@field cause "conflict" | "busy" somebody was faster; the server can do nothing just now
---@field elapsed number seconds since the update began
---@field rtt number seconds that the last attempt took
---@field gap integer versions that others committed since the base was read
---@field base? vlock.state what the attempt was made on
---@field theirs? vlock.state what stands there now
---@field mine any what the attempt wanted to write; nil to delete
---@field worker integer the number of the client
---@field codec "string" | "json"
---@field state table private to this update
---@field random fun(): number in [0,1)
---@field now fun(): number seconds on a clock that never goes back

---@alias vlock.retry_more string | number why it gives up, or until when it goes on
---@alias vlock.retry_function
---| fun(p: table, c: vlock.conflict): boolean, vlock.retry_more?, function?
---@alias vlock.backoff_function fun(p: table, c: vlock.conflict): number
---@alias vlock.merge_function fun(p: table, c: vlock.conflict): any
---@alias vlock.retry string | table | vlock.retry_function
---@alias vlock.backoff string | table | vlock.backoff_function
---Of a table, at = "server": it is done there.
---@alias vlock.merge string | table | vlock.merge_function

---@class vlock.policy
---@field retry? vlock.retry go on, or give up? default: { "deadline", max = "30s" }
---@field backoff? vlock.backoff seconds to wait; default: "full_jitter"
---@field merge? vlock.merge what to write over theirs; default: "recompute"
---@field params? table<string, any> the parameters of its functions, with their defaults
---@field doc? string a line about it
---@field name? string
---@field scenario? vlock.scenario
---@field on_conflict? fun(c: vlock.conflict)
---@field on_commit? fun(c: vlock.conflict)
---@field on_give_up? fun(c: vlock.conflict, reason: string)
---@field on_success? fun(p: table) beside a retry function: hears of every commit

---What vlockrun runs, where its options do not say it.
---@class vlock.scenario
---@field workers? number | string
---@field keys? number | string
---@field connections? number | string
---@field dist? string "own", "uniform", "zipf:S"
---@field commits? number | string
---@field per_worker? number | string
---@field duration? vlock.time
---@field think? vlock.time
---@field rate? number | string
---@field value_size? number | string
---@field combine? boolean
---@field update? fun(value: any, worker: integer): any

---@class vlock.cell
---@field key string
---@field version_key string
---@field expire? integer seconds
---@field ttl? integer milliseconds

---@class vlock.base
---@field value? string
---@field is_present boolean
---@field stamp string
---@field version integer

---"committed" and the new stamp; or "conflict", and the value and the stamp that stand there.
---@alias vlock.committed "committed" | "conflict" | "history_lost" | "undecidable"
---@alias vlock.commit_function
---| fun(cell: vlock.cell, base: vlock.base, value?: string, token: string): vlock.committed, ...

---@class vlock.store
---@field doc? string
---@field read fun(cell: vlock.cell): string?, string, (number | false)?
---@field commit vlock.commit_function
---@field version? fun(stamp: string): integer?
---@field made? fun(base: vlock.base, token: string): string?
---@field stateless? boolean
---@field resolve? vlock.commit_function
---@field merges? boolean its commit and resolve take a merge that the server does

---In the files of policies: several retry parts as one.
---@param parts vlock.retry[]
---@return vlock.retry
function all(parts) end

---@param parts vlock.retry[]
---@return vlock.retry
function any(parts) end
