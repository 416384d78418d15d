#!/usr/bin/env bats
# The private server: its own folder, its own socket, gone when vlockrun goes.

load environment

start_sleeper() {
    "$vlockrun" "$@" -e 'redis.call("PING") vlock.sleep(600)' >out 2>err 3>&- &
    pid=$!
    find_private_server "$pid"
}

@test "it stands in a folder of mode 0700, keeps nothing and listens on no port" {
    start_sleeper
    [ "$(stat -c %a "$private_folder")" = 700 ]
    [ "$(redis-cli -s "$private_folder/socket" CONFIG GET save | tail -n 1)" = "" ]
    [ "$(redis-cli -s "$private_folder/socket" CONFIG GET appendonly | tail -n 1)" = no ]
    [ "$(redis-cli -s "$private_folder/socket" CONFIG GET port | tail -n 1)" = 0 ]
    [ "$(cat err)" = "private empty server; -u redis://localhost for yours" ]
    kill -TERM "$pid"
}

@test "it is gone, process and folder, after an ordinary end" {
    "$vlockrun" -e 'local path = redis.private_server():match("^unix://(.*)/socket$")
        local pid = redis.call("INFO", "server"):match("process_id:(%d+)") return {path, pid}' >out 2>/dev/null
    folder=$(head -n 1 out)
    is_gone "$(tail -n 1 out)"
    [ -n "$folder" ]
    [ ! -e "$folder" ]
}

@test "it is gone after a script that failed, or called os.exit" {
    for chunk in 'error("x")' 'os.exit(3)' 'os.exit(3, true)'; do
        run "$vlockrun" -e "io.stdout:write(redis.private_server():match('^unix://(.*)/socket\$'), '\n') io.stdout:flush() $chunk"
        [ "$status" -ne 0 ]
        folder=$(grep -o '^/.*vlock-[A-Za-z0-9]*' <<<"$output" | head -n 1)
        [ -n "$folder" ]
        for i in $(seq 100); do [ -e "$folder" ] || break; sleep 0.02; done
        [ ! -e "$folder" ]
    done
}

@test "it is gone after SIGINT, SIGTERM and SIGKILL of vlockrun" {
    for signal in INT TERM KILL; do
        start_sleeper
        kill -"$signal" "$pid"
        status=0
        wait "$pid" || status=$?
        [ "$signal" = KILL ] || [ "$status" -eq 130 ]
        is_gone "$private_pid"
        for i in $(seq 100); do [ -e "$private_folder" ] || break; sleep 0.02; done
        [ ! -e "$private_folder" ]
    done
}

@test "it is gone after SIGKILL in the middle of a run of the lab" {
    "$vlockrun" -n 100M "$TOP/lua/backoff/full_jitter.lua" >out 2>err 3>&- &
    pid=$!
    find_private_server "$pid"
    sleep 0.3
    kill -KILL "$pid"
    is_gone "$private_pid"
    [ ! -e "$private_folder/socket" ] || sleep 0.5
    [ ! -e "$private_folder" ]
}

@test "its death is an error of the next command, with exit code 3" {
    run timeout 30 "$vlockrun" -e 'local pid = redis.call("INFO", "server"):match("process_id:(%d+)")
        os.execute("kill -9 " .. pid) vlock.sleep(0.1) redis.call("PING")' --
    [ "$status" -eq 3 ]
    [[ $output == *"UNREACHABLE"* ]]
}

@test "advice where no server program is there" {
    mkdir empty
    run env -u VLOCK_SERVER PATH="$scratch/empty" "$vlockrun" -e 'redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *"no redis-server or valkey-server in PATH"*"apt install redis-server"*"-u redis://localhost"* ]]
    run env VLOCK_SERVER=nosuch-server "$vlockrun" -e 'redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *"VLOCK_SERVER names nosuch-server"* ]]
}

@test "a server that does not start is reported with its own words" {
    printf '#!/bin/sh\necho "FATAL: cannot do it today"\nexit 1\n' >bad-server
    chmod +x bad-server
    run timeout 20 env VLOCK_SERVER="$scratch/bad-server" "$vlockrun" -e 'redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *"cannot do it today"* ]]
}

@test "a pipe from vlockrun ends when vlockrun does" {
    run timeout 10 bash -c "'$vlockrun' -e 'redis.call(\"PING\") return 1' 2>/dev/null | cat"
    [ "$status" -eq 0 ]
    [ "$output" = 1 ]
}
