#!/usr/bin/env bats
# Updates through connections that break in every way: see tests/fault/soak.

load ../cli/environment

soak() {
    run "$TOP/tests/fault/soak" "$@"
    echo "$output"
}

# said PATTERN: the number behind it in the output.
said() {
    sed -n "s/.*$1 \([0-9][0-9]*\).*/\1/p" <<<"$output" | head -n 1
}

@test "on keys of their own four processes lose nothing and apply nothing twice" {
    soak --updates 12000 --kind own --seed 1
    [ "$status" -eq 0 ]
    [ "$(sed -n 's/.*s, \([0-9]*\) % of the writes.*/\1/p' <<<"$output")" -ge 20 ]
    [[ $output == *"ambiguous committed -> committed"* ]]
}

@test "nor on one hot key, where others commit while a reply is missing" {
    soak --updates 10000 --kind hot --seed 2
    [ "$status" -eq 0 ]
    [ "$(sed -n 's/.*s, \([0-9]*\) % of the writes.*/\1/p' <<<"$output")" -ge 20 ]
    [[ $output == *"ambiguous committed -> committed"* ]]
    [[ $output == *"ambiguous conflict -> conflict"* ]]
}

@test "nor through outages, nor where a copy of a command comes late" {
    soak --updates 1500 --kind hot --outage 0.5:0.3 --seed 3 \
        --faults zombie=0.01,duplicate=0.02,cut_after=0.01
    [ "$status" -eq 0 ]
    [ "$(said outages)" -ge 1 ]
    [ "$(said zombie)" -ge 30 ]
}

@test "a client that takes a lost reply for a refusal applies updates twice: the soak sees it" {
    soak --updates 3000 --kind own --unknown-fails
    [ "$status" -eq 4 ]
    [ "$(said 'applied and not reported')" -ge 100 ]
}
