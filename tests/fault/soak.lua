-- One process of the soak: workers that count cells up through a connection that breaks, and write
-- down which version each of their commits made. ARGV: workers, updates of each, "own" or "hot",
-- the name of this process, the file for the versions, what to do with a write whose reply was
-- lost: "resolve", or "fail", the negative control: it is taken for not applied, and done again.

local resolver = require "vlock.cell.resolver"

local workers, updates = math.tointeger(ARGV[1]), math.tointeger(ARGV[2])
local kind, name, path, unknown_means = ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local disturbed, seen = 0, {}
local hear = resolver.hear

-- Which transition each event is: "ambiguous conflict -> conflict".
function resolver.hear(write, event, ...)
  local from = resolver.is_ambiguous(write) and "ambiguous" or "clear"
  local action, detail = hear(write, event, ...)
  disturbed = disturbed + (from == "clear" and event == "lost" and 1 or 0)
  local transition = ("%s %s -> %s"):format(from, event, action)
  seen[transition] = (seen[transition] or 0) + 1
  return action, detail
end

local options = {
  retry = { "deadline", max = "10m" },
  backoff = { "full_jitter", cap = "20ms" },
  receipts = unknown_means == "fail" and 0 or tonumber(ARGV[7] or "60"),
}
local counts = { committed = 0, unknown = 0, history_lost = 0, gave_up = 0, unreachable = 0,
  refused = 0 }
local file = assert(io.open(path, "w"))

local function count_up(value)
  return tostring(math.tointeger(tonumber(value or "0")) + 1)
end

-- One update, until it is known to be applied. Errors say that it was not.
local function update(key)
  while true do
    local ok, value, version = pcall(vlock.update, key, count_up, options)
    if ok and value then
      counts.committed = counts.committed + 1
      file:write(("%s %d %s\n"):format(key, version, value))
      return
    end
    local reason = ok and version or value
    local outcome = type(reason) == "table" and rawget(reason, "outcome")
    if not outcome and tostring(reason):find("ERR upstream timed out", 1, true) then
      outcome = "refused" -- a read, by the proxy
    end
    if not outcome or counts[outcome] == nil then
      error(reason, 0)
    end
    counts[outcome] = counts[outcome] + 1
    if outcome == "unknown" and unknown_means ~= "fail" or outcome == "history_lost" then
      return
    elseif outcome == "unreachable" then
      vlock.sleep(0.02)
    end
  end
end

local tasks = {}
for i = 1, workers do
  tasks[i] = vlock.spawn(function()
    local key = kind == "own" and ("soak:%s:%d"):format(name, i) or "soak:hot"
    for _ = 1, updates do
      update(key)
    end
  end)
end
for _, task in ipairs(tasks) do
  task:join()
end
file:close()
return cjson.encode { counts = counts, disturbed = disturbed, transitions = seen }
