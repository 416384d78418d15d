#!/usr/bin/env bats
# The benchmarks believe nobody: a program that loses an update, or says so of itself, ends them.

load environment

# measured PROGRAM KIND [SHARE]: the rate of one run of two workers.
measured() {
    PYTHONPATH=$TOP/tests/bench python3 -B -c "
from measuring.programs import Peer, Task, Vlock, measured
from measuring.server import Server
with Server() as server:
    print(measured($1, server, Task('$2', 2), ${3:-3}).rate)"
}

# peer VALUE: a program that says it made 2 workers' 3 increments each of a hot key, and wrote
# VALUE.
peer() {
    printf '%s\n' '#!/bin/sh' \
        'for word; do case $word in socket=*) socket=${word#socket=} ;; esac; done' \
        "redis-cli -s \"\$socket\" set bench:0 $1 >/dev/null" \
        'echo "{\"attempts\": 6, \"seconds\": [0.5, 1.5]}"' >peer
    chmod +x peer
}

@test "a peer's rate counts once the server holds what its workers were to write" {
    peer 6
    run measured "Peer('peer', ['$scratch/peer'])" hot
    [ "$status" -eq 0 ]
    [ "$output" = 4.0 ]
}

@test "a peer that loses an update ends the benchmark" {
    peer 5
    run measured "Peer('peer', ['$scratch/peer'])" hot
    [ "$status" -eq 1 ]
    [[ $output == *"LOST UPDATE: 6 increments were reported, the value is 5"* ]]
}

@test "vlockrun with a store that cheats ends the benchmark" {
    run measured "Vlock('x', 'full_jitter', '--store', 'watch')" own
    [ "$status" -eq 0 ]
    run measured "Vlock('x', 'full_jitter', '--store', '$TOP/tests/fixtures/stores/blind.lua')" hot 500
    [ "$status" -eq 1 ]
    [[ $output == *"ended with 4"* ]]
}
