#!/usr/bin/env bats
# What --json prints: every mode against its schema, and every field within reach of --require.

load environment

# valid SCHEMA OPTION …: vlockrun --json with these prints one document that the schema takes; it is
# left in out.json.
valid() {
    local schema=$1
    shift
    run --separate-stderr "$vlockrun" --json "$@"
    printf '%s\n' "$output" >out.json
    echo "$stderr"
    /usr/bin/python3 - "$TOP/tests/schema/$schema.schema.json" out.json <<'END'
import json, sys
import jsonschema
schema, document = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft7Validator.check_schema(schema)
errors = sorted(jsonschema.Draft7Validator(schema).iter_errors(document), key=str)
for error in errors:
    print("/".join(map(str, error.absolute_path)), error.message[:300])
    for cause in error.context:
        print("    /".join(map(str, cause.absolute_path)), cause.message[:200])
sys.exit(bool(errors))
END
}

policy=lua/backoff/full_jitter.lua

@test "one run, several runs, a duration, updates of each worker" {
    valid lab --commits 300 "$TOP/$policy"
    valid lab --commits 300 --runs 2 "$TOP/$policy"
    valid lab --duration 50ms --think 1ms --value-size 20 -k 3 --dist zipf:1.1 "$TOP/$policy"
    valid lab --per-worker 3 --combine -c 4 -w 5 "$TOP/$policy"
}

@test "the open loop, thresholds, a run in which nothing was committed" {
    valid lab --rate 500 --duration 100ms "$TOP/$policy"
    valid lab --commits 100 --require 'p99<1h' --require 'verified==true' --require 'commits>1M' \
        "$TOP/$policy"
    [ "$status" -eq 4 ]
    valid lab --commits 0 --require 'p99<1h' "$TOP/$policy"
    [ "$status" -eq 4 ]
}

@test "compare and sweeps, of the scenario and of a parameter" {
    valid lab compare --duration 30ms full_jitter none@watch
    valid lab --duration 30ms --sweep workers=1,10 --sweep backoff.cap=1ms,10ms "$TOP/$policy"
    valid lab compare --duration 30ms --runs 1 --sweep combine=no,yes full_jitter none
}

@test "failures: gave up, errors, a broken chain, an interrupted run" {
    valid lab --commits 300 -e '{ retry = { "attempts", max = 1 }, backoff = "none" }'
    valid lab --commits 100 -e \
        '{ scenario = { update = function(v) redis.call("NOSUCH") end }, backoff = "none" }'
    valid lab --duration 20s --timeout 1s "$TOP/$policy"
    cp "$TOP/tests/fixtures/stores/blind.lua" cheat.lua
    valid lab --commits 300 --store ./cheat.lua "$TOP/$policy"
    [ "$status" -eq 4 ]
}

@test "simulations, with every kind of fault, and several of them" {
    cat >all.lua <<'END'
return {
  delay = { "normal", mean = "1ms", deviation = "200us", minimum = "500us" },
  service = { default = "1us", EVALSHA = "10us" },
  timeout = "50ms",
  faults = { lost_request = 0.01, lost_reply = 0.01, cut_request = 0.01, cut_reply = 0.01,
    late_request = 0.01, lateness = "20ms" },
  stall = { at = "50ms", takes = "10ms" },
  failover = { at = "100ms", every = "1s", takes = "5ms", forgets = "2ms" },
}
END
    valid lab --sim=all.lua -w 10 -n 500 "$TOP/$policy"
    valid lab --sim=aws --runs 3 -w 10 -n 100 --require 'sim.events>1' "$TOP/$policy"
    [ "$status" -eq 0 ]
    valid lab compare --sim=lan -n 100 full_jitter none
}

@test "verify: whole, broken, and where nothing can be said" {
    "$vlockrun" --history whole.jsonl --runs 2 -n 200 "$TOP/$policy"
    valid verify verify whole.jsonl
    [ "$status" -eq 0 ]
    "$vlockrun" --history broken.jsonl -n 200 --store "$TOP/tests/fixtures/stores/blind.lua" \
        "$TOP/$policy" || true
    valid verify verify broken.jsonl whole.jsonl
    [ "$status" -eq 4 ]
    "$vlockrun" --history unsaid.jsonl -n 20 -e '{ backoff = "none", merge = "last_wins" }' \
        --store "$TOP/tests/fixtures/stores/blind.lua" || true
    cat >plain.lua <<'END'
return {
  read = function(cell) return redis.call("GET", cell.key) or nil, "" end,
  commit = function(cell, base, value) redis.call("SET", cell.key, value) return "committed", "" end,
}
END
    valid lab --history unsaid.jsonl -n 20 --store ./plain.lua -e \
        '{ backoff = "none", scenario = { update = function() return "x" end } }'
    valid verify verify unsaid.jsonl
    grep -q '"verified":null' out.json
}

@test "the schema itself refuses what is not in it" {
    valid lab --commits 10 "$TOP/$policy"
    sed -i 's/"commits":10/"comits":10/' out.json
    run /usr/bin/python3 -m jsonschema -i out.json "$TOP/tests/schema/lab.schema.json"
    [ "$status" -ne 0 ]
}

@test "every figure of the JSON can be a threshold" {
    valid lab --runs 2 --duration 50ms --rate 500 --value-size 10 --require 'p99<1h' "$TOP/$policy"
    /usr/bin/python3 - out.json >fields <<'END'
import json, sys
def leaves(path, node):
    if isinstance(node, dict):
        for name, inner in node.items():
            if name not in ("require", "values", "params"):
                yield from leaves(path + [name], inner)
    elif isinstance(node, bool):
        yield ".".join(path) + "==true"
    elif isinstance(node, (int, float)):
        yield ".".join(path) + ">=0"
print("\n".join(leaves([], json.load(open(sys.argv[1])))))
END
    [ "$(wc -l <fields)" -gt 80 ]
    require=()
    while read -r field; do require+=(--require "$field"); done <fields
    run --separate-stderr "$vlockrun" --runs 2 --duration 50ms --rate 500 --value-size 10 \
        "${require[@]}" "$TOP/$policy"
    echo "$output"
    echo "$stderr"
    [ "$(grep -c '^require ' <<<"$output")" -eq "$(wc -l <fields)" ]
    [[ $output != *"not measured"* ]]
}
