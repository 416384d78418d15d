#!/usr/bin/env bats
# Stores that cheat are caught, whatever they do: by the run, and by verify on what the run wrote
# down. And where nothing can be said, that
# is said.

load environment

# value NAME …: of the JSON in $output, a line each.
value() {
    python3 -c 'import json,sys
for name in sys.argv[2:]:
    d=json.loads(sys.argv[1])
    for k in name.split("."): d=d[int(k) if k.isdigit() else k]
    print(json.dumps(d) if not isinstance(d,str) else d)' "$output" "$@"
}

# by_value NAME: the cheat, without `version`.
by_value() {
    printf 'local store = dofile("%s")\nstore.version = nil\nreturn store\n' \
        "$TOP/tests/fixtures/stores/$1.lua" >"$1.lua"
}

FINDINGS=(lost_updates duplicated unreported altered missing out_of_order stale_reads)

# is_caught STORE OPTION … -- FINDING …: the run ends with 4 and so does verify, each with these
# findings, and both with the same.
is_caught() {
    local store=$1 options=() found
    shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    run --separate-stderr timeout 60 "$vlockrun" --json --history h.jsonl --store "$store" \
        "${options[@]}" "$TOP/lua/backoff/full_jitter.lua"
    echo "run: $status $output $stderr"
    [ "$status" -eq 4 ]
    [ "$(value verified)" = false ]
    no grep -qx 0 <<<"$(value "$@")"
    found=$(value "${FINDINGS[@]}")
    run --separate-stderr timeout 60 "$vlockrun" verify --json h.jsonl
    echo "verify: $status $output $stderr"
    [ "$status" -eq 4 ]
    [ "$(value verified)" = false ]
    [ "$found" = "$(value "${FINDINGS[@]/#/runs.0.}")" ]
    [[ $(value runs.0.culprits.0) == *'"line": '[1-9]* ]]
}

cheats=$BATS_TEST_DIRNAME/../fixtures/stores

@test "a store that reads, and later writes without a check" {
    is_caught "$cheats/blind.lua" -w 8 -n 2k -- lost_updates
    [ "$(value runs.0.duplicated)" = 0 ]
    by_value blind
    is_caught blind.lua -w 8 -n 2k -- lost_updates
}

@test "a store that reports a conflict after it has written" {
    is_caught "$cheats/refused_but_written.lua" -w 8 -n 2k -- unreported
    [ "$(value runs.0.unreported)" = 40 ] # one of fifty
    [ "$(value runs.0.lost_updates)" = 0 ]
    by_value refused_but_written
    is_caught refused_but_written.lua -w 8 -n 2k -- unreported
    [ "$(value runs.0.unreported)" = 40 ]
}

@test "a store that applies an update twice" {
    is_caught "$cheats/twice.lua" -w 8 -n 1k -- duplicated altered
    [ "$(value runs.0.duplicated)" -ge 1 ] \
        # of 20: a worker that goes on from what it made itself puts it right again
    [ "$(value runs.0.lost_updates)" = 0 ]
    # By values the second one looks like a write of somebody who did not tell.
    by_value twice
    is_caught twice.lua -w 8 -n 1k -- unreported
    # Twice the same value: only the versions tell.
    is_caught "$cheats/sent_twice.lua" -w 8 -n 1k -- duplicated
    [ "$(value runs.0.duplicated)" -ge 10 ]
}

@test "a store that reports a commit that it never made" {
    is_caught "$cheats/never_made.lua" -w 8 -n 1k -- lost_updates
    by_value never_made
    is_caught never_made.lua -w 8 -n 1k -- lost_updates
}

@test "a store that loses one write of 10,000" {
    is_caught "$cheats/forgetful.lua" -w 2 -p cap=1ms -n 20k -- lost_updates
    [ "$(value runs.0.lost_updates)" = 2 ]
    by_value forgetful
    is_caught forgetful.lua -w 2 -p cap=1ms -n 10k -- lost_updates
    [ "$(value runs.0.lost_updates)" = 1 ]
    # One worker alone; and where the version moves although the value was lost.
    is_caught "$cheats/forgetful.lua" -w 1 -n 10k -- lost_updates
    [ "$(value runs.0.lost_updates)" = 1 ]
    is_caught "$cheats/half_forgetful.lua" -w 1 -n 10k -- lost_updates altered
    [ "$(value runs.0.lost_updates)" = 1 ]
}

@test "a store that reads what is over, and one that says what is not yet" {
    is_caught "$cheats/stale.lua" -w 8 -n 400 -- stale_reads
    [ "$(value runs.0.out_of_order)" = 0 ]
    run --separate-stderr timeout 60 "$vlockrun" verify h.jsonl
    echo "$output"
    [[ $output == *": stale: key "*": the read of worker "*" found "*", and began at "* ]]
    [[ $output == *" s, when line "*", which made a later one, had ended at "* ]]
    by_value stale
    is_caught stale.lua -w 8 -n 400 -- stale_reads
    is_caught "$cheats/ahead.lua" -w 8 -n 400 -- out_of_order
    run --separate-stderr timeout 60 "$vlockrun" verify h.jsonl
    echo "$output"
    [[ $output == *": out_of_order: key "*": the commit of worker "*" began at "*" s, when line "* ]]
    [[ $output == *" had ended at "*", which stands behind it in the chain"* ]]
}

@test "a store that hides a loss behind a write of unknown outcome" {
    export PLAIN=$TOP/lua/store/plain.lua
    run --separate-stderr timeout 60 "$vlockrun" --json --history h.jsonl -w 1 -n 400 --store "$cheats/unknown_reset.lua" \
        "$TOP/lua/backoff/full_jitter.lua"
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(value unknown)" = 1 ]
    [ "$(value lost_updates)" -ge 40 ]
    run timeout 60 "$vlockrun" verify h.jsonl
    echo "$output"
    [ "$status" -eq 4 ]
}

@test "the report says what is broken in words, and verify who did it, by line, worker and token" {
    run --separate-stderr timeout 60 "$vlockrun" --history h.jsonl --store \
        "$cheats/refused_but_written.lua" -w 4 -n 200 "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 4 ]
    [[ $output == *"chain        BROKEN: 4 writes that nobody reported"* ]]
    run --separate-stderr timeout 60 "$vlockrun" verify h.jsonl
    echo "$output"
    [ "$status" -eq 4 ]
    [[ $output == *"chain        BROKEN: 4 writes that nobody reported"* ]]
    line=$(sed -n 's/.*h.jsonl:\([0-9]*\): unreported: key vlock:lab:[0-9a-f]*:1: the commit of worker .* was made on 50, which nobody.*/\1/p' \
        <<<"$output")
    worker=$(sed -n "s/.*h.jsonl:$line: .*the commit of worker \([0-9]*\) .*/\1/p" <<<"$output")
    sed -n "${line}p" h.jsonl | grep -q \
        "\"worker\":$worker,\"outcome\":\"committed\",\"base\":\"50\""
    run --separate-stderr timeout 60 "$vlockrun" compare --runs 1 -n 200 \
        "none@$cheats/refused_but_written.lua"
    [ "$status" -eq 4 ]
    [[ $output == *"BROKEN: 4 writes that nobody reported"* ]]
}

@test "without versions, and where values may repeat, nothing is claimed, and it is said why" {
    cat >honest.lua <<'END'
local plain = dofile(os.getenv("PLAIN"))
return {
  read = plain.read,
  commit = function(cell, base, value, token)
    return plain.commit(cell, { stamp = base.stamp }, value, token)
  end,
}
END
    export PLAIN=$TOP/lua/store/plain.lua
    # The counter makes each value unique: by values.
    run --separate-stderr timeout 60 "$vlockrun" --json --history h.jsonl --store honest.lua -w 8 \
        -n 500 "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    [ "$(value verified)" = true ]
    "$vlockrun" verify h.jsonl
    # A merge that writes the same value again does not.
    run --separate-stderr timeout 60 "$vlockrun" --json --store honest.lua -w 8 -n 500 \
        "$TOP/lua/merge/max.lua"
    [ "$status" -eq 0 ]
    [ "$(value verified)" = null ]
    [ "$(value lost_updates)" = null ]
    [[ $(value not_verified) == *"merge 'max' may write a value twice"* ]]
    # Nor does an update of the scenario's own have to.
    printf 'return { backoff = "none", scenario = { workers = 2, commits = 50, update = function() return "same" end } }' >own.lua
    run --separate-stderr timeout 60 "$vlockrun" --history h.jsonl --store honest.lua own.lua
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"chain        not verified: the store has no versions, and the update is the scenario's own: its values may repeat"* ]]
    run --separate-stderr timeout 60 "$vlockrun" verify h.jsonl
    [ "$status" -eq 0 ]
    [[ $output == *"chain        not verified: the store has no versions"* ]]
    run --separate-stderr timeout 60 "$vlockrun" verify --json h.jsonl
    [ "$(value verified)" = null ]
    run --separate-stderr timeout 60 "$vlockrun" --json --require verified==true --store \
        honest.lua own.lua
    [ "$status" -eq 4 ]
    # With versions, both are verified.
    run --separate-stderr timeout 60 "$vlockrun" --json own.lua
    [ "$(value verified)" = true ]
}

@test "values are compared although stamps are right: somebody who writes past the versions is seen" {
    cat >outsider.lua <<'END'
return {
  backoff = function(p, c)
    if c.attempt == 2 then
      redis.call("SET", c.key, "777") -- moves no version
    end
    return c.random() / 1000
  end,
}
END
    run --separate-stderr timeout 60 "$vlockrun" --json -w 8 -n 2k outsider.lua
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(value altered)" -gt 0 ]
}
