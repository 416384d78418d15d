-- Prints the script by which the server does a bundled merge without parameters: ARGV[1], its name.

local path = "lua/merge/" .. ARGV[1] .. ".lua"
local file <close> = assert(io.open(path, "rb"))
local merge = require("vlock.cell.server_merge").new { name = ARGV[1], text = file:read("a"),
  p = {} }
io.write(merge:source(redis.script("cas").source, redis.script("cas_merge").source))
