-- Scripts that must give the same inside Redis and on the host: {name, source, keys, args}. See parity_spec.lua.

local many, keys_many = {}, {}
for i = 1, 5000 do
  many[i] = "v" .. i
  keys_many[i] = "k" .. i
end
local large = ("0123456789abcdef"):rep(65536)
local bytes = {}
for i = 0, 255 do
  bytes[i + 1] = string.char(i)
end
local all_bytes = table.concat(bytes)

return {
  { "integer", "return 5" }, { "negative integer", "return -7" }, { "zero", "return 0" }, { "float is truncated", "return 3.99" },
  { "negative float is truncated", "return -3.99" }, { "tiny float", "return 0.0001" }, { "division", "return 7 / 2" },
  { "whole division", "return 10 / 2" }, { "large integer", "return 9007199254740992" }, { "1e14", "return 1e14" }, { "power", "return 2 ^ 40" },
  { "modulo", "return 7 % 3" }, { "negative modulo", "return -7 % 3" }, { "string", "return 'text'" }, { "empty string", "return ''" },
  { "binary string", "return '\\0\\1\\255'" }, { "string with a line's end", "return 'a\\r\\nb'" }, { "true", "return true" }, { "false", "return false" },
  { "nil", "return nil" }, { "nothing", "" }, { "number as text", "return tostring(5)" }, { "concatenation of numbers", "return 1 .. ''" },
  { "a function is nil", "return function() end" },

  { "array", "return {1, 2, 3}" }, { "mixed array", "return {1, 'a', true, false, 2.5}" }, { "empty array", "return {}" },
  { "array ends at its first nil", "return {1, nil, 3}" }, { "array that begins with nil", "return {nil, 2}" }, { "nested arrays", "return {1, {2, {3, {}}}, 'x'}" },
  { "deeply nested arrays", "return {{{{{1}}}}}" }, { "keys that are no index are left out", "return {1, 2, x = 3}" }, { "a false inside", "return {1, false, 3}" },
  { "metatables are not asked", "return setmetatable({1}, {__index = function() return 9 end})" },
  { "metatables are not asked for ok", "return setmetatable({}, {__index = {ok = 'x'}})" }, { "long array", "local t = {} for i = 1, 1000 do t[i] = i end return t" },

  { "status", "return {ok = 'fine'}" }, { "error", "return {err = 'MY wrong'}" }, { "error before ok", "return {err = 'ERR x', ok = 'y'}" },
  { "status_reply", "return redis.status_reply('good')" }, { "error_reply with a code", "return redis.error_reply('CODE text')" },
  { "error_reply without a code", "return redis.error_reply('text')" }, { "error_reply with a dash", "return redis.error_reply('-CODE text')" },
  { "status with a line's end", "return {ok = 'a\\r\\nb'}" }, { "status inside an array", "return {{ok = 'a'}, 1}" }, { "error inside an array", "return {1, {err = 'ERR a'}}" },
  { "double", "return {double = 3.25}" }, { "whole double", "return {double = 3}" }, { "double 0.125", "return {double = 0.125}" }, { "map", "return {map = {a = 1}}" },
  { "set", "return {set = {a = true}}" }, { "big number", "return {big_number = '123456789012345678901234567890'}" },
  { "verbatim string", "return {verbatim_string = {string = 'text', format = 'txt'}}" }, { "ok that is no text", "return {ok = 5}" }, { "err that is no text", "return {err = {}}" },

  { "KEYS and ARGV", "return {KEYS[1], KEYS[2], ARGV[1], ARGV[2]}", { "key1", "key2" }, { "first", "second" } },
  { "no KEYS", "return {#KEYS, #ARGV, KEYS[1]}" }, { "arguments are texts", "return type(ARGV[1])", {}, { "5" } }, { "an argument as number", "return ARGV[1] + 1", {}, { "5" } },
  { "thousands of arguments", "return {#ARGV, ARGV[5000]}", {}, many }, { "thousands of keys", "return {#KEYS, KEYS[5000]}", keys_many, {} },
  { "a megabyte", "return {#ARGV[1], redis.sha1hex(ARGV[1])}", {}, { large } }, { "a megabyte comes back", "return ARGV[1]", {}, { large } },
  { "all bytes", "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])", { all_bytes }, { all_bytes } },

  { "call: status", "return redis.call('SET', 'k', 'v')" }, { "call: status is a table", "return redis.call('SET', 'k', 'v').ok" }, { "call: bulk", "redis.call('SET', 'k', 'v') return redis.call('GET', 'k')" },
  { "call: null", "return redis.call('GET', 'absent')" }, { "call: null is false", "return redis.call('GET', 'absent') == false" },
  { "call: integer", "return redis.call('INCR', 'n')" }, { "call: integer is a number", "return type(redis.call('INCR', 'n'))" },
  { "call: array with nulls", "redis.call('SET', 'k', 'v') return redis.call('MGET', 'k', 'absent', 'k')" }, { "call: empty array", "return redis.call('LRANGE', 'absent', 0, -1)" },
  { "call: nested array", "redis.call('XADD', 's', '1-1', 'f', 'v') return redis.call('XRANGE', 's', '-', '+')" },
  { "call: numbers as arguments", "redis.call('SET', 'n', 5) redis.call('INCRBY', 'n', 10) return redis.call('GET', 'n')" },
  { "call: a float as argument", "redis.call('SET', 'n', 0.1) return tostring(tonumber(redis.call('GET', 'n')) == 0.1)" }, { "call: 3.0 as argument", "redis.call('SET', 'n', 3.0) return redis.call('GET', 'n')" },
  { "call: a large number as argument", "redis.call('SET', 'n', 1e14) return redis.call('GET', 'n')" }, { "call: 2^53", "redis.call('SET', 'n', 2^53) return redis.call('GET', 'n')" },
  { "call: a huge number as argument", "redis.call('SET', 'n', 1e300) return tostring(tonumber(redis.call('GET', 'n')) == 1e300)" }, { "call: lower case", "return redis.call('set', 'k', 'v')" },
  { "call: unpack", "redis.call('RPUSH', 'l', unpack(ARGV)) return redis.call('LRANGE', 'l', 0, -1)", {}, { "a", "b", "c" } },
  { "call: WRONGTYPE is raised", "redis.call('SET', 'k', 'v') return redis.call('LPUSH', 'k', 'x')" },
  { "call: not an integer", "redis.call('SET', 'k', 'v') return redis.call('INCR', 'k')" },
 { "call: a table as argument", "return redis.call('GET', {})" }, { "call: nil as argument", "return redis.call('SET', 'k', nil)" },
  { "call: a boolean as argument", "return redis.call('SET', 'k', true)" },
  { "pcall: the error is returned", "redis.call('SET', 'k', 'v') return redis.pcall('LPUSH', 'k', 'x')" }, { "pcall: err is its text", "redis.call('SET', 'k', 'v') return redis.pcall('LPUSH', 'k', 'x').err" },
  { "pcall: of what works", "return redis.pcall('SET', 'k', 'v')" }, { "pcall: goes on afterwards", "redis.pcall('NOSUCH') return 'on'" },
  { "Lua's pcall catches it", "redis.call('SET', 'k', 'v') return tostring((pcall(redis.call, 'LPUSH', 'k', 'x')))" },
  { "a table with err is thrown", "error({err = 'MY own'})" },
  { "MULTI is refused", "return redis.pcall('MULTI').err:sub(1, 47)" }, { "SUBSCRIBE is refused", "return redis.pcall('SUBSCRIBE', 'c').err:sub(1, 47)" },

  { "acl_check_cmd", "return {redis.acl_check_cmd('set', 'a', 'b'), redis.acl_check_cmd('get', 'a')}" },
  { "call without words, caught", "local ok, e = pcall(redis.call) return {ok, (tostring(e):match('Please specify at least one argument for this'))}" },
  { "sha1hex without words, caught", "local ok, e = pcall(redis.sha1hex) return {ok, (tostring(e):match('ERR wrong number of arguments'))}" },
  { "acl_check_cmd of nothing, caught", "local ok, e = pcall(redis.acl_check_cmd) return {ok, (tostring(e):match('at least one argument'))}" },
  { "acl_check_cmd of no command, caught", "local ok, e = pcall(redis.acl_check_cmd, 'nosuch') return {ok, (tostring(e):match('ERR Invalid command passed to'))}" },
  { "sha1hex", "return redis.sha1hex('abc')" }, { "sha1hex of nothing", "return redis.sha1hex('')" }, { "log levels", "return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}" },
  { "log", "redis.log(redis.LOG_DEBUG, 'x') return 1" }, { "setresp(2)", "redis.setresp(2) return 1" }, { "version", "return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}" },
  { "unpack", "return {unpack({1, 2, 3})}" }, { "loadstring", "return loadstring('return 1 + 1')()" }, { "table.getn", "return table.getn({1, 2, 3})" }, { "# of a table", "return #{1, 2, 3}" },
  { "string functions", "return {('x'):rep(3), ('abc'):upper(), ('a,b'):find(','), ('abc'):sub(2), ('%d'):format(5)}" },
  { "tostring and tonumber", "return {tostring(12), tonumber('0x10'), tonumber('5') + 1}" }, { "table.concat", "return table.concat({1, 'a', 2}, '-')" },
  { "table.sort", "local t = {3, 1, 2} table.sort(t) return t" }, { "math", "return {math.floor(2.7), math.max(1, 5), math.abs(-3), math.ceil(2.1)}" },
  { "string.gsub", "return (('hello'):gsub('l', 'L'))" }, { "ipairs", "local n = 0 for _, v in ipairs({1, 2, nil, 4}) do n = n + v end return n" },
  { "coroutines", "local f = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) return {f(), f()}" },

  { "cjson.encode of a list", "return cjson.encode({1, 'a', true})" }, { "cjson.encode of an object", "return cjson.encode({a = 1})" }, { "cjson.encode of nothing", "return cjson.encode({})" },
  { "cjson.encode with a hole", "return cjson.encode({1, nil, 3})" }, { "cjson.encode of texts", "return cjson.encode('a\"b\\\\c/d\\n')" }, { "cjson.encode of 0.1", "return cjson.encode(0.1)" },
  { "cjson.encode of null", "return cjson.encode({cjson.null})" }, { "cjson.decode of a list", "return cjson.decode('[1, 2.5, \"x\", [true]]')" },
  { "cjson.decode of an object", "local t = cjson.decode('{\"a\": {\"b\": [1, 2]}}') return t.a.b" }, { "cjson.decode of null", "return cjson.decode('[null]')[1] == cjson.null" },
  { "cjson.decode of unicode", "return cjson.decode('\"\\\\u00e9\\\\ud83d\\\\ude00\"')" }, { "cjson.decode of bad text", "return (pcall(cjson.decode, '{'))" }, { "cjson round trip", "return cjson.encode(cjson.decode('{\"a\":[1,\"x\",null,false]}'))" },

  { "bit.band, bor, bxor", "return {bit.band(12, 10), bit.bor(12, 10), bit.bxor(12, 10), bit.bnot(0)}" },
  { "bit shifts", "return {bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-256, 4), bit.rol(0x12345678, 12), bit.ror(0x12345678, 12)}" },
  { "bit.tobit, tohex, bswap", "return {bit.tobit(0xffffffff), bit.tohex(255), bit.tohex(-1, 4), bit.tohex(255, -4), bit.bswap(0x12345678)}" },

  -- by RESP3, where hiredis has it
  { "RESP3: a map", "redis.call('HSET', 'h', 'f', 'v') redis.setresp(3) return redis.call('HGETALL', 'h').map.f", needs_resp3 = true },
  { "RESP3: a set", "redis.call('SADD', 's', 'a') redis.setresp(3) return tostring(redis.call('SMEMBERS', 's').set.a)", needs_resp3 = true },
  { "RESP3: a double", "redis.call('ZADD', 'z', 1.5, 'm') redis.setresp(3) return tostring(redis.call('ZSCORE', 'z', 'm').double)", needs_resp3 = true },
  { "RESP3: a null", "redis.setresp(3) return tostring(redis.call('GET', 'absent'))", needs_resp3 = true },
  { "RESP3: a null in an array", "redis.call('SET', 'k', 'v') redis.setresp(3) return tostring(redis.call('MGET', 'absent', 'k')[1])", needs_resp3 = true },
  { "RESP3: and back", "redis.setresp(3) redis.setresp(2) return tostring(redis.call('GET', 'absent'))", needs_resp3 = true },
  { "RESP3: a status and an integer", "redis.setresp(3) return {redis.call('SET', 'k', 'v'), redis.call('INCR', 'n')}", needs_resp3 = true },
  { "RESP3: an error", "redis.setresp(3) redis.call('SET', 'k', 'v') return redis.pcall('LPUSH', 'k', 'x')", needs_resp3 = true },
  { "RESP3: an empty map", "redis.setresp(3) return tostring(next(redis.call('HGETALL', 'absent').map))", needs_resp3 = true },
  { "RESP3: the map is returned flat", "redis.call('HSET', 'h', 'f', 'v') redis.setresp(3) return redis.call('HGETALL', 'h')", needs_resp3 = true },
}
