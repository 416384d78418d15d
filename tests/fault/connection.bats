#!/usr/bin/env bats
# Connections that are lost: what was surely not sent is sent again, what was in flight is said to
# be unknown.

load ../cli/environment

restart_server() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    rm -f "$socket"
    start_server s
}

# wait_for FILE: until it is there.
wait_for() {
    local i
    for i in $(seq 200); do [ -e "$1" ] && return 0; sleep 0.02; done
    return 1
}

# A script that goes on when the file `go` is there.
write_script() {
    cat >script.lua <<END
local function pause(name)
  io.open(name, "w"):close()
  while true do
    local f = io.open("go")
    if f then f:close() os.remove("go") return end
    vlock.sleep(0.01)
  end
end
$1
END
}

@test "a server that was restarted while nothing was in flight goes unnoticed, its scripts too" {
    start_server s
    write_script 'local echo = redis.script("return ARGV[1]")
redis.call("SET", "a", "1")
echo({}, {"x"})
pause("ready")
return {redis.call("GET", "a"), echo({}, {"y"}), (vlock.update("n", function(v) return (v or 0) + 1 end))}'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    restart_server
    sleep 0.1
    touch go
    wait "$pid"
    [ "$(cat out)" = $'\ny\n1' ]
}

@test "a command in flight when the server dies fails: its outcome is unknown" {
    start_server s
    write_script 'redis.call("SET", "a", "1")
pause("ready")
local t = vlock.spawn(function() return redis.pcall("INCR", "a") end)
vlock.sleep(0.1)
io.open("sent", "w"):close()
local reply = t:join()
return {reply.err, reply.outcome}'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    kill -STOP "$server"
    touch go
    wait_for sent
    kill -KILL "$server"
    wait "$pid"
    cat out
    grep -q '^UNKNOWN the connection to .* ended before the reply came .*whether the command ran is unknown' out
    [ "$(tail -n 1 out)" = unknown ]
}

@test "a command whose last byte did not reach the socket is sent again" {
    start_server s
    write_script 'local large = ("x"):rep(32 * 1024 * 1024)
redis.call("PING")
pause("ready")
local t = vlock.spawn(function() return redis.pcall("SET", "large", large) end)
vlock.sleep(0.2)
io.open("sent", "w"):close()
local reply = t:join()
return {reply.ok or reply.err, redis.call("STRLEN", "large")}'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    kill -STOP "$server"
    touch go
    wait_for sent
    restart_server
    wait "$pid"
    [ "$(cat out)" = $'OK\n33554432' ]
}

@test "commands that wait while there is no server are sent when it is back" {
    start_server s
    write_script 'redis.call("PING")
pause("ready")
local tasks = {}
for i = 1, 100 do tasks[i] = vlock.spawn(function() return redis.call("INCR", "n") end) end
vlock.sleep(0.3)
io.open("waiting", "w"):close()
for _, t in ipairs(tasks) do t:join() end
return redis.call("GET", "n")'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    rm -f "$socket"
    touch go
    wait_for waiting
    start_server s
    wait "$pid"
    [ "$(cat out)" = 100 ]
}

@test "a server that does not answer is a time-out whose outcome is unknown; later commands work" {
    start_server s
    # the default is 10 s
    write_script 'redis.call("SET", "a", "1")
pause("ready")
local before = vlock.now()
local reply = redis.pcall("INCR", "a")
local took = vlock.now() - before
io.open("over", "w"):close()
pause("again")
return {reply.outcome, reply.err, tostring(took > 9.5 and took < 13), redis.call("GET", "a")}'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    kill -STOP "$server"
    touch go
    for i in $(seq 700); do [ -e over ] && break; sleep 0.02; done
    kill -CONT "$server"
    touch go
    wait "$pid"
    cat out
    [ "$(head -n 1 out)" = unknown ]
    grep -q 'no reply from .* in time' out
    [ "$(sed -n 3p out)" = true ]
    [ "$(tail -n 1 out)" = 2 ]
}

@test "an update in flight when the server dies says unknown at its deadline, with its token" {
    start_server s
    write_script 'vlock.update("n", function() return "1" end)
pause("ready")
local t = vlock.spawn(function()
  return vlock.update("n", function(v) return v + 1 end, { deadline = 1 })
end)
vlock.sleep(0.1)
io.open("sent", "w"):close()
local began = vlock.now()
local value, outcome = t:join()
return {tostring(value), outcome.outcome, outcome.token, vlock.now() - began < 3, outcome.reason}'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    kill -STOP "$server"
    touch go
    wait_for sent
    kill -KILL "$server"
    wait "$pid"
    cat out
    [ "$(sed -n 1,2p out)" = $'nil\nunknown' ]
    [[ $(sed -n 3p out) =~ ^[0-9a-f]+\.[0-9]+$ ]]
    [ "$(sed -n 4p out)" = 1 ]
}

@test "who closes a connection leaves nobody waiting for it" {
    start_server s
    cat >script.lua <<'END'
local function waits(command)
  local connection = redis.connect()
  local task = vlock.spawn(function() return connection:pcall(table.unpack(command)) end)
  vlock.sleep(command.seconds)
  connection:close()
  print(task:join().outcome)
end
waits { "BLPOP", "list", "0", seconds = 0.1 }
waits { "SET", "never", "sent", seconds = 0 }
print(redis.call("EXISTS", "never"))
END
    run timeout 20 "$vlockrun" -u "$url" script.lua
    echo "$output"
    [ "$output" = $'unknown\nunreachable\n0' ]
}

@test "a deadline bounds each call, and the connection that others share goes on" {
    start_server s
    cat >script.lua <<END
local function server(signal) os.execute("kill -" .. signal .. " $server") end
-- How it ended, and whether at its deadline of 0.3 s, or soon after.
local function timed(what, f, ...)
  local began = vlock.now()
  local ok, a, b = pcall(f, ...)
  local took = vlock.now() - began
  print(what, ok and (a or b.outcome) or a.outcome or a, took >= 0.29 and took < 2 or took)
end
local function add(v) return (v or 0) + 1 end
local soon = { deadline = 0.3 }
local id = redis.call("CLIENT", "ID")
assert(vlock.update("n", add) == 1)
server "STOP"
local patient = vlock.spawn(redis.call, "INCR", "m")
timed("update on what is known", vlock.update, "n", add, soon)
timed("update that reads first", vlock.update, "other", add, soon)
server "CONT"
timed("update that reads again", vlock.update, "third", function(_, version)
  vlock.compare_and_set("third", "theirs", version)
  return 7
end, { deadline = 0.3, retry = "forever", backoff = function()
  server "STOP"
  return 0.01
end })
timed("compare_and_set", vlock.compare_and_set, "n", "7", 1, soon)
timed("get", vlock.get, "n", soon)
server "CONT"
print("the patient one", (patient:join()), redis.call("CLIENT", "ID") == id)
timed("update that computes for long", vlock.update, "n", function(v)
  vlock.sleep(0.4)
  return add(v)
end, soon)
print("n", vlock.get("n"))
END
    run "$vlockrun" -u "$url" script.lua
    echo "$output"
    [ "${output//$'\t'/, }" = "\
update on what is known, unknown, true
update that reads first, gave_up, true
update that reads again, gave_up, true
compare_and_set, unknown, true
get, unreachable, true
the patient one, 1, true
update that computes for long, gave_up, true
n, 2, 2, $(redis-cli -s "$socket" hget '{n}:v' s)" ]
}

@test "a connection that is made anew logs in as the first one did, in the same database" {
    start_server s --requirepass s3cret --user me on '>pass' '~*' '&*' +@all
    cat >script.lua <<'END'
redis.call("SET", "a", ARGV[1])
local control = redis.connect()
control:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
vlock.sleep(0.02)
vlock.update("b", function() return "new" end)
return {redis.call("GET", "a"), redis.call("ACL", "WHOAMI"), redis.call("GET", "b")}
END
    for login in default:s3cret me:pass; do
        run -0 "$vlockrun" -u "unix://${login#default}@$socket?db=3" script.lua , "in 3 as $login"
        [ "$output" = "in 3 as $login"$'\n'"${login%:*}"$'\nnew' ]
    done
    REDISCLI_AUTH=s3cret cli INFO keyspace >keys
    [ "$(grep -c '^db' keys)" = 1 ]
    grep -q '^db3:keys=3,' keys
}

@test "WATCH does not survive its connection: EXEC is refused, not run unguarded" {
    start_server s
    write_script 'local own = redis.connect()
redis.call("SET", "w", "1")
own:call("WATCH", "w")
pause("ready")
return own:pcall("MULTI").err or "went on"'
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    wait_for ready
    cli CLIENT KILL TYPE normal SKIPME yes >/dev/null
    sleep 0.1
    touch go
    wait "$pid"
    cat out
    grep -q 'lost since WATCH or MULTI' out
}

@test "the lab reports what it measured when its server goes, or says it is gone; it never hangs" {
    start_server s
    "$vlockrun" -u "$url" -n 100M "$TOP/lua/backoff/full_jitter.lua" >out 2>err 3>&- &
    pid=$!
    sleep 0.7
    kill -KILL "$server"
    status=0
    wait "$pid" || status=$?
    cat err
    [ "$status" -eq 3 ]
    grep -q 'UNREACHABLE' err
}

@test "a server that takes the connection and never greets is given up after the connect time-out" {
    cat >silent.py <<'END'
import socket, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(5)
open("port", "w").write(str(server.getsockname()[1]))
time.sleep(60)
END
    /usr/bin/python3 silent.py 3>&- &
    servers+=($!)
    for i in $(seq 100); do [ -s port ] && break; sleep 0.02; done
    start=$SECONDS
    run timeout 30 "$vlockrun" -u "redis://:s3cret@127.0.0.1:$(cat port)" -e 'redis.call("PING")'
    echo "$output"
    [ "$status" -eq 3 ]
    [[ $output == *"no connection in time"* ]]
    [[ $output != *s3cret* ]]
    [ $((SECONDS - start)) -le 8 ]
}
