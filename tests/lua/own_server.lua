-- A server of a spec's own, with options that a private server has not.

local own_server = {}

local LONGEST = 200 -- seconds that it lives, whatever becomes of the spec

local function sh(format, ...)
  return os.execute(format:format(...))
end

--- Starts one; options: words for its command line; files: texts by name, in its folder. url, path
-- (of its socket), folder, and stop(), which leaves nothing behind.
function own_server.start(options, files)
  local folder = os.tmpname()
  os.remove(folder)
  assert(sh("mkdir -m 700 %s", folder))
  for name, text in pairs(files or {}) do
    local file <close> = assert(io.open(("%s/%s"):format(folder, name), "w"))
    file:write(text)
  end
  local path = folder .. "/s"
  assert(sh("timeout %d %s --port 0 --unixsocket %s --save '' --dir %s %s >%s/log 2>&1 &", LONGEST,
    os.getenv("VLOCK_SERVER") or "redis-server", path, folder, options, folder))
  for _ = 1, 200 do
    if sh("test -S %s", path) then break end
    vlock.sleep(0.02)
  end
  local server = { url = "unix://" .. path, path = path, folder = folder }

  function server.stop()
    local connection <close> = redis.connect(server.url)
    connection:pcall("SHUTDOWN", "NOSAVE")
    sh("rm -rf %s", folder)
  end

  return server
end

-- A port that nobody listens at.
local function free_port()
  local pipe <close> = assert(io.popen("python3 -c 'import socket; s = socket.socket(); " ..
    "s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])'"))
  return pipe:read("n")
end

--- Starts one that is the primary of all slots of a cluster, in which there is another primary that
-- is never heard of: its id is `other`, that of this one `own`. It takes two seconds to serve.
function own_server.start_cluster()
  local own, other = ("a"):rep(40), ("b"):rep(40)
  local server = own_server.start("--cluster-enabled yes --cluster-config-file nodes.conf " ..
    "--cluster-node-timeout 600000 --cluster-require-full-coverage no --bind 127.0.0.1 " ..
    "--cluster-port " .. free_port(), { ["nodes.conf"] =
    own .. " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-16383\n" ..
    other .. " 127.0.0.1:7001@17001 master - 0 0 2 connected\n" ..
    "vars currentEpoch 2 lastVoteEpoch 0\n" })
  server.own, server.other = own, other
  return server
end

return own_server
