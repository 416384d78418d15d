#!/usr/bin/env bats
# vlockrun on a terminal, without a file.

load environment

# typed TEXT …: at vlockrun; sets output and status as run does.
typed() {
    export XDG_STATE_HOME=$scratch/state
    run python3 "$TOP/tests/fixtures/terminal.py" "$@" -- "$vlockrun" ${options:-}
    echo "$status: $output"
}

has_editing() {
    ldd "$vlockrun" | grep -q libedit
}

@test "lines are run one after the other, and shown as -e shows them" {
    typed '1 + 1\n' 'x = 41\n' 'return x + 1\n' 'redis.call("SET", "k", "v")\n' \
        'redis.call("GET", "k")\n' '{ 1, "a" }\n' '#"abcd"\n' '\x04'
    [ "$status" -eq 0 ]
    [[ $output == \
        *$'> 1 + 1\n(integer) 2\n> x = 41\n> return x + 1\n(integer) 42\n> redis.call("SET"'* ]]
    [[ $output == *$'\nOK\n> redis.call("GET", "k")\n"v"\n> '* ]]
    [[ $output == *$'\n1) (integer) 1\n2) "a"\n> #"abcd"\n(integer) 4\n> '* ]]
}

@test "a chunk may have several lines; an error ends it alone" {
    typed 'for i = 1, 2 do\n' 'print("line", i)\n' 'end\n' 'error("mine")\n' 'nosuch\n' \
        'redis.call("NOSUCH")\n' '= 3\n' '"on"\n' '\x04'
    [ "$status" -eq 0 ]
    [[ $output == *$'do\n>> print("line", i)\n>> end\nline\t1\nline\t2\n> '* ]]
    [[ $output == *"vlockrun: (line):1: mine"* ]]
    [[ $output == *"(line):1: Script attempted to access nonexistent global variable 'nosuch'"* ]]
    [[ $output == *"vlockrun: ERR unknown command"* ]]
    [[ $output == *"unexpected symbol near '='"* ]]
    [[ $output == *$'\n"on"\n> '* ]]
}

@test "Ctrl-C ends the line and not the session: typed, running, or waiting" {
    typed 'half a line' '\x03' 'while true do end\n' '\x03' 'vlock.sleep(60)\n' '\x03' \
        'if 1 then\n' '\x03' '"still here"\n' '\x04'
    [ "$status" -eq 0 ]
    [ "$(grep -c '^interrupted$\|Cinterrupted$' <<<"$output")" -eq 2 ]
    [[ $output == *$'\n"still here"\n> '* ]]
}

@test "a policy that a line returns is put under contention" {
    typed '{ backoff = "none", scenario = { workers = 2, commits = 20 } }\n' '\x04'
    [ "$status" -eq 0 ]
    [[ $output == *"each of the 20 commits stands on the one before it"* ]]
}

@test "a policy that is edited between two lines is the edited one" {
    start_server s
    mkdir -p lua/merge
    echo 'return { merge = function() return "old" end }' >lua/merge/edited.lua
    local line='vlock.update("k", function(v) if v ~= "theirs" then '
    line+='vlock.compare_and_set("k", "theirs", (select(2, vlock.get("k")))) end return "mine" end, '
    line+='{ backoff = "none", merge = "edited" })\n'
    options="-u $url" typed "$line" \
        'io.open("lua/merge/edited.lua", "w"):write("return { merge = function() return [[new]] end }"):close()\n' \
        "$line" '\x04'
    [[ $output == *'"old"'*'"new"'* ]]
}

@test "options hold for the session" {
    start_server s
    options="-u $url --json" typed 'redis.call("SET", "k", "v").ok\n' '{ 1, "a" }\n' '\x04'
    [ "$status" -eq 0 ]
    [[ $output == *$'\n"OK"\n'* && $output == *$'\n[1,"a"]\n'* ]]
    [ "$(cli GET k)" = v ]
}

@test "letters beyond ASCII are letters" {
    has_editing || skip "built without libedit"
    typed '#"\xc3\xa9\xe2\x82\xac"\n' '\x04'
    [[ $output == *$'\n(integer) 5\n'* ]]
}

@test "Tab completes names; the history comes back, without passwords" {
    has_editing || skip "built without libedit"
    typed 'redis.priv\t()\n' 'mine = { alpha = 1, alphabet = 2 }\n' 'mine.al\t' '\t' '\x03' \
        'vlock.comp\t\n' '"redis://:s3cr3t@h"\n' '\x04'
    [[ $output == *$'\n"unix:///'* ]]
    [[ $output == *"alpha  alphabet"* ]]
    grep -q 'redis.private_server()' state/vlock/lines
    grep -q 'vlock.compare_and_set' state/vlock/lines
    no grep -q s3cr3t state/vlock/lines
    [ "$(stat -c %a state/vlock/lines)" = 600 ]
    typed '\x1b[A\x1b[A\x1b[A\n' '\x04' # three lines up: the table
    [[ $output == *"mine = { alpha"* || $output == *"vlock.compare_and_set"* ]]
}

@test "SIGTERM ends the session, and no file elsewhere begins one" {
    run -2 "$vlockrun" </dev/null
    [[ $output == *"which file?"* ]]
    python3 "$TOP/tests/fixtures/terminal.py" '"here"\n' -- bash -c 'echo $$ >pid; exec "$0"' \
        "$vlockrun" >shown &
    session=$!
    for _ in $(seq 100); do
        grep -qs '"here"' shown && break
        [ -s pid ] && sleep 0.7 && kill "$(cat pid)" && break
        sleep 0.05
    done
    status=0
    wait "$session" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 130 ]
}
