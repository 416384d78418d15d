-- Lua 5.4, the host's, but for what runs elsewhere too.
std = "lua54"
-- tests/house/texts.tap looks after these, in all languages.
max_line_length = false
read_globals = { "redis", "vlock", "KEYS", "ARGV", "cjson" }
-- Definitions for editors: nothing of them runs.
exclude_files = { "lua/vlock/library" }
-- The parameters of a callback are its signature, used or not.
unused_args = false
self = false

-- Inside Redis: Lua 5.1. It has no vlock.
local server = { std = "lua51", not_globals = { "vlock" } }
files["lua/cas.lua"] = server
files["lua/read.lua"] = server
files["lua/cas_merge.lua"] = { std = "lua51", not_globals = { "vlock" },
  read_globals = { "cas", "is_asking", "merge_part", "value_key", "version_key", "value", "wanted",
    "token", "expected", "receipt_ms", "is_again", "deletes", "sub", "match", "format" },
  globals = { "ARGV", "carried" } }
files["tests/fixtures/naive_cas.lua"] = server
files["tests/lua/on_lua51.tap"] = server
files["tests/bench/peers/compare_and_count.lua"] = server
files["tests/bench/peers/redis_lua.lua"] = { std = "lua51", not_globals = { "vlock", "redis" } }
-- On both: what 5.1 and 5.4 have in common.
files["lua/merge"] = { std = "min", not_globals = { "vlock", "redis", "KEYS", "ARGV" } }

files["tests/*/*_spec.lua"] = { std = "+busted", globals = { "redis", "package.preload" } }
files["tests/lua/under_*.lua"] = { globals = { "arg" } }
