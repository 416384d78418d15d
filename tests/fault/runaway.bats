#!/usr/bin/env bats
# Scripts and policies that run away: an endless loop, a bomb of memory, an endless pattern match,
# an endless finalizer. They end by --timeout or by --max-memory, with 1, a reason, and their
# server.

load ../cli/environment

loop='while true do pcall(function() while true do end end) end'
bomb='local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end'
kept_bomb='_G.heap = {} while true do _G.heap[#_G.heap + 1] = {} end'
match='return ("a"):rep(1e5):find(("a*"):rep(40) .. "b")'
finalizer='setmetatable({}, { __gc = function() while true do end end }) collectgarbage()'

# begin NAME OPTION …: in the background, its output in NAME.out and NAME.err, until `finish`.
begin() {
    local name=$1
    shift
    "$vlockrun" "$@" >"$name.out" 2>"$name.err" 3>&- &
    names+=("$name")
    pids+=($!)
}

# finish SECONDS WORDS …: each of them ends within the seconds, with 1, and one message holds the
# words of its turn.
finish() {
    local i status limit=$((SECONDS + $1))
    shift
    for i in "${!pids[@]}"; do
        status=0
        wait "${pids[i]}" || status=$?
        echo "${names[i]}: $status, $(cat "${names[i]}.err")"
        [ "$status" -eq 1 ]
        grep -q -- "$1" "${names[i]}.err"
        shift
    done
    [ "$SECONDS" -le "$limit" ]
}

# script CODE: tells its server's process, and then runs the code.
script() {
    printf 'print(redis.call("INFO", "server"):match("process_id:(%%d+)")) io.stdout:flush() %s' "$1"
}

@test "each kind ends by --timeout, in a script and in a policy, and its server with it" {
    local kind name
    for kind in loop bomb match finalizer; do
        begin "$kind" --timeout 1s -e "$(script "${!kind}")"
    done
    begin closing --timeout 3s -e "$(script "_G.kept = ${finalizer/collectgarbage()/return 7}")"
    start_server shared
    for kind in loop bomb match finalizer; do
        printf 'return { backoff = function() %s end }' "${!kind}" >"$kind.lua"
        begin "$kind-policy" -u "$url" --timeout 2s -w 4 -n 100k --history "$kind.jsonl" "$kind.lua"
    done
    finish 20 'line):1: the --timeout is over' 'line):1: the --timeout is over' \
        'the --timeout is over, and the script does not end' 'a finalizer (__gc)' 'does not end' \
        'loop.lua:1: the --timeout is over' 'bomb.lua:1: the --timeout is over' \
        'does not end' 'does not end'
    for name in loop bomb match finalizer closing; do
        is_gone "$(head -n 1 "$name.out")"
    done
    [ "$(tail -n 1 closing.out)" = 7 ] # a result that was there is kept
    # What was written of a history is kept, and nobody says of it that it is whole.
    for kind in loop match; do
        grep -q '"first"' "$kind.jsonl"
        run -2 "$vlockrun" verify "$kind.jsonl"
        [[ $output == *'the history was cut off'* ]]
    done
}

@test "a bomb ends by --max-memory, wherever it is, and says where and what to do" {
    local code
    printf 'return { backoff = function() %s end }' "$kept_bomb" >policy.lua
    run -1 timeout 10 "$vlockrun" --max-memory 16M -w 4 -n 10k policy.lua
    [[ $output == *'policy.lua:1: not enough memory: this needs more than --max-memory 16M'* ]]
    for code in "$bomb" "$kept_bomb" 'return #("x"):rep(1e9)' \
        "vlock.spawn(function() $bomb end) vlock.sleep(10)" \
        "coroutine.wrap(function() $bomb end)()" \
        "redis.call('PING') vlock.update('k', function() $bomb end)"; do
        run -1 timeout 10 "$vlockrun" --max-memory 32M -e "$code"
        echo "$code: $output"
        [[ $output == *"(command line):1: not enough memory: this needs more than --max-memory 32M"* ]]
        [[ $output == *"let it hold less, or allow it more"* ]]
    done
}

@test "what is caught and let go of again is no end, and --timeout is" {
    run -0 "$vlockrun" --max-memory 32M -e "local ok, why = pcall(function() $bomb end)
        return tostring(ok) .. ' ' .. why .. ' ' .. vlock.update('k', function() return 'fine' end)"
    [[ $output == *'false not enough memory fine'* ]]
    run -1 timeout 10 "$vlockrun" --max-memory 32M --timeout 1s -e "while true do pcall(function() $bomb end) end"
    [[ $output == *'the --timeout is over'* ]]
}

@test "a reply that does not fit is an error of its own, and no write is said to have failed" {
    local fill='redis.call("SET", "k", ("x"):rep(6e6)) for _ = 1, 3 do redis.call("APPEND", "k", ("x"):rep(6e6)) end '
    run -1 "$vlockrun" --max-memory 16M -e "$fill return redis.call('GET', 'k')"
    [[ $output == *'UNREAD the command was answered, but the answer cannot be read: '*'--max-memory 16M'* ]]
    # A conflict carries the value that stands there. The write is sent, answered, and not
    # understood: unknown.
    run -0 "$vlockrun" --max-memory 16M -e "
        for _ = 1, 2 do vlock.update('k', function() return 'a' end) end
        $fill local _, outcome = vlock.compare_and_set('k', 'mine', 1)
        return { outcome.outcome, outcome.reason, redis.call('STRLEN', 'k') }"
    echo "$output"
    [[ ${lines[*]} == *'unknown UNREAD'*'24000000'* ]]
}

@test "the bound is no burden to a run that fits, and one that is too small is refused" {
    run -0 "$vlockrun" --max-memory 8M -w 20 -n 1000 full_jitter
    [[ $output == *'none lost, none twice'* ]]
    run -2 "$vlockrun" --max-memory 900k -e 'return 1'
    [[ $output == *'--max-memory: "900k" is too little for anything to run: at least 1M'* ]]
}
