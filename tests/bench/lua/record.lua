-- The lab's record of one key is told of so many operations, with stamps as the store plain has
-- them, and checked. Each takes as long as ten others. For tests/bench/verification.
-- ARGV: operations, reads for each commit
local key_records = require "vlock.lab.check.key_record"

local operations, reads = math.tointeger(tonumber(ARGV[1])), tonumber(ARGV[2])
local commits = operations // (1 + reads)

local function memory(name)
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^" .. name .. ":%s+(%d+)")
    if kib then
      return kib * 1024
    end
  end
end

local before, started = memory("VmRSS"), os.clock()
local record = key_records.new("stamp", true)
local base = { stamp = "0", version = 0 }
local first = base
for version = 1, commits do
  local made = {
    value = ("%d"):format(version),
    stamp = ("%d:p0123456789ab-1.1:0123456789ab-7.%x"):format(version, version),
    version = version,
  }
  local start = version / 1e5
  record:commit(base, made, start, start + 1e-4)
  for _ = 1, reads do
    record:read(made.value, made.stamp, start, start + 1e-4)
  end
  base = made
end
local told, held = os.clock(), memory("VmRSS")
local found = record:check(first, base)
assert(found.whole and found.commits == commits)
print(("%d operations, %d commits: %.1f s to write them down, %.1f s to check them; " ..
  "%.0f bytes each while the run goes, %.0f at most"):format(operations, commits, told - started,
  os.clock() - told, (held - before) / operations, (memory("VmHWM") - before) / operations))
