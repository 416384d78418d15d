#!/usr/bin/env bats
# A cluster of three primaries and three replicas: the same scripts, policies and lab, while slots
# move, primaries die, nodes stop, come and go.

load ../cli/environment

SECONDS_EACH=${VLOCK_CLUSTER_SECONDS:-2}

# What is shown where there is time for it: scripts/test-matrix.
takes_long() {
    [ -n "${VLOCK_CLUSTER_SECONDS:-}" ] || skip "VLOCK_CLUSTER_SECONDS=4 runs it"
}

# start_cluster [OPTION …]: at $url; its nodes by `nodes`.
start_cluster() {
    nodes start "$scratch/cluster" --server "${VLOCK_SERVER:-redis-server}" "$@"
    url=$(nodes url)
}

# The verb of tests/fixtures/cluster.py, on the cluster of this test.
nodes() {
    local verb=$1
    shift
    [ "$verb" != start ] || shift
    "$TOP/tests/fixtures/cluster.py" "$verb" "$scratch/cluster" "$@" 3>&-
}

teardown() {
    # shellcheck disable=SC2046 # processes are words
    [ ! -e "$scratch/cluster/nodes" ] || kill -KILL $(nodes pids) 2>/dev/null || true
    end_test
}

# lab OPTION …: a run of the lab in the cluster, whose JSON is in $output. Its workers pause, so
# that the nodes, which share the machine with it, have their turn.
lab() {
    run --separate-stderr timeout 90 "$vlockrun" -u "$url" --json -w 20 --think "${think:-3ms}" "$@"
    echo "$status: $output $stderr"
}

field() {
    python3 -c 'import json,sys; print(json.dumps(json.loads(sys.argv[1])[sys.argv[2]]))' \
        "$output" "$1"
}

# culprits HISTORY: the keys whose commits are not one chain.
culprits() {
    "$vlockrun" verify --json "$1" | python3 -c 'import json,sys
print(*{one["key"] for run in json.load(sys.stdin)["runs"] for one in run["culprits"]})'
}

# Of the run: each commit stands on the one before it, and nothing failed.
is_whole() {
    [ "$status" -eq 0 ]
    [ "$(field verified)" = true ]
    [ "$(field errors)" -eq 0 ]
    [ "$(field unknown)" -eq 0 ]
    [ "$(field history_lost)" -eq 0 ]
}

# How often this was run on each node that serves slots, one after the other.
calls_of() {
    local port
    for port in $(python3 -c 'import sys; print(*sorted({l.split()[0] for l in open(sys.argv[1])}))' \
        "$scratch/cluster/nodes"); do
        redis-cli -p "$port" INFO commandstats \
            | sed -n "s/^cmdstat_$1:calls=\([0-9]*\),.*/\1/p"
    done
}

keys_left() {
    local port
    for port in $(cut -d' ' -f1 "$scratch/cluster/nodes"); do
        redis-cli -p "$port" KEYS '*' 2>/dev/null | grep . || true
    done
}

@test "scripts, the lab, stores and merges run in a cluster as they do on one server" {
    start_cluster
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        for i = 1, 30 do redis.call("SET", "k" .. i, i) end
        local sum = 0
        for i = 1, 30 do sum = sum + redis.call("GET", "k" .. i) end
        for i = 1, 30 do vlock.update("c", function(v) return (v or 0) + 1 end) end
        redis.call("MSET", "{t}a", 1, "{t}b", 2)
        local pairs = redis.call("MGET", "{t}a", "{t}b")
        local replies = redis.pipeline { { "GET", "k1" }, { "GET", "k2" }, { "GET", "k3" } }
        local nine = redis.script("return KEYS[1] .. ARGV[1]")({ "x" }, { "9" })
        return { sum, vlock.get("c"), pairs[2], #replies, replies[3], nine }'
    echo "$output $stderr"
    [ "$output" = '465
30
2
3
3
x9' ]
    lab -k 60 --dist uniform -n 3000 --history h.jsonl full_jitter
    is_whole
    [ "$(field commits)" -eq 3000 ]
    counts=$(calls_of evalsha)
    # All three took their share, and it is told.
    python3 -c 'import json,sys; nodes = json.loads(sys.argv[1])["nodes"]
assert len(nodes) == 3 and all(n["commands"] > 500 for n in nodes), nodes
assert [n["url"] for n in nodes] == sorted(n["url"] for n in nodes)' "$output"
    run --separate-stderr -0 "$vlockrun" -u "$url" -k 60 -n 3000 full_jitter
    [[ $output == *"nodes        127.0.0.1:"*"%, 127.0.0.1:"*"%, 127.0.0.1:"*"% of the commands"* ]]
    echo "$counts"
    [ "$(awk '$1 > 300' <<<"$counts" | wc -l)" -eq 3 ]
    run -0 "$vlockrun" verify h.jsonl
    for store in watch plain; do
        lab -k 6 -n 500 --store $store decorrelated
        is_whole
    done
    lab -k 3 -n 500 -e '{ merge = { "counter", at = "server" } }'
    is_whole
    [ "$(keys_left | grep -c '^vlock:lab')" -eq 0 ]
    for i in 1 2 3 4 5 6; do
        run --separate-stderr -0 "$vlockrun" -u "$url" "$TOP/tests/examples/split_counter.lua" visits , 7
    done
    [ "$output" -eq 42 ]
    [ "$(keys_left | grep -c '^visits:[1-8]$')" -ge 2 ]
}

@test "the keys of a killed run are removed at each node" {
    start_cluster
    "$vlockrun" -u "$url" -k 30 -d 60s full_jitter >/dev/null 2>&1 3>&- &
    pid=$!
    for i in $(seq 100); do
        [ "$(keys_left | grep -c '^vlock:lab')" -ge 20 ] && break
        sleep 0.05
    done
    kill -KILL $pid
    for i in $(seq 100); do
        [ "$(keys_left | wc -l)" -eq 0 ] && return
        sleep 0.1
    done
    keys_left
    false
}

@test "keys in several slots are refused before anything is sent" {
    start_cluster
    before=$(calls_of mget)
    run --separate-stderr -1 "$vlockrun" -u "$url" -e 'return redis.call("MGET", "a", "b")'
    echo "$stderr"
    [[ $stderr == *"CROSSSLOT the keys 'a' and 'b' are in different slots"*"one hash tag, as {a}:a and {a}:b"* ]]
    for command in '"DEL", "a", "b"' '"EVAL", "return 1", 2, "a", "b"' '"MSET", "a", 1, "b", 2' \
        '"XREAD", "STREAMS", "a", "b", 0, 0' '"ZUNIONSTORE", "a", 1, "b"' \
        '"RENAME", "a", "b"' '"BITOP", "AND", "a", "b"'; do
        run --separate-stderr "$vlockrun" -u "$url" -e "return redis.pcall($command).err"
        echo "$command: $output $stderr"
        [[ $output == *"CROSSSLOT the keys 'a' and 'b'"* ]]
    done
    [ "$(calls_of mget)" = "$before" ]
    run --separate-stderr -1 "$vlockrun" -u "$url" -e 'return vlock.update("a", function() return 1 end, { version_key = "b" })'
    [[ $stderr == *CROSSSLOT* ]]
}

@test "a transaction goes to the node of the keys that it watches" {
    start_cluster
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        local said = {}
        for _, key in ipairs { "a", "b", "c", "d" } do
          local own <close> = redis.connect()
          own:call("WATCH", key)
          own:call("MULTI")
          own:call("INCR", key)
          said[#said + 1] = own:call("EXEC")[1]
          said[#said + 1] = own:pcall("MULTI").err
        end
        return said'
    echo "$output"
    [ "$(grep -c '^1$' <<<"$output")" -eq 4 ]
    [ "$(grep -c "WATCH comes first" <<<"$output")" -eq 4 ]
}

@test "a cluster is followed by TLS, under the rights that are said to be enough" {
    make_certificates
    start_cluster --replicas 0 --tls tls
    rights=$(sed -n 's/^    ACL SETUSER app on >PASSWORD //p' "$TOP/lua/README.md")
    for port in $(cut -d' ' -f1 cluster/nodes); do
        # shellcheck disable=SC2086 # rights are words
        redis-cli -p "$port" ACL SETUSER app on '>s3cret' $rights '+eval' '+cluster|shards' \
            '~vlock:lab:*' '~{vlock:lab:*' +info +unlink >said
        [ "$(cat said)" = OK ]
    done
    url="rediss+cluster://app:s3cret@127.0.0.1:$((${url##*:} + 100))"
    lab -k 20 --cacert tls/ca.crt -n 1000 full_jitter
    is_whole
    python3 -c 'import json,sys; nodes = json.loads(sys.argv[1])["nodes"]
assert len(nodes) == 3 and all(n["url"].startswith("rediss://app:***@127.0.0.1:") for n in nodes), nodes' "$output"
    run --separate-stderr -0 "$vlockrun" -u "$url" --cacert tls/ca.crt -e '
        for i = 1, 20 do vlock.update("cart:" .. i, function() return i end) end
        return vlock.get("cart:7")'
    [ "$output" = 7 ]
    # Who does not know the CA tells nobody the password.
    run --separate-stderr -3 "$vlockrun" -u "$url" -e 'return redis.call("PING")'
    [[ $stderr == *"the server's certificate is not trusted"* && $stderr != *s3cret* ]]
}

@test "slots that move back and forth lose nothing" {
    start_cluster
    "$TOP/tests/fixtures/cluster.py" move "$scratch/cluster" >moved 2>err 3>&- &
    mover=$!
    lab -k 30 -d "${SECONDS_EACH}s" full_jitter
    is_whole
    lab -k 20 --dist own -d 2s full_jitter # each builds on what it has just written
    is_whole
    lab -k 10 -d "${SECONDS_EACH}s" --store watch full_jitter
    is_whole
    kill $mover
    wait $mover
    cat err
    [ "$(tail -n 1 moved)" -ge 2 ]
    # They went while it ran.
    [ "$(calls_of asking | awk '{ sum += $1 } END { print sum + 0 }')" -ge 2 ]
}

@test "a primary that dies is followed by its replica, and what is lost with it is said to be" {
    start_cluster
    victim=$(nodes primary a)
    (sleep 1; nodes kill "$victim" 0.1) &
    lab -k 30 -d "$((SECONDS_EACH + 4))s" --history h.jsonl full_jitter
    wait
    [ "$(field errors)" -eq 0 ]
    [ "$(field duplicated)" -eq 0 ]
    # By those who met it, or, where others had written meanwhile, by the chain of commits.
    [ "$status" -eq 4 ]
    [ "$(field verified)" = false ]
    [ "$(($(field history_lost) + $(field lost_updates)))" -gt 0 ]
    # What is named is of the dead one's keys.
    culprits h.jsonl >lost
    echo "lost: $(cat lost)"
    [ -s lost ]
    for key in $(cat lost); do
        [ "$(nodes primary "$key")" -eq "$(nodes primary a)" ]
    done
    # All keys were served again, the ones of the dead one too.
    [ "$(nodes primary a)" -ne "$victim" ]
    nodes revive "$victim"
    nodes await
    lab -k 30 -n 1000 full_jitter
    is_whole
}

@test "writes that a new primary never had are history that is lost" {
    start_cluster
    old=$(nodes primary a)
    cat >writes.lua <<'END'
for i = 1, 20 do vlock.update("a", function() return i end) end
os.execute("kill -STOP " .. ARGV[1])
-- What stands in the sockets between them still arrives; what is behind it does not.
for _ = 1, 30 do redis.call("SET", "{a}", ("x"):rep(1000000)) end
for i = 21, 40 do vlock.update("a", function() return i end) end
os.execute("kill -KILL " .. ARGV[2] .. " && kill -CONT " .. ARGV[1])
local value, outcome = vlock.update("a", function(v) return (v or 0) + 1 end, { deadline = 20 })
return { tostring(value), outcome and outcome.outcome }
END
    replica=$(redis-cli -p "$old" INFO replication | sed -n 's/.*slave0:ip=[^,]*,port=\([0-9]*\).*/\1/p')
    process_of() { awk -v port="$1" '$1 == port { print $2 }' "$scratch/cluster/nodes"; }
    run --separate-stderr "$vlockrun" -u "$url" --timeout 40s writes.lua , \
        "$(process_of "$replica")" "$(process_of "$old")"
    echo "$output $stderr"
    [[ $output == *nil*history_lost* ]]
    # And once it was said, there is nothing to be told any more.
    run --separate-stderr -0 "$vlockrun" -u "$url" -e 'return vlock.update("a", function(v) return (v or 0) + 1 end)'
    [ "$output" -le 21 ]
}

@test "a node that stands still for three seconds is waited for" {
    takes_long
    start_cluster --cluster-node-timeout 15000
    still=$(nodes primary a)
    (sleep 1; nodes pause "$still" 3) &
    lab -k 30 -d "$((SECONDS_EACH + 3))s" full_jitter
    wait
    is_whole
    python3 -c 'import json,sys; assert json.loads(sys.argv[1])["latency_ms"]["max"] > 2000' "$output"
}

@test "a node that is added, and one that leaves, take and give their slots" {
    takes_long
    start_cluster
    (sleep 1; new=$(nodes add) && sleep 1 && nodes remove "$new"; echo $? >done) 2>err &
    lab -k 30 -d "$((SECONDS_EACH + 6))s" full_jitter
    is_whole
    wait
    cat err
    [ "$(cat done)" -eq 0 ]
}

# replicas COMMAND …: on each.
replicas() {
    local port
    for port in $(cut -d' ' -f1 "$scratch/cluster/nodes"); do
        [ "$(redis-cli -p "$port" ROLE | head -n 1)" != slave ] || redis-cli -p "$port" "$@"
    done
}

at_replica() {
    "$vlockrun" -u "$url" -e "return vlock.get('$1', { read_from = 'replica' })"
}

# cut_replicas: they serve on, and hear no more of their primaries.
cut_replicas() {
    replicas CONFIG SET masteruser nobody masterauth nothing
    for port in $(cut -d' ' -f1 "$scratch/cluster/nodes"); do
        redis-cli -p "$port" CLIENT KILL TYPE replica
    done
}

@test "an update may begin with the old state that a replica knows: a conflict, and no loss" {
    start_cluster
    "$vlockrun" -u "$url" -e 'for _, key in ipairs { "{k}a", "{k}b" } do
        vlock.update(key, function() return "old" end)
    end'
    for _ in $(seq 100); do
        [ "$(at_replica '{k}b')" != old ] || break
    done
    cut_replicas
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        for _, key in ipairs { "{k}a", "{k}b" } do
            vlock.update(key, function() return "new" end)
        end'
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        local from_replica, seen = { read_from = "replica" }, {}
        print((vlock.get("{k}a", from_replica)), (vlock.get("{k}a")))
        print(vlock.update("{k}a", function(value)
            seen[#seen + 1] = value
            return value .. " and more"
        end, from_replica))
        print(vlock.update("{k}b", function(value) -- what decides not to write is the present state
            seen[#seen + 1] = value
            return nil
        end, from_replica))
        print(pcall(vlock.update, "{k}b", function(value)
            error("it was " .. value, 0)
        end, from_replica))
        return table.concat(seen, ", ")'
    echo "$output $stderr"
    [ "$output" = $'old\tnew\nnew and more\t3\nnew\t2\nfalse\tit was new\nold, new, old, new' ]
}

@test "what a replica knows by halves, or the primary never had, is not believed" {
    start_cluster
    # cell {k}gone: the record alone is there, {k}none: nothing, {k}ahead: a later state.
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        local function set(key, value)
            assert(vlock.update(key, function() return value end))
        end
        set("{k}gone", "1")
        vlock.delete("{k}gone")
        set("{k}ahead", "1")
        local kept = { redis.call("DUMP", "{k}ahead"), redis.call("DUMP", "{k}ahead:v") }
        set("{k}ahead", "2")
        set("{k}ahead", "3")
        for i = 1, 200 do
            if vlock.get("{k}ahead", { read_from = "replica" }) == "3" then break end
            vlock.sleep(0.01)
        end
        io.open("value", "wb"):write(kept[1])
        io.open("record", "wb"):write(kept[2])'
    cut_replicas
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        redis.call("SET", "{k}gone", "41")
        redis.call("SET", "{k}none", "41")
        redis.call("RESTORE", "{k}ahead", 0, io.open("value", "rb"):read("a"), "REPLACE")
        redis.call("RESTORE", "{k}ahead:v", 0, io.open("record", "rb"):read("a"), "REPLACE")'
    run --separate-stderr -0 "$vlockrun" -u "$url" -e '
        for _, key in ipairs { "{k}gone", "{k}none", "{k}ahead" } do
            print((vlock.get(key, { read_from = "replica" })))
            print((vlock.update(key, function(value)
                return (value or 0) + 1
            end, { read_from = "replica", deadline = 5 })))
        end'
    echo "$output $stderr"
    [ "$output" = $'41\n42\n41\n42\n3\n2' ]
}

@test "updates that begin at replicas lose nothing while their slot moves" {
    start_cluster
    cat >count.lua <<'END'
local value, outcome
for _ = 1, tonumber(ARGV[1]) do
    value, outcome = vlock.update("count", function(v) return (v or 0) + 1 end,
        { read_from = "replica" })
    assert(value, tostring(outcome))
end
END
    "$vlockrun" -u "$url" count.lua , 1
    "$TOP/tests/fixtures/cluster.py" move "$scratch/cluster" >moved 2>err 3>&- &
    mover=$!
    for i in 1 2 3 4; do
        for _ in $(seq 25); do timeout 60 "$vlockrun" -u "$url" count.lua , 4; done 3>&- &
        counters+=($!)
    done
    for counter in "${counters[@]}"; do
        wait "$counter"
    done
    kill $mover
    wait $mover
    [ "$(tail -n 1 moved)" -ge 2 ]
    [ "$("$vlockrun" -u "$url" -e 'return (vlock.get("count"))')" -eq 401 ]
}

@test "replicas that are read from may stand still, and go" {
    start_cluster
    cat >count.lua <<'END'
local tasks = {}
for i = 1, 5 do
    tasks[i] = vlock.spawn(function()
        for _ = 1, 40 do
            assert(vlock.update("count", function(v) return (v or 0) + 1 end,
                { read_from = "replica" }))
            vlock.sleep(0.02)
        end
    end)
end
for _, task in ipairs(tasks) do task:join() end
END
    for i in 1 2 3 4; do
        timeout 60 "$vlockrun" -u "$url" count.lua 3>&- &
        counters+=($!)
    done
    sleep 0.5
    replicas INFO commandstats | grep -c evalsha
    ports=($(replicas INFO server | sed -n 's/^tcp_port:\([0-9]*\).*/\1/p'))
    [ ${#ports[@]} -eq 3 ]
    for port in "${ports[@]}"; do
        kill -STOP "$(awk -v port="$port" '$1 == port { print $2 }' "$scratch/cluster/nodes")"
    done
    run --separate-stderr -0 "$vlockrun" -u "$url" -e 'return (vlock.update("other",
        function() return "made" end, { read_from = "replica", deadline = 0.5 }))'
    [ "$output" = made ]
    for port in "${ports[@]}"; do
        nodes kill "$port"
    done
    for counter in "${counters[@]}"; do
        wait "$counter"
    done
    [ "$("$vlockrun" -u "$url" -e 'return vlock.get("count")')" -eq 800 ]
    [ "$(at_replica count)" -eq 800 ]
}

@test "a wrong URL is told from a right one, by what to do" {
    start_cluster
    port=${url##*:}
    said() {
        run --separate-stderr timeout 20 "$vlockrun" -u "$1" -e 'return redis.call("GET", "a")'
        echo "$1: $status $output $stderr"
        [ "$status" -eq "$2" ]
        [[ $stderr == *"$3"* ]]
    }
    start_server single --port "$((port - 1))"
    said "redis+cluster://127.0.0.1:$((port - 1))" 3 "it is no node of a cluster: the URL of a single server begins with redis://"
    said "redis+cluster://127.0.0.1:1" 3 "cannot connect to redis+cluster://127.0.0.1:1: "
    said "redis+cluster://127.0.0.1:$port/3" 2 "a cluster has no database but 0"
    wrong=redis://127.0.0.1:$(nodes primary b)
    said "$wrong" 3 "the server is a node of a cluster: its URL begins with redis+cluster://"
    run --separate-stderr timeout 20 "$vlockrun" -u "$wrong" -n 100 -k 9 full_jitter
    echo "$status $stderr"
    [ "$status" -eq 3 ]
    [[ $stderr == *"its URL begins with redis+cluster://"* ]]
    # What the scheme may say, --cluster says too, of every URL that can lead to a cluster.
    for right in "$wrong" "redis+cluster://127.0.0.1:$port" \
        "valkey://127.0.0.1:1,127.0.0.1:$port"; do
        run --separate-stderr timeout 20 "$vlockrun" --cluster -u "$right" --json -n 99 -k 9 \
            full_jitter
        echo "$right: $status $output $stderr"
        [ "$status" -eq 0 ]
        [[ $output == *'+cluster://127.0.0.1:'* ]]
    done
    [ -z "$(keys_left)" ]
    # One of several is enough.
    run --separate-stderr -0 "$vlockrun" -u "redis+cluster://127.0.0.1:1,127.0.0.1:$port" -e 'return redis.call("SET", "a", 1)'
    [ "$output" = OK ]
}

@test "a node that has all slots serves a run by a URL of its own" {
    start_cluster --primaries 1 --replicas 0
    url=redis://${url#*://}
    lab -k 30 -n 1000 full_jitter
    is_whole
    [ "$(keys_left | wc -l)" -eq 0 ]
}
