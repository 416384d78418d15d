-- redis-lua, for Lua 5.1: https://github.com/nrk/redis-lua.
--
-- way=watch: its transaction{watch, cas, retry}, which tries again at once. It blocks, so a worker
-- is a process: this one starts them, and lets them begin together by a list from which all pop.
-- Settings and what is printed: see ../measuring/programs.py.
local redis = require "redis"
local socket = require "socket"

local settings = {}
for _, word in ipairs(arg) do
  local name, value = word:match("^([^=]*)=(.*)$")
  settings[name] = value
end
local START = "bench:start"

local function connect()
  return redis.connect("unix://" .. settings.socket)
end

local function work(number)
  local client = connect()
  local key = "bench:" .. (settings.kind == "hot" and 0 or number)
  local attempts = 0
  client:blpop(START, 0)
  local started = socket.gettime()
  for _ = 1, tonumber(settings.share) do
    client:transaction({ watch = key, cas = true, retry = 1e9 }, function(transaction)
      attempts = attempts + 1
      local value = tonumber(transaction:get(key) or 0)
      transaction:multi()
      transaction:set(key, ("%d"):format(value + 1))
    end)
  end
  print(attempts, started, socket.gettime())
end

local function start_all(workers)
  local client = connect()
  local all = {}
  for number = 0, workers - 1 do
    local words = { "exec", arg[-1], arg[0], "worker=" .. number }
    for _, word in ipairs(arg) do
      words[#words + 1] = "'" .. word .. "'"
    end
    all[#all + 1] = io.popen(table.concat(words, " "))
  end
  while tonumber(client:info("clients").clients.blocked_clients) < workers do
    socket.sleep(0.01)
  end
  local starts = {}
  for number = 1, workers do
    starts[number] = "go"
  end
  client:rpush(START, unpack(starts))
  local attempts, first, ends = 0, math.huge, {}
  for number, worker in ipairs(all) do
    local tried, started, ended = worker:read("*n", "*n", "*n")
    attempts = attempts + tried
    first = math.min(first, started)
    ends[number] = ended
    worker:close()
  end
  for number, ended in ipairs(ends) do
    ends[number] = ("%.6f"):format(ended - first)
  end
  print(('{"attempts": %d, "seconds": [%s]}'):format(attempts, table.concat(ends, ", ")))
end

if settings.worker then
  work(tonumber(settings.worker))
else
  start_all(tonumber(settings.workers))
end
