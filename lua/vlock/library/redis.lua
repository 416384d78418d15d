---@meta redis
-- Definitions for editors (LuaCATS, https://luals.github.io/wiki/annotations/): `redis` and what
-- scripts find beside it. Nothing of this runs.

---The keys of a script, and its arguments: what stands before and behind the lone comma.
---@type string[]
KEYS = {}
---@type string[]
ARGV = {}

---An error reply. It prints as its text.
---@class redis.error
---@field err string

---@class redis.status
---@field ok string

---@alias redis.reply string | integer | boolean | nil | table | redis.error | redis.status

---@class redislib
---@field LOG_DEBUG integer
---@field LOG_VERBOSE integer
---@field LOG_NOTICE integer
---@field LOG_WARNING integer
---@field REDIS_VERSION string
---@field REDIS_VERSION_NUM integer
redis = {}

---Sends a command and waits for its reply; an error reply is raised.
---@param command string
---@param ... string | number
---@return redis.reply
function redis.call(command, ...) end

---The same; an error reply is returned, as a table with `err`.
---@param command string
---@param ... string | number
---@return redis.reply
function redis.pcall(command, ...) end

---Several commands in one round trip.
---@param commands (string | number)[][]
---@return redis.reply[] replies in their order; an error reply is a table with `err`
function redis.pipeline(commands) end

---A script for the server: its name (a file, "cas" for cas.lua) or its source.
---@param name_or_source string
---@return fun(keys: string[], args?: (string | number)[]): redis.reply
function redis.script(name_or_source) end

---A connection of your own, for MULTI, WATCH, BLPOP and their like.
---@param url? string default: the server that redis.call talks to
---@return redis.connection
function redis.connect(url) end

---The URL of the private server, which is started where it does not run yet.
---@return string
function redis.private_server() end

---@param text string
---@return redis.error
function redis.error_reply(text) end

---@param text string
---@return redis.status
function redis.status_reply(text) end

---@param text string
---@return string hex 40 hexadecimal digits
function redis.sha1hex(text) end

---@param level integer redis.LOG_WARNING and the like
---@param ... string
function redis.log(level, ...) end

---@param protocol 2 | 3
function redis.setresp(protocol) end

---Whether the present user may run this command.
---@param command string
---@param ... string
---@return boolean
function redis.acl_check_cmd(command, ...) end

---@class redis.connection
local connection = {}

---@param command string
---@param ... string | number
---@return redis.reply
function connection:call(command, ...) end

---@param command string
---@param ... string | number
---@return redis.reply
function connection:pcall(command, ...) end

function connection:close() end

---@class cjsonlib
---@field null lightuserdata
cjson = {}

---@param value any
---@return string
function cjson.encode(value) end

---@param text string
---@return any
function cjson.decode(text) end
