#!/usr/bin/env bats
# Descriptors that have run out, and errors that are one line.

load environment

@test "connections that were forgotten make room for one that is wanted" {
    start_server s
    run bash -c "ulimit -n 100; '$vlockrun' -u '$url' -e '
        collectgarbage(\"generational\")
        for i = 1, 300 do redis.connect():call(\"PING\") end
        for i = 1, 300 do io.open(\"/dev/null\") end
        return redis.connect():call(\"PING\")'"
    echo "$output"
    [ "$output" = PONG ]
}

@test "a result that holds itself, or is nested too deeply, is an error in one line" {
    for source in 'local t = {} t[1] = t return t' 'local m = {} m.map = { a = m } return m' \
        'local t = {} for i = 1, 5000 do t = { t } end return t'; do
        for option in --json --no-color; do
            run --separate-stderr "$vlockrun" $option -e "$source"
            echo "$output $stderr"
            [ "$status" -eq 1 ]
            [ -z "$output" ]
            [[ $stderr == "vlockrun: what the script returned is nested too deeply, or holds itself"* ]]
        done
    done
    run --separate-stderr "$vlockrun" -e 'error(setmetatable({}, { __tostring = function() error("no words") end }))'
    [ "$status" -eq 1 ]
    [[ $stderr != *memory* ]]
    [[ $stderr == *"no words"* ]]
}
