#!/usr/bin/env bats
# Policies side by side: compare, sweeps, repeated runs, thresholds, the open loop.

load environment

# value EXPRESSION: of the JSON in $output, as d.
value() {
    python3 -c 'import json,sys; d=json.loads(sys.argv[1]); v=eval(sys.argv[2]); print(v if isinstance(v,str) else json.dumps(v))' "$output" "$1"
}

compare() {
    run --separate-stderr "$vlockrun" compare "$@"
    echo "$output $stderr" >&2
}

@test "compare runs each policy on the same scenario and shows a row for each" {
    compare -d 100ms full_jitter none "$TOP/lua/backoff/linear.lua" full_jitter+counter
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "scenario     50 workers on 1 key, 50 connections, 100ms" ]]
    for name in full_jitter none linear full_jitter[+]counter; do
        grep -qE "^$name +[0-9,]+ ±" <<<"$output"
    done
    [[ $output == *"* best of its column"*"the ranges of their 3 runs overlap"* ]]
}

@test "compare --json has an entry for each policy, with statistics over its runs, every one verified" {
    compare --json --runs 4 -n 300 -w 5 --seed 9 full_jitter none@watch
    [ "$status" -eq 0 ]
    [ "$(value '[r["label"] for r in d["runs"]]')" = '["full_jitter", "none@watch"]' ]
    [ "$(value '[r["store"] for r in d["runs"]]')" = '["plain", "watch"]' ]
    [ "$(value 'all(r["verified"] is True and r["commits"] == 300 and r["runs"] == 4 and r["seed"] == 9 for r in d["runs"])')" = true ]
    [ "$(value 'all(len(r["stats"]["p99"]["values"]) == 4 for r in d["runs"])')" = true ]
    # figures are medians, and the standard error is the one of the textbook
    [ "$(value 'all(abs(r["latency_ms"]["p50"] - __import__("statistics").median(r["stats"]["p50"]["values"])) < 1e-9 for r in d["runs"])')" = true ]
    local sem_of='(lambda of: abs(of["sem"] - __import__("statistics").stdev(of["values"]) / 2))'
    [ "$(value "all($sem_of(r[\"stats\"][\"calls\"]) < 1e-6 for r in d[\"runs\"])")" = true ]
}

@test "several runs on a server of yours, and nothing is left there" {
    start_server s
    cli SET mine here
    run -0 "$vlockrun" compare -u "$url" --duration 50ms full_jitter none@watch
    echo "$output"
    [ "$(grep -cE '^(full_jitter|none@watch) ' <<<"$output")" -eq 2 ]
    run -0 "$vlockrun" -u "$url" --runs 2 --commits 100 "$TOP/lua/backoff/none.lua"
    [ "$(cli KEYS '*')" = mine ]
}

@test "a policy that wins by starving the others is marked, and is not the best" {
    # Worker 1 never waits, all others wait for long.
    cat >selfish.lua <<'END'
return { backoff = function(p, c) return c.worker == 1 and 0 or 1 end }
END
    compare -d 1s -w 5 selfish.lua fixed
    [ "$status" -eq 0 ]
    grep -qE '^selfish .*STARVES others' <<<"$output"
    no grep '^selfish .*[*]' <<<"$output"
    compare --json -d 1s --runs 1 -w 5 selfish.lua fixed
    [ "$(value '[r["starved"] for r in d["runs"]]')" = "[true, false]" ]
    # Of two workers one has nearly everything: Jain's index is 0.5 then. And a few commits are
    # uneven by chance.
    compare --json -d 1s --runs 1 -w 2 selfish.lua none
    [ "$(value '[r["starved"] for r in d["runs"]]')" = "[true, false]" ]
    compare --json -n 20 --runs 1 selfish.lua none
    [ "$(value '[r["starved"] for r in d["runs"]]')" = "[false, false]" ]
}

@test "compare ends with 4 where one of the stores cheats, and the table says which" {
    cp "$TOP/tests/fixtures/stores/blind.lua" blind.lua
    compare -n 500 --runs 1 -w 10 full_jitter full_jitter@blind.lua
    [ "$status" -eq 4 ]
    grep -qE '^full_jitter@blind.lua .*BROKEN: [1-9]' <<<"$output"
    no grep '^full_jitter .*BROKEN' <<<"$output"
}

@test "what compare cannot run is refused before anything runs" {
    compare
    [ "$status" -eq 2 ]
    [[ $stderr == *"compare what?"* ]]
    compare full_jiter none
    [ "$status" -eq 2 ]
    [[ $stderr == *"no policy 'full_jiter', did you mean 'full_jitter'?"* ]]
    compare none@wach
    [ "$status" -eq 2 ]
    [[ $stderr == *"did you mean 'watch'?"* ]]
    compare missing.lua
    [ "$status" -eq 2 ]
    [[ $stderr == *"missing.lua"* ]]
    compare full_jitter+none
    [ "$status" -eq 2 ]
    [[ $stderr == *"both 'full_jitter' and 'none' are a backoff"* ]]
    printf 'return {\n  backoff = 5\n}\n' >broken.lua
    compare none broken.lua
    [ "$status" -eq 1 ]
    [[ $stderr == *"broken.lua"* ]]
    compare -p bas=1ms full_jitter none
    [ "$status" -eq 2 ]
    [[ $stderr == *"no part of the policy has a parameter 'bas'"* ]]
    [[ $stderr != *"private empty server"* ]]
}

@test "-p is for those that have the parameter, and says who has not" {
    compare --json -n 100 --runs 1 -p cap=9ms full_jitter none
    [ "$status" -eq 0 ]
    [[ $stderr == *"left as it is: none: -p cap=9ms"* ]]
    [ "$(value 'd["runs"][0]["policy"]["params"]["backoff"]["cap"]')" = 0.009 ]
}

@test "options may stand behind the words of compare" {
    compare none full_jitter --json -n 50 --runs 1
    [ "$status" -eq 0 ]
    [ "$(value 'len(d["runs"])')" = 2 ]
}

@test "a sweep runs every value, two make a grid, of the scenario or of a parameter" {
    run --separate-stderr "$vlockrun" --json --runs 1 -n 60 --sweep workers=1,3 --sweep \
        base=1ms,2ms "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    [ "$(value '[[r["swept"]["workers"], r["swept"]["base"]] for r in d["runs"]]')" = \
        "[[1, 0.001], [1, 0.002], [3, 0.001], [3, 0.002]]" ]
    local pair='[r["scenario"]["workers"], r["policy"]["params"]["backoff"]["base"]]'
    [ "$(value "[$pair for r in d[\"runs\"]]")" \
        = "[[1, 0.001], [1, 0.002], [3, 0.001], [3, 0.002]]" ]
    compare -d 50ms --sweep keys=1,8 none fixed
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == *"on 1/8 keys"* ]]
    [ "$(grep -cE '^(none|fixed) +[18] ' <<<"$output")" -eq 4 ]
}

@test "sweeps that do not go together are refused" {
    for sweeps in "commits=1,2 per-worker=1,2" "value-size=1,2 value_size=3,4" \
        "commits=1,2 duration=1s,2s"; do
        set -- $sweeps
        compare --sweep "$1" --sweep "$2" none full_jitter
        [ "$status" -eq 2 ]
    done
    compare --sweep think=1ms,2ms --rate 100 none full_jitter
    [ "$status" -eq 2 ]
    [[ $stderr == *"exclude each other" ]]
}

@test "a value, or a parameter under two names, is swept once" {
    for twice in workers=5,5 workers=1000,2,1k think=1ms,1000us dist=own,own pause=1s,1000ms; do
        run "$vlockrun" -n 10 --sweep "$twice" fixed
        echo "$twice: $output"
        [ "$status" -eq 2 ]
        [[ $output == *"--sweep ${twice%%=*}: "*" stands there twice"* ]]
    done
    run "$vlockrun" -n 10 --sweep pause=1ms,2ms --sweep backoff.pause=1ms,2ms fixed
    [ "$status" -eq 2 ]
    [[ $output == *"--sweep backoff.pause: --sweep pause stands for the same parameter"* ]]
    run "$vlockrun" -n 10 --runs 1 --sweep retry.max=1s,2s --sweep base=1ms,2ms full_jitter
    [ "$status" -eq 0 ]
}

@test "labels and the files named after them never collide" {
    mkdir a b
    for file in a/mine.lua b/mine.lua "mine (2).lua" "mine.2.lua"; do
        echo 'return { backoff = "none" }' >"$file"
    done
    # A name that is given must not be one that a later policy brings along.
    run --separate-stderr "$vlockrun" compare --runs 1 -n 20 -w 2 --hgrm o.hgrm a/mine.lua \
        b/mine.lua b/mine.lua "mine (2).lua" mine.2.lua
    echo "$output$stderr"
    [ "$status" -eq 0 ]
    [ "$(sed -n '6,10s/   .*//p' <<<"$output" | tr '\n' ',')" = \
        "mine,mine (3),mine (4),mine (2),mine.2," ]
    [ "$(grep -c 'wrote o' <<<"$stderr")" -eq 5 ]
    [ "$(grep 'wrote o' <<<"$stderr" | sort -u | wc -l)" -eq 5 ]
    [ "$(tail -qn 1 o.*hgrm | sort -u | wc -l)" -eq 5 ]
}

@test "a bad sweep is refused" {
    for bad in workers=1,,2 workers= worker=1,2 workers=0,1 base=x,1ms; do
        run "$vlockrun" -n 10 --sweep "$bad" "$TOP/lua/backoff/full_jitter.lua"
        echo "$bad: $output"
        [ "$status" -eq 2 ]
        [[ $output == *"--sweep"* ]]
    done
    run "$vlockrun" -n 10 --sweep worker=1,2 "$TOP/lua/backoff/full_jitter.lua"
    [[ $output == *"did you mean 'workers'?"* ]]
    run "$vlockrun" -n 10 --sweep workers=1 --sweep keys=1 --sweep rate=1 \
        "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 2 ]
}

@test "--require holds every field against a threshold, shows what was measured, and ends with 4" {
    run --separate-stderr "$vlockrun" -n 500 --require 'p99<1h' --require 'commits==500' --require 'verified==true' --require 'fairness.jain>0' \
        "$TOP/lua/backoff/full_jitter.lua"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(grep -c '^require .*, met$' <<<"$output")" -eq 4 ]
    run --separate-stderr "$vlockrun" -n 500 --require 'p99<1h' --require 'commits>=1M' \
        "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 4 ]
    [[ $output == *"commits>=1M: 500, NOT MET"* ]]
    run --separate-stderr "$vlockrun" --json -n 500 --require 'max<1ns' \
        "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 4 ]
    [ "$(value 'd["require"][0]["met"] is False and d["require"][0]["measured"] == d["latency_ms"]["max"]')" = true ]
    compare -n 100 --runs 1 --require 'attempts_per_commit<1.0001' -w 20 none fixed
    [ "$status" -eq 4 ]
}

@test "a bad threshold is refused before anything runs" {
    for bad in 'p9<1' 'p99' 'p99<' 'p99<x' 'verified>true' 'verified==maybe' 'p99<<1'; do
        run "$vlockrun" -n 10 --require "$bad" "$TOP/lua/backoff/none.lua"
        echo "$bad: $output"
        [ "$status" -eq 2 ]
        [[ $output == *"--require '$bad'"* ]]
        [[ $output != *"private empty server"* ]]
    done
    run "$vlockrun" -n 10 --require 'fairnes.jain>1' "$TOP/lua/backoff/none.lua"
    [[ $output == *"did you mean 'fairness.jain'?"* ]]
}

@test "what was not measured meets no threshold" {
    run --separate-stderr "$vlockrun" -n 0 --require 'p99<1h' "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 4 ]
    [[ $output == *"p99<1h: not measured, NOT MET"* ]]
}

@test "the open loop begins updates at the rate asked for, and says so" {
    run --separate-stderr "$vlockrun" --json --rate 1k -d 2s --dist own -k 50 "$TOP/lua/backoff/full_jitter.lua"
    echo "$output"
    [ "$status" -eq 0 ]
    # 2,000 arrivals expected, standard deviation 45
    [ "$(value '1700 < d["commits"] < 2300 and d["open_loop"]["kept_up"] is True and d["scenario"]["rate"] == 1000')" = true ]
    run --separate-stderr "$vlockrun" --rate 10 --think 1ms "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 2 ]
    run --separate-stderr "$vlockrun" --rate 0 "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 2 ]
}

@test "an open loop keeps its rate however it ends: few updates, many workers, updates per worker" {
    local end
    for end in '-n 100 -w 1' '-n 100 -w 200 -k 200 --dist own' '-n 400 -w 50 -k 50 --dist own' \
        '--per-worker 8 -w 50 -k 50 --dist own' '-d 800ms -w 50 -k 50 --dist own'; do
        # shellcheck disable=SC2086 # options are words
        run --separate-stderr "$vlockrun" --json --seed 1 --rate 500 $end "$TOP/lua/backoff/none.lua"
        echo "$end: $output"
        [ "$status" -eq 0 ]
        # 100 arrivals: standard deviation 10 %
        [ "$(value '0.6 < d["open_loop"]["begun"] / 500 < 1.6 and d["commits_per_second"] > 300 and d["open_loop"]["kept_up"]')" = true ]
    done
    run --separate-stderr "$vlockrun" --json --rate 1M -n 20k -w 4 "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 4 ]
    [ "$(value 'd["open_loop"]["kept_up"]')" = false ]
    run --separate-stderr "$vlockrun" --json --rate 100 -d 0s "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 0 ]
    [ "$(value 'd["open_loop"]["begun"]')" = 0 ]
}

@test "what shows how a run goes ends with it" {
    local before=$SECONDS
    run --separate-stderr "$vlockrun" --interval 20s -n 20 "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 0 ]
    [ $((SECONDS - before)) -lt 10 ]
}

@test "a rate beyond all measure is one that it did not keep up with" {
    run --separate-stderr "$vlockrun" --rate 1e9 -d 200ms "$TOP/lua/backoff/none.lua"
    echo "$output $stderr"
    [ "$status" -eq 4 ]
    [[ $output == *"DID NOT KEEP UP"* ]]
    run "$vlockrun" --require 'open_loop.kept_up==false' -n 10 "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 4 ]
    [[ $output == *"open_loop.kept_up==false: not measured, NOT MET"* ]]
}

@test "one that fails costs the others nothing" {
    printf 'local n = 0 return { backoff = function() n = n + 1 if n > 3 then error("late boom") end return 0 end }' >boom.lua
    compare -w 20 -n 2000 none boom.lua full_jitter
    [ "$status" -eq 1 ]
    [ "$(grep -cE '^(none|full_jitter) ' <<<"$output")" -eq 2 ]
    [[ $output == *"chains: all 6 runs whole, "* ]]
    [[ $stderr == *"boom was ended: boom.lua:1: late boom"* ]]
}

@test "who gives up wins nothing" {
    printf 'return { retry = { "attempts", max = 1 }, backoff = "none" }' >quit.lua
    compare -n 2000 --runs 1 full_jitter quit.lua
    grep -q '^quit .* gave up' <<<"$output"
    no grep '^quit .*[*]' <<<"$output"
}

@test "a generator that cannot keep up says so and fails" {
    run --separate-stderr "$vlockrun" --rate 1M -d 300ms "$TOP/lua/backoff/full_jitter.lua"
    echo "$output"
    [ "$status" -eq 4 ]
    [[ $output == *"DID NOT KEEP UP"* ]]
}

# A server that stands still for 500 ms while one worker updates at a rate, or as fast as it can:
# p99.9 in ms is in $p999.
with_a_stall() {
    "$vlockrun" --json -u "$url" -w 4 -k 4 --dist own -d 3s "$@" "$TOP/lua/backoff/full_jitter.lua" >out 2>err &
    pid=$!
    sleep 1.2
    kill -STOP "$server"
    sleep 0.5
    kill -CONT "$server"
    wait $pid
    p999=$(python3 -c 'import json; print(json.load(open("out"))["latency_ms"]["p999"])')
    echo "$* p99.9: $p999 ms"
}

@test "a stall of 500 ms is in the open loop's p99.9, and not in the closed loop's" {
    start_server s
    with_a_stall --rate 400
    python3 -c 'import sys; sys.exit(not 300 < float(sys.argv[1]) < 3000)' "$p999"
    with_a_stall
    python3 -c 'import sys; sys.exit(not float(sys.argv[1]) < 100)' "$p999"
}

@test "--interval writes a line every so often" {
    run --separate-stderr "$vlockrun" -d 1s --interval 200ms "$TOP/lua/backoff/full_jitter.lua"
    echo "$stderr"
    [ "$status" -eq 0 ]
    [ "$(grep -cE 's +[0-9,]+ commits/s +[0-9]+% conflicts  p50 .* p99 ' <<<"$stderr")" -ge 3 ]
}

@test "--value-size makes values of that size" {
    start_server s
    cat >peek.lua <<'END'
return {
  backoff = function(p, c)
    if c.attempt == 1 then redis.call("SET", "peek", #c.theirs.value) end
    return 0
  end,
}
END
    run --separate-stderr "$vlockrun" -u "$url" -n 2k --value-size 1000 peek.lua
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"values of 1,000 bytes"* ]]
    [ "$(cli GET peek)" = 1000 ]
    "$vlockrun" -u "$url" -w 1 -n 110 --value-size 6 --history h.jsonl none
    grep -q '"9 \.\.\.\."' h.jsonl
    grep -q '"10 \.\.\."' h.jsonl
    grep -q '"110 \.\."' h.jsonl
}

@test "an interrupted comparison reports what it has" {
    "$vlockrun" compare --json -d 300ms --runs 50 none fixed >out 2>err &
    pid=$!
    sleep 2
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" -eq 130 ]
    output=$(cat out)
    [ "$(value 'len(d["runs"]) == 2 and all(r["verified"] and 1 <= r.get("runs", 1) < 50 for r in d["runs"])')" = true ]
}
