#!/usr/bin/env bats
# When descriptors run out: what the script's garbage holds open is closed, and the call made once
# more.

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
