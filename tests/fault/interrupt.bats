#!/usr/bin/env bats
# The end of a run from outside: cleanly, in bounded time.

load ../cli/environment

# ends_within SECONDS STATUS: of the background job $pid.
ends_within() {
    local start=$SECONDS status=0
    wait "$pid" || status=$?
    echo "status $status after $((SECONDS - start)) s: $(cat err)"
    [ "$status" -eq "$2" ] && [ $((SECONDS - start)) -le "$1" ]
}

start() {
    "$vlockrun" "$@" >out 2>err 3>&- &
    pid=$!
    sleep 0.4
}

@test "SIGINT ends a script that sleeps, waits, or runs without waiting" {
    for chunk in 'vlock.sleep(600)' 'redis.connect():call("BLPOP", "q", 0)' 'while true do end' \
        'while true do pcall(function() while true do end end) end' \
        'while true do coroutine.wrap(function() while true do end end)() end' \
        'while true do pcall(coroutine.wrap(function() while true do end end)) end' \
        'local function f() return pcall(f) end while true do f() end' \
        'while true do redis.call("PING") end'; do
        start -e "$chunk"
        kill -INT "$pid"
        ends_within 2 130
        grep -q interrupted err
    done
}

@test "the message shows where a runaway loop was" {
    printf 'local function spin()\n  while true do end\nend\nspin()\n' >loop.lua
    start loop.lua
    kill -INT "$pid"
    ends_within 2 130
    grep -q 'loop.lua:2' err
    grep -q 'spin' err
}

@test "SIGTERM does the same" {
    start -e 'vlock.sleep(600)'
    kill -TERM "$pid"
    ends_within 2 130
}

@test "--timeout ends what sleeps and what runs, with 1" {
    for chunk in 'vlock.sleep(600)' 'while true do end'; do
        "$vlockrun" --timeout 300ms -e "$chunk" >out 2>err 3>&- &
        pid=$!
        ends_within 2 1
        grep -q 'the --timeout is over' err
    done
}

@test "a run that ends in time is not disturbed by its --timeout" {
    run "$vlockrun" --timeout 5s -e 'vlock.sleep(0.1) return "done"'
    [ "$status" -eq 0 ]
    [ "$output" = done ]
}

@test "pending to-be-closed variables are closed when the run is ended" {
    start -e 'local f <close> = setmetatable({}, {__close = function() print("closed") end}) vlock.sleep(600)'
    kill -INT "$pid"
    ends_within 2 130
    grep -q closed out
}
