#!/usr/bin/env bats
# C programs that use nothing but what `make install` put down.

load environment

# build NAME: tests/examples/NAME.c against the installed library.
build() {
    if [ ! -d "$scratch/root" ]; then
        make --no-print-directory -s -C "$TOP" install DESTDIR="$scratch/root" >&2 \
            # all is built: nothing else changes there
    fi
    export PKG_CONFIG_PATH=$scratch/root/usr/local/lib/pkgconfig \
        LD_LIBRARY_PATH=$scratch/root/usr/local/lib
    # shellcheck disable=SC2046 # several words
    ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -pthread ${SANITIZER:+-fsanitize=$SANITIZER} -o "$scratch/$1" "$TOP/tests/examples/$1.c" \
        $(pkg-config --define-variable=prefix="$scratch/root/usr/local" --cflags --libs vlock)
}

@test "four threads with an engine each lose none of 10,000 increments" {
    start_server s
    build threads
    run "$scratch/threads" "$url" 4 2500
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(cli GET counter)" = 10000 ]
    [ "$(cli HGET '{counter}:v' s | cut -d: -f1)" = 10000 ]
}

@test "a program with a loop of its own runs scripts beside its own work" {
    start_server s
    build own_loop
    run "$scratch/own_loop" "$url" 'for i = 1, 20 do redis.call("INCR", "n") vlock.sleep(0.01) end return redis.call("GET", "n")'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 20 ]
    ticks=$(sed -n 's/^ticks \([0-9]*\) .*/\1/p' <<<"$output")
    [ "$ticks" -ge 15 ]
    run "$scratch/own_loop" "$url" 'local tasks = {} for i = 1, 500 do tasks[i] = vlock.spawn(function() return redis.call("INCR", "m") end) end
        for _, t in ipairs(tasks) do t:join() end return redis.call("GET", "m")'
    [ "${lines[0]}" = 500 ]
    run "$scratch/own_loop" "$url" 'error("mine")'
    [ "$status" -eq 1 ]
    [[ $output == *"own_loop:1: mine"* ]]
    run "$scratch/own_loop" unix:///nowhere 'redis.call("PING")'
    [ "$status" -eq 1 ]
    [[ $output == *"cannot connect"* ]]
}

@test "a client in Python and vlockrun update the same key, and nothing is lost" {
    start_server s
    /usr/bin/python3 "$TOP/tests/examples/take_part.py" "$socket" shared 500 >python.out 2>&1 3>&- &
    python=$!
    run "$vlockrun" -u "$url" -e 'local tasks = {}
        for i = 1, 4 do
            tasks[i] = vlock.spawn(function()
                for _ = 1, 250 do
                    assert(vlock.update("shared", function(v) return (v or 0) + 1 end))
                    vlock.sleep(0.0005)
                end
            end)
        end
        for _, task in ipairs(tasks) do task:join() end
        return "done"'
    echo "$output"
    [ "$output" = done ]
    wait "$python"
    cat python.out
    grep -q '^conflicts' python.out
    [ "$(cli GET shared)" = 1500 ]
    [ "$(cli HGET '{shared}:v' s | cut -d: -f1)" = 1500 ]
}
