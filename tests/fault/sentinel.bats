#!/usr/bin/env bats
# A primary and a replica with three sentinels: the primary is found, and followed when it changes.

load ../cli/environment

# start_node NAME PORT [OPTION …]: a server at this port; its process is in $server.
start_node() {
    local name=$1 port=$2
    shift 2
    start_server "$name" --port "$port" --bind 127.0.0.1 --repl-diskless-sync-delay 0 "$@"
}

# start_sentinels [OPTION …]: a primary at $first, its replica at $second, and the sentinels of the
# service main; $url.
start_sentinels() {
    local i base
    base=$(python3 -c 'import random; print(random.randrange(20000, 31000))')
    first=$base second=$((base + 1))
    start_node one "$first" "$@"
    first_process=$server
    start_node two "$second" --replicaof 127.0.0.1 "$first" "$@"
    for i in 2 3 4; do
        mkdir sentinel$i
        cat >sentinel$i/conf <<END
port $((base + i))
bind 127.0.0.1
dir $PWD/sentinel$i
sentinel monitor main 127.0.0.1 $first 2
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 6000
END
        "${VLOCK_SERVER:-redis-server}" sentinel$i/conf --sentinel >sentinel$i/log 2>&1 3>&- &
        servers+=($!)
    done
    sentinel=$((base + 2))
    url=redis+sentinel://127.0.0.1:$((base + 2)),127.0.0.1:$((base + 3)),127.0.0.1:$((base + 4))/main
    await 30 eval '[ "$(redis-cli -p $sentinel SENTINEL CKQUORUM main 2>/dev/null | cut -c1-2)" = OK ]'
    await 30 eval 'redis-cli -p $sentinel SENTINEL REPLICAS main | grep -q "^127.0.0.1:$second"'
    await 30 eval 'redis-cli -p $sentinel SENTINEL REPLICAS main | grep -A1 master-link-status | grep -q ok'
}

# await SECONDS COMMAND …: until it succeeds.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

primary() {
    redis-cli -p "$sentinel" SENTINEL GET-MASTER-ADDR-BY-NAME main | tail -n 1
}

lab() {
    run --separate-stderr timeout 90 "$vlockrun" -u "$url" --json -w 10 --think 3ms "$@"
    echo "$status: $output $stderr"
}

field() {
    python3 -c 'import json,sys; print(json.dumps(json.loads(sys.argv[1])[sys.argv[2]]))' \
        "$output" "$1"
}

# What was lost with a primary is said to be.
is_true() {
    [ "$(field errors)" -eq 0 ]
    [ "$(field duplicated)" -eq 0 ]
    if [ "$(field verified)" = true ]; then
        [ "$status" -eq 0 ]
    else
        [ "$status" -eq 4 ]
        [ "$(($(field history_lost) + $(field unknown) + $(field lost_updates)))" -gt 0 ]
    fi
}

@test "the primary is found, and what is wrong with the URL is said" {
    start_sentinels
    run --separate-stderr -0 "$vlockrun" -u "$url/3" -e '
        redis.call("SET", "a", 1)
        return vlock.update("a", function(v) return v + 1 end)'
    [ "$output" = 2 ]
    [ "$(redis-cli -p "$first" -n 3 GET a)" = 2 ]
    lab -n 1000 full_jitter
    [ "$status" -eq 0 ]
    said() {
        run --separate-stderr timeout 20 "$vlockrun" -u "$1" -e 'return redis.call("PING")'
        echo "$1: $status $output $stderr"
        [ "$status" -eq 3 ]
        [[ $stderr == *"$2"* ]]
    }
    said "${url%main}other" "it knows no service 'other': SENTINEL MASTERS lists those that it knows"
    said "redis+sentinel://127.0.0.1:$first/main" "it is no sentinel: the URL of the server itself begins with redis://"
    said "redis+sentinel://127.0.0.1:1/main" "Connection refused"
    run --separate-stderr -0 "$vlockrun" -u "redis+sentinel://127.0.0.1:1,127.0.0.1:$sentinel/main" -e 'return redis.call("PING")'
    [ "$output" = PONG ]
}

@test "sentinels that want a login are told that of the servers" {
    start_sentinels
    for i in 0 1 2; do
        redis-cli -p $((sentinel + i)) ACL SETUSER default resetpass '>s3cret'
    done
    redis-cli -p "$first" CONFIG SET requirepass s3cret
    ping() {
        run --separate-stderr timeout 20 "$vlockrun" -u "${url/:\/\//://$1}" -e 'return redis.call("PING")'
        echo "$status $output $stderr"
    }
    ping :s3cret@
    [ "$status" -eq 0 ]
    [ "$output" = PONG ]
    ping ''
    [ "$status" -eq 3 ]
    [[ $stderr == *"NOAUTH "* ]]
    # Each has a mind of its own: this one wants another login, the next ones none.
    redis-cli -p "$sentinel" --pass s3cret --no-auth-warning ACL SETUSER default resetpass '>other'
    for i in 1 2; do
        redis-cli -p $((sentinel + i)) --pass s3cret --no-auth-warning ACL SETUSER default nopass
    done
    ping :s3cret@
    [ "$status" -eq 0 ]
    ping :wr0ng@
    [ "$status" -eq 3 ]
    [[ $stderr == *"WRONGPASS "* ]]
    [[ $stderr != *wr0ng* ]]
}

@test "whom sentinels name by mistake is not written to" {
    replica=$((RANDOM % 10000 + 20000))
    start_node two "$replica" --replicaof 127.0.0.1 1
    cat >sentinel.py <<'END'
import socket, sys
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
named = sys.argv[1].encode()
while True:
    connection = listening.accept()[0]
    while True:
        asked = connection.recv(4096)
        if not asked:
            break
        if b"PING" in asked:
            connection.sendall(b"+PONG\r\n")
        else:
            connection.sendall(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n" % (len(named), named))
END
    python3 sentinel.py $replica >port 3>&- &
    servers+=($!)
    await 5 eval '[ -s port ]'
    run --separate-stderr -3 timeout 20 "$vlockrun" -u "redis+sentinel://127.0.0.1:$(cat port)/main" -e 'return redis.call("SET", "a", 1)'
    echo "$stderr"
    [[ $stderr == *"the sentinels name a server that says it is no primary"* ]]
}

@test "an update may begin with what the replica says" {
    start_sentinels
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        vlock.update("count", function() return 1 end)
        redis.connect():call("WAIT", 1, 2000)
        return (vlock.get("count", { read_from = "replica" }))'
    echo "$output $stderr"
    [ "$output" -eq 1 ]
    run --separate-stderr -0 "$vlockrun" -u "$url" -e 'return (vlock.update("count", function(v)
        return v + 1
    end, { read_from = "replica" }))'
    [ "$output" -eq 2 ]
    redis-cli -p "$second" INFO commandstats | grep -q '^cmdstat_eval:calls=1,'
    redis-cli -p "$second" INFO commandstats | grep -q '^cmdstat_evalsha:calls=2,'
}

@test "a primary that dies is followed by its replica" {
    start_sentinels
    (sleep 1; kill -KILL "$first_process") &
    lab -k 5 -d 8s full_jitter
    is_true
    [ "$(primary)" -eq "$second" ]
    [ "$(field unfinished)" -le 10 ]
    redis-cli -p "$second" INFO commandstats | grep -q '^cmdstat_evalsha:calls=[1-9]'
}

@test "a primary that gives its place away is left" {
    [ -n "${VLOCK_CLUSTER_SECONDS:-}" ] || skip "VLOCK_CLUSTER_SECONDS=4 runs it"
    start_sentinels
    (sleep 1; redis-cli -p "$sentinel" SENTINEL FAILOVER main >failover) &
    lab -k 5 -d 5s full_jitter
    is_true
    [ "$(cat failover)" = OK ]
    [ "$(primary)" -eq "$second" ]
    await 20 eval 'redis-cli -p $first INFO replication | grep -q role:slave'
}

@test "a primary that stood still, and is none any more when it goes on, is left" {
    [ -n "${VLOCK_CLUSTER_SECONDS:-}" ] || skip "VLOCK_CLUSTER_SECONDS=4 runs it"
    start_sentinels
    (sleep 1; kill -STOP "$first_process"; sleep 4; kill -CONT "$first_process") &
    lab -k 5 -d 9s full_jitter
    is_true
    [ "$(primary)" -eq "$second" ]
}
