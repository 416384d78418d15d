#!/usr/bin/env bats
# What programs that scripts start find, and what becomes of descriptors.

load environment

@test "a program that a script starts finds signals as we found them, and no connection of ours" {
    start_server s
    run "$vlockrun" -u "$url" -e '
        redis.call("PING")
        os.execute("grep SigIgn /proc/self/status; yes 2>&1 | head -n 1")
        local list = io.popen("ls -l /proc/self/fd")
        print(list:read("a"))'
    echo "$output"
    [ "$status" -eq 0 ]
    ignored=$((16#${lines[0]##*[[:space:]]})) here=$((16#$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status)))
    [ $((ignored & 0x7fffffff)) -eq $((here & 0x7fffffff)) ] # the C library's own, of system(), stand above
    [ "${lines[1]}" = y ]
    [[ $output != *socket:* ]]
    [[ $output != *eventpoll* ]]
    [[ $output != *"Broken pipe"* ]]
}

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
