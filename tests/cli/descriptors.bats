#!/usr/bin/env bats
# When descriptors run out: what the script's garbage holds open is closed, and the call made once
# more. What cannot be had then is said, and nothing false of any write.

load environment

# starve N CHUNK: runs it with N descriptors; littered(n) leaves n open files to the collector, n =
# 0: as many as there are.
starve() {
    cat >starved.lua <<E
collectgarbage("stop") -- the collector runs when it is asked to
local function taken()
  local n, list = 0, io.popen("ls /proc/\$PPID/fd")
  for fd in list:lines() do n = n + (tonumber(fd) < $1 and 1 or 0) end
  list:close()
  return n
end
function littered(left) for _ = taken(), $1 - left do assert(io.open("/dev/null")) end end
$2
E
    run --separate-stderr bash -c "ulimit -n $1; exec timeout 20 '$vlockrun' ${*:3} starved.lua"
    echo "$output $stderr"
}

@test "files, pipes and connections are opened at the expense of garbage" {
    start_server s
    for left in 0 1 2 3; do
        for chunk in 'return redis.call("PING")' 'return redis.connect():call("PING")' 'return io.popen("echo PONG"):read("l")' \
            'return io.tmpfile() and "PONG"' \
                'for i = 1, 100 do assert(io.open("/dev/null")) end return "PONG"'; do
            starve 40 "littered($left) $chunk" -u "$url"
            [ "$status" -eq 0 ]
            [ "$output" = PONG ]
        done
    done
}

@test "a private server is started at the expense of garbage" {
    for left in 0 1 2 3 4 5 6 7 8; do
        starve 40 "littered($left) return redis.call('PING')"
        [ "$status" -eq 0 ]
        [ "$output" = PONG ]
    done
}

@test "what is in use is kept, and the want of descriptors is said" {
    start_server s
    starve 40 'kept = {} for i = 1, 100 do local file, reason = io.open("/dev/null") if not file then print(reason) break end kept[i] = file end
        print(kept[1]:read("a")) return redis.call("PING")' -u "$url"
    [ "$status" -eq 3 ]
    [[ $output == *"Too many open files"* ]]
    [[ $stderr == *"Too many open files"* ]]
}

@test "stock Lua: the module is opened at the expense of garbage" {
    start_server s
    cat >starved.lua <<'END'
collectgarbage("stop")
local vlock = require "vlock"
repeat local file = io.open("/dev/null") until not file
vlock.open { url = arg[1] }
print(vlock.redis.call("PING").ok)
END
    ulimit -n 40
    run stock_lua starved.lua "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = PONG ]
}

@test "a run with any number of descriptors is whole, or says that there are too few" {
    start_server s
    whole=0
    for count in 5 7 9 11 13 14 15 16 18 20 22 24 26 28 30 40; do
        status=0
        bash -c "ulimit -n $count; exec '$vlockrun' --timeout 10s -u '$url' --json -w 16 -n 200 full_jitter" \
            >out 2>err 3>&- || status=$?
        echo "$count: $status, $(cat err)"
        if [ "$status" -eq 0 ]; then
            grep -q '"commits":200,.*"verified":true' out
            whole=$((whole + 1))
        else
            [ "$status" -eq 1 ] || [ "$status" -eq 3 ]
            grep -q '^vlockrun: .*: Too many open files' err
            [ "$(wc -l <err)" -eq 1 ]
        fi
    done
    [ "$whole" -ge 2 ]
    [ "$whole" -le 12 ]
    [ "$(cli DBSIZE)" -eq 0 ]
}

@test "a write whose connection ends, and no descriptor is left for another: unknown, or known later" {
    start_server s
    ln -s s.sock front.sock
    cat >script.lua <<'END'
local vlock = require "vlock"
vlock.open { url = arg[1], command_timeout = 0.5 }
local redis = vlock.redis
local function count_up(value) return tostring((tonumber(value) or 0) + 1) end
vlock.run(function()
for _, key in ipairs { "a", "b" } do vlock.update(key, count_up) end
os.rename("front.sock", "away.sock") -- no other connection can be made
redis.call("CLIENT", "PAUSE", "60000", "WRITE")
local brief = vlock.spawn(function() return vlock.update("a", count_up, { deadline = 2.5 }) end)
local patient = vlock.spawn(function() return vlock.update("b", count_up) end)
vlock.sleep(0.1)
assert(os.rename("away.kill", "kill"))
while not os.rename("killed", "seen") do vlock.sleep(0.01) end
local hoard, reason, file = {}
repeat
  file, reason = io.open("/dev/null")
  hoard[#hoard + 1] = file
until not file
os.rename("away.sock", "front.sock")
local value, outcome = brief:join()
local new = redis.pcall("GET", "a")
for _, each in ipairs(hoard) do each:close() end
local b, version = patient:join()
print(reason)
print(value, outcome.outcome, outcome.reason)
print(new.err)
print(b, version, redis.call("GET", "b"))
end)
END
    touch away.kill
    (ulimit -n 40 && stock_lua script.lua "unix://$scratch/front.sock") >out 2>err 3>&- &
    pid=$!
    for _ in $(seq 250); do [ -e kill ] && break; sleep 0.02; done
    cli CLIENT KILL TYPE normal >/dev/null
    cli CLIENT UNPAUSE >/dev/null
    touch killed
    wait "$pid" || { cat err; false; }
    cat out
    [[ $(sed -n 1p out) == *"Too many open files" ]]
    [[ $(sed -n 2p out) == nil*unknown*"Too many open files"* ]]
    [[ $(sed -n 3p out) == UNREACHABLE*"Too many open files"* ]]
    [ "$(sed -n 4p out)" = $'2\t2\t2' ]
}
