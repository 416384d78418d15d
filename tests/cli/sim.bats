#!/usr/bin/env bats
# vlockrun --sim: the lab in virtual time, against a modelled network and server.

load environment

# The JSON of a run, without the time that the processor took.
json() {
    "$vlockrun" --json "$@" | sed 's/,"cpu_seconds":[^,}]*//g; s/"cpu_seconds":[^,}]*,//g'
}

# field EXPRESSION JSON: of a document d, as Python sees it.
field() {
    python3 -c "import json, sys; d = json.loads(sys.argv[1]); print($1)" "$2"
}

refuses() {
    local expected=$1
    shift
    run -2 "$vlockrun" "$@"
    [[ $output == *"$expected"* ]] || { echo "$output"; return 1; }
}

@test "the model of the article gives what the article's simulator gave" {
    cd "$TOP"
    run -0 env VLOCKRUN="$vlockrun" "$vlockrun" tests/reference/aws.lua , 200 10
    run -0 env VLOCKRUN="$vlockrun" "$vlockrun" tests/reference/aws.lua , 30 100 decorrelated
}

@test "two clients of the article's model need three calls, whatever the policy" {
    local policy
    for policy in none exponential equal_jitter full_jitter decorrelated; do
        out=$(json --sim=aws -w 2 --per-worker 1 --runs 20 "$policy")
        [ "$(field 'set(d["stats"]["calls"]["values"])' "$out")" = "{3}" ]
    done
}

@test "the same seed gives the same bytes, another one others" {
    cat >mine.lua <<'END'
return {
  retry = "forever",
  backoff = function(p, c)
    assert(os.time() >= 1700000000 and os.time() < 1700000100)
    return (math.random() + c.random() + os.clock() % 0.001) * 1e-4
  end,
}
END
    local model
    for model in aws loopback lan wan; do
        json --sim=$model --seed 5 -w 20 -n 200 mine.lua >one
        json --sim=$model --seed 5 -w 20 -n 200 mine.lua >two
        json --sim=$model --seed 6 -w 20 -n 200 mine.lua >three
        cmp one two
        no cmp -s one three
        [ "$(field 'd["verified"], d["commits"]' "$(cat one)")" = "True 200" ]
    done
}

@test "no server is started, and the document says what was simulated" {
    env PATH=/nowhere "$vlockrun" --json --sim --seed 1 -w 5 -n 100 full_jitter >one 2>err
    [ ! -s err ]
    [ "$(field 'd["server"], d["sim"]["model"], d["sim"]["server"], d["store"]' "$(cat one)")" \
        = "None loopback redis plain" ]
    [ "$(field 'd["sim"]["events"] > 2 * d["commands"]' "$(cat one)")" = True ]
    run -0 "$vlockrun" --sim=lan --seed 1 -w 5 -n 100 full_jitter
    [[ $output == *"simulated (lan)"* ]]
}

@test "of two clients that begin together neither has the key to itself" {
    # Where the first one took no turns at once, it was so in 8 of these 20.
    owned=0
    for seed in {1..20}; do
        jain=$(field 'd["fairness"]["jain"]' \
            "$("$vlockrun" --json --sim --seed "$seed" -w 2 -d 0.5s full_jitter)")
        awk -v jain="$jain" 'BEGIN { exit jain >= 0.8 }' && owned=$((owned + 1))
    done
    echo "$owned of 20"
    [ "$owned" -le 5 ]
}

@test "hours of virtual time are over at once" {
    SECONDS=0
    out=$(json --sim=wan -w 2 -n 100 --think 5m full_jitter)
    [ "$SECONDS" -lt 20 ]
    [ "$(field 'd["seconds"] > 10000 and d["verified"]' "$out")" = True ]
}

@test "a run of limited time ends at that time" {
    out=$(json --sim=lan --seed 1 -w 10 -d 2s exponential)
    [ "$(field '2 <= d["seconds"] < 2.5 and d["commits"] > 1000' "$out")" = True ]
}

@test "an open loop begins what is due, however long it takes" {
    out=$(json --sim=lan --seed 1 -w 200 --rate 1000 -d 5s full_jitter)
    [ "$(field '4800 < d["commits"] < 5200 and d["open_loop"]["kept_up"]' "$out")" = True ]
}

@test "server time is a queue: twice as long, half as fast" {
    cat >slow.lua <<'END'
return { delay = "10us", service = "1ms" }
END
    sed 's/1ms/2ms/' slow.lua >slower.lua
    one=$(json --sim=slow.lua --seed 1 -w 50 -k 50 --dist own -n 2000 none)
    two=$(json --sim=slower.lua --seed 1 -w 50 -k 50 --dist own -n 2000 none)
    [ "$(field '800 < d["commits_per_second"] < 1000' "$one")" = True ]
    [ "$(field '400 < d["commits_per_second"] < 500' "$two")" = True ]
}

@test "the merges of the server, sweeps, thresholds and histories work in a simulation" {
    out=$(json --sim=lan --seed 1 -w 20 -n 500 -p merge.at=server counter)
    [ "$(field 'd["verified"], d["attempts_per_commit"]' "$out")" = "True 1" ]
    run -4 "$vlockrun" --sim=lan --seed 1 -w 20 -n 100 --require 'p50<1us' none
    out=$(json compare --sim=aws --sweep workers=2,4 --per-worker 1 --runs 2 none full_jitter)
    [ "$(field '[r["swept"]["workers"] for r in d["runs"]]' "$out")" = "[2, 4, 2, 4]" ]
    "$vlockrun" --sim=lan --seed 1 -w 5 -n 100 --history h.jsonl full_jitter
    run -0 "$vlockrun" verify h.jsonl
}

@test "what a conflict does not tell is read" {
    cat >mute.lua <<'END'
return { delay = "100us", ordered = true, conflict_value = false }
END
    sed 's/, conflict_value = false//' mute.lua >telling.lua
    mute=$(json --sim=mute.lua --seed 1 -w 5 -n 200 none)
    telling=$(json --sim=telling.lua --seed 1 -w 5 -n 200 none)
    # An update reads once at most when it begins; all other commands are attempts, but for those of
    # each worker by which the server learns its script.
    [ "$(field 'd["verified"] and d["commands"] >= d["attempts"] + d["conflicts"] > 400' "$mute")" = True ]
    [ "$(field 'd["verified"] and d["commands"] < d["attempts"] + 1.1 * d["commits"] < 2 * d["conflicts"]' "$telling")" = True ]
}

@test "after a pause unbounded retries stay down, and bounded ones recover" {
    cat >pausing.lua <<'END'
return { delay = "1ms", ordered = true, timeout = "250ms", service = "1ms",
  stall = { at = "5s", takes = "1s" } }
END
    options=(--sim=pausing.lua --seed 1 --rate 150 -d 20s -w 2000 -c 2000 -k 20)
    down=$(json "${options[@]}" -e '{ retry = "forever" }')
    up=$(json "${options[@]}" -e '{ retry = { "attempts", max = 3 } }')
    [ "$(field 'd["commits"] < 1200 and d["sim"]["timeouts"] > 10000' "$down")" = True ]
    [ "$(field 'd["commits"] > 2500' "$up")" = True ]
}

@test "a simulation that cannot be is refused: what, where, and what there is" {
    refuses "no model 'lann', did you mean 'lan'?; there are: aws, lan, loopback, wan" \
        --sim=lann none
    refuses "cannot read the model: ./nowhere.lua" --sim=./nowhere.lua none
    refuses "--sim and --url exclude each other" --sim --url redis://localhost none
    refuses "--sim and --cluster exclude each other" --sim --cluster --url redis://localhost none
    refuses "the model 'aws' has a store of its own" --sim=aws --store watch none
    refuses "the model 'aws' has a store of its own" compare --sim=aws none none@watch
    refuses "--sim needs a value that is not empty" --sim= none
    local line
    while IFS='|' read -r fields expected; do
        echo "return { $fields }" >bad.lua
        refuses "bad.lua: $expected" --sim=bad.lua none
    done <<'END'
dealy = "1ms"|unknown field 'dealy', did you mean 'delay'?; there are: conflict_value
delay = "often"|delay: must be a duration
delay = { "normale", mean = 1 }|delay: a delay is a duration, or begins with its kind, not 'normale', did you mean 'normal'?
delay = { "normal", mean = "1ms" }|delay: normal needs deviation
delay = { "uniform", from = "2ms", to = "1ms" }|delay: uniform: from must not be more than to
delay = { "quantiles", "1ms", "3ms", "2ms" }|delay: quantiles must rise
server = "mysql"|server: must be "redis" or "register", not 'mysql'
service = { GET = "fast" }|service.GET: must be a duration
timeout = 0|timeout: must be more than 0
faults = { lost = 1 }|faults: unknown field 'lost'
faults = { lost_reply = 2 }|faults.lost_reply: must be a probability
faults = { lost_reply = 0.6, cut_reply = 0.6 }|faults: what happens to a reply is more than certain
stall = { takes = "1s" }|stall: says when
failover = { every = "1s", takes = "2s" }|failover: takes longer than the time to the next one
END
    echo 'return 7' >bad.lua
    refuses "bad.lua: must be a table, not 7" --sim=bad.lua none
}

@test "in a simulation there is no other server, and no other command" {
    cat >out.lua <<'END'
return { backoff = function() redis.connect("redis://localhost") return 0 end }
END
    run -1 "$vlockrun" --sim=lan --seed 1 -w 5 -n 100 out.lua
    [[ $output == *"in a simulation there is no server but the simulated one"* ]]
    cat >zadd.lua <<'END'
return { backoff = function() redis.call("ZADD", "k", 1, "m") return 0 end }
END
    run "$vlockrun" --sim=lan --seed 1 -w 5 -n 100 zadd.lua
    [ "$status" -eq 1 ]
    [[ $output == *"does not know the command 'ZADD'; it knows: APPEND, "* ]]
}

@test "Ctrl-C ends a simulation with its report" {
    local model
    for model in lan aws; do
        "$vlockrun" --sim=$model -w 50 -n 100M none >out 2>&1 3>&- &
        pid=$!
        sleep 2
        kill -INT $pid
        status=0
        wait $pid || status=$?
        [ "$status" -eq 130 ]
        grep -q "(interrupted)" out
    done
}
