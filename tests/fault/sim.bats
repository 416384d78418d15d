#!/usr/bin/env bats
# Faults of a modelled network and server: replies are lost, connections cut, commands arrive long
# after their connection's end, servers fail over. What the update loop tells of each write must be
# true all the same, seed by seed; and a seed that shows a failure shows it again.
# VLOCK_SIM_SEEDS: how many, of 500 updates each; default 20. 2000 of them are a million updates.

load ../cli/environment

seeds=${VLOCK_SIM_SEEDS:-10}

# write_model NAME [FIELDS]: a network on which a message in fifty meets with something.
write_model() {
    cat >"$1.lua" <<END
return {
  delay = { "lognormal", median = "100us", sigma = 0.5 },
  ordered = true,
  service = { default = "1us", EVALSHA = "4us" },
  timeout = "20ms",
  faults = { lost_request = 0.004, lost_reply = 0.004, cut_request = 0.004, cut_reply = 0.004,
    late_request = 0.01, lateness = { "exponential", mean = "20ms" } },
  ${2:-}
}
END
}

# Writes to seen what all seeds came to, as VERIFIED LOST DUPLICATED UNKNOWN HISTORY_LOST CUT LATE;
# says which seed is not whole.
run_seeds() {
    local seed
    for seed in $(seq "$seeds"); do
        "$vlockrun" --json --seed "$seed" -w 10 -k 2 -n 500 "$@" >"$seed.json" || true
    done
    python3 - "$seeds" >seen <<'END'
import json, sys
total = [0] * 7
for seed in range(1, int(sys.argv[1]) + 1):
    d = json.load(open("%d.json" % seed))
    if d["verified"] is not True:
        print("seed %d is not whole" % seed, file=sys.stderr)
    for i, count in enumerate((d["verified"] is True, d["lost_updates"], d["duplicated"], d["unknown"],
                               d["history_lost"], d["sim"]["cut"], d["sim"]["late"])):
        total[i] += count
print(*total)
END
    read -r verified lost duplicated unknown history_lost cut late <seen
}

@test "no seed of a faulty network has a lost update, one applied twice, or a false report" {
    write_model faulty
    for policy in full_jitter none; do
        run_seeds --sim=faulty.lua $policy
        [ "$verified $lost $duplicated $history_lost" = "$seeds 0 0 0" ]
        [ "$cut" -gt $((10 * seeds)) ]
        [ "$late" -gt $((2 * seeds)) ]
    done
    run_seeds --sim=faulty.lua -p merge.at=server counter
    [ "$verified $lost $duplicated" = "$seeds 0 0" ]
    run_seeds --sim=faulty.lua --combine full_jitter
    [ "$verified $lost $duplicated" = "$seeds 0 0" ]
}

@test "nor has one of servers that fail over and forget nothing, nor their scripts' absence" {
    write_model moving 'failover = { every = "50ms", takes = "10ms" },'
    run_seeds --sim=moving.lua full_jitter
    [ "$verified $lost $duplicated" = "$seeds 0 0" ]
    [ "$(grep -ho '"failovers":[1-9]' ./*.json | wc -l)" -gt $((seeds / 2)) ]
}

@test "what was told of each write is what the server did with it" {
    mkdir lua
    sed 's|^if token == "" then$|redis.log(redis.LOG_NOTICE, "applied " .. token .. " as " .. made)\n&|' \
        "$TOP/lua/cas.lua" >lua/cas.lua
    no cmp -s lua/cas.lua "$TOP/lua/cas.lua"
    write_model moving 'failover = { every = "50ms", takes = "10ms" },'
    for seed in 1 2 3; do
        "$vlockrun" --sim=moving.lua --seed $seed -w 10 -n 1000 --history h.jsonl full_jitter 2>all
        # What was under way when its server died is taken back, and applied again as the same
        # version. Twice on one server would be two versions.
        awk '!/applied/ || !seen[$0]++' all >log
        python3 "$TOP/tests/fault/truth_check.py" h.jsonl log
    done
}

@test "a server that forgets is seen: by who built on it, and by the verification" {
    write_model forgetful 'failover = { every = "100ms", takes = "10ms", forgets = "5ms" },'
    run_seeds --sim=forgetful.lua full_jitter
    [ "$history_lost" -gt 0 ]
    [ "$lost" -gt 0 ]
    run -4 "$vlockrun" --sim=forgetful.lua --seed 1 -w 10 -n 1000 full_jitter
    [[ $output == *"BROKEN"* ]]
}

# A core script that does not know its own writes again.
@test "a seed that shows a failure shows it again" {
    mkdir lua
    sed 's|^if is_again then$|if false then|' "$TOP/lua/cas.lua" >lua/cas.lua
    no cmp -s lua/cas.lua "$TOP/lua/cas.lua"
    write_model faulty
    run_seeds --sim=faulty.lua full_jitter
    [ "$verified" -lt "$seeds" ]
    seed=$(grep -l '"verified":false' ./*.json | head -n 1 | tr -dc 0-9)
    "$vlockrun" --json --seed "$seed" -w 10 -k 2 -n 500 --sim=faulty.lua full_jitter >again || true
    for file in "$seed.json" again; do
        sed -i 's/"cpu_seconds":[^,}]*//' "$file"
    done
    cmp "$seed.json" again
}
