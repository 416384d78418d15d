#!/usr/bin/env bats
# Servers that come back from an older state: a restart that lost the tail of the append-only file,
# an older snapshot, a replica that was promoted without the last writes. What they lost is told to
# those who wrote it, also where others have built on the older state meanwhile.

load ../cli/environment

kill_server() {
    kill -KILL "$server"
    wait "$server" || true
    rm -f "$socket"
}

# ---- ways to lose writes: what is kept and how to go back to it; clients are at front.sock

begin_aof() {
    durable=(--appendonly yes --appendfsync always)
    start_server s "${durable[@]}"
    ln -sf s.sock front.sock
}
keep_aof() {
    size=$(stat -c %s appendonlydir/*.incr.aof)
}
# Cut inside of the command that follows what is kept.
go_back_aof() {
    kill_server
    [ "$(stat -c %s appendonlydir/*.incr.aof)" -gt $((size + 200)) ]
    truncate -s $((size + 100)) appendonlydir/*.incr.aof
    start_server s "${durable[@]}"
}

begin_snapshot() {
    start_server s
    ln -sf s.sock front.sock
}
keep_snapshot() {
    cli SAVE >/dev/null
}
go_back_snapshot() {
    kill_server
    start_server s
}

# The replica hears no more of the primary once it is told to follow a server that is not there.
begin_replica() {
    mkdir -p replica
    port=$(python3 -c \
        'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    start_server replica --replicaof 127.0.0.1 "$port" --repl-diskless-sync-delay 0 \
        --dir "$scratch/replica"
    start_server s --port "$port" --repl-diskless-sync-delay 0
    ln -sf s.sock front.sock
    local i
    for i in $(seq 300); do
        [ "$(cli WAIT 1 10)" = 1 ] && return
        sleep 0.02
    done
    return 1
}
# WAIT waits for the writes of its own connection, and so for those before.
keep_replica() {
    [ "$(printf 'SET waited yes\nWAIT 1 5000\n' | cli | tail -n 1)" = 1 ]
    redis-cli -s "$scratch/replica.sock" REPLICAOF 127.0.0.1 1 >/dev/null
}
# Clients come to it while it is a replica yet.
go_back_replica() {
    kill_server
    ln -sf replica.sock front.sock
    sleep 0.1
    redis-cli -s "$scratch/replica.sock" REPLICAOF NO ONE >/dev/null
    socket=$scratch/replica.sock
}

# serve HOW: does what the script of $pid asks for, until it ends; its status.
serve() {
    local word
    while kill -0 "$pid" 2>/dev/null; do
        if [ -e ask ]; then
            word=$(cat ask)
            rm ask
            case $word in
            keep) "keep_$1" ;;
            stop) kill -STOP "$server" ;;
            'go back') "go_back_$1" ;;
            esac
            touch done
        fi
        sleep 0.005
    done
    wait "$pid"
}

# is_told HOW: each client is told, and then goes on.
is_told() {
    "begin_$1"
    "$vlockrun" -u "unix://$scratch/front.sock" --timeout 30s "$TOP/tests/fault/rollback.lua" \
        >out 2>err 3>&- &
    pid=$!
    serve "$1" || { cat err; false; }
    cat out
    diff - out <<'WORDS'
in flight: history_lost, then kkkm
alone: history_lost, then kkkm
behind others: history_lost, then kkkom
level with others: history_lost, then kkkoom
overtaken by others: history_lost, then kkkooooooom
disturbed, alone: history_lost, then kkkm
disturbed, overtaken: history_lost, then kkkooooooooom
read: history_lost
WORDS
}

@test "restarted without the tail of the append-only file: the lost writes are told" {
    is_told aof
}

@test "restarted from an older snapshot: the lost writes are told" {
    is_told snapshot
}

@test "a replica promoted without the last writes: the lost writes are told" {
    is_told replica
}
