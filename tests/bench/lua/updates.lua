-- Tasks of one process increment keys of their own, or one hot key. Prints commits a second, once
-- the sum of all values is what it must be. For tests/bench/receipts.
-- ARGV: own or hot, tasks, updates of each, for how many seconds receipts are kept (0: none)
local kind, tasks, updates, receipts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]),
  tonumber(ARGV[4])
local options = { receipts = receipts, backoff = { "full_jitter", cap = "10ms" } }

local function key_of(task)
  return "bench:" .. (kind == "hot" and 0 or task)
end

local started, all = vlock.now(), {}
for task = 1, tasks do
  all[task] = vlock.spawn(function()
    for _ = 1, updates do
      vlock.update(key_of(task), function(value)
        return ("%d"):format((tonumber(value) or 0) + 1)
      end, options)
    end
  end)
end
for _, task in ipairs(all) do
  task:join()
end
local seconds, sum = vlock.now() - started, 0
for task = 1, kind == "hot" and 1 or tasks do
  sum = sum + tonumber(redis.call("GET", key_of(task)))
end
assert(sum == tasks * updates, "an update is lost")
print(tasks * updates / seconds)
