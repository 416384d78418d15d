#!/usr/bin/env bats
# The command: what people and scripts see of it.

load environment

@test "the article's echo of KEYS and ARGV" {
    run --separate-stderr "$vlockrun" -e 'return {KEYS[1],KEYS[2],ARGV[1],ARGV[2]}' key1 key2 , \
        first second
    [ "$status" -eq 0 ]
    [ "$output" = $'key1\nkey2\nfirst\nsecond' ]
}

@test "on a terminal results look as redis-cli shows them" {
    start_server s
    cli RPUSH list a '"q' >/dev/null
    for chunk in 'return 5' 'return "a\nb"' 'return {1,{2,"x",{}},"y"}' 'return redis.call("LRANGE","list",0,-1)' \
        'return false' 'return {ok="fine"}' 'return {err="ERR bad"}' 'return {}' \
            'return redis.call("PING")' 'return 3.99' 'return {1,nil,2}'; do
        ours=$(TERM=dumb script -qec "$vlockrun -u $url -e '$chunk'" /dev/null | tr -d '\r')
        theirs=$(TERM=dumb script -qec "redis-cli -s $scratch/s.sock EVAL '$chunk' 0" /dev/null \
            | tr -d '\r')
        echo "$chunk: $ours / $theirs"
        [ "$ours" = "$theirs" ]
    done
}

@test "elsewhere results are the bare content, as redis-cli prints it" {
    start_server s
    for chunk in 'return 5' 'return "a\nb"' 'return {1,{2,"x",{}},"y"}' 'return false' \
        'return {ok="fine"}' 'return {}' 'return true'; do
        [ "$("$vlockrun" -u "$url" -e "$chunk")" = "$(cli EVAL "$chunk" 0)" ]
    done
}

@test "a file, standard input and a shebang line are run, with arg, KEYS and ARGV" {
    printf '#!/usr/bin/env vlockrun\nreturn {arg[0], arg[1], #KEYS, ARGV[1]}\n' >a.lua
    [ "$("$vlockrun" a.lua k1 k2 , v)" = $'a.lua\nk1\n2\nv' ]
    [ "$("$vlockrun" - k , v <a.lua)" = $'-\nk\n1\nv' ]
}

@test "a script finds its own modules beside itself" {
    mkdir sub
    echo 'return { value = 7 }' >sub/mine.lua
    echo 'return require("mine").value' >sub/main.lua
    [ "$("$vlockrun" sub/main.lua)" = 7 ]
}

@test "--json prints one document, and print goes to standard error" {
    run --separate-stderr "$vlockrun" --json -e \
        'print("people") io.write("more\n") return {1, "a\255", {ok="fine"}, false}'
    [ "$status" -eq 0 ]
    [ "$output" = '[1,"a\u00ff","fine",null]' ]
    [ "$stderr" = $'people\nmore' ]
}

@test "exit codes: 0 fine, 1 script, 2 usage, 3 unreachable" {
    run "$vlockrun" -e 'return 1'
    [ "$status" -eq 0 ]
    run "$vlockrun" -e 'error("mine")'
    [ "$status" -eq 1 ]
    [[ $output == *"(command line):1: mine"*traceback* ]]
    run "$vlockrun" -e 'x ='
    [ "$status" -eq 1 ]
    run "$vlockrun" nosuch.lua
    [ "$status" -eq 2 ]
    [[ $output == *"cannot read the script: nosuch.lua: No such file or directory"* ]]
    run "$vlockrun"
    [ "$status" -eq 2 ]
    run "$vlockrun" -u unix:///nowhere/at/all -e 'redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *"cannot connect to unix:///nowhere/at/all: No such file or directory"* ]]
    run "$vlockrun" -u redis://127.0.0.1:1 -e 'redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *"Connection refused"* ]]
}

@test "a mistyped option names the nearest; bad values say what they must be" {
    run "$vlockrun" --worker 5 x.lua
    [ "$status" -eq 2 ]
    [[ $output == *"unknown option --worker: did you mean --workers?"* ]]
    run "$vlockrun" --josn -e 1
    [[ $output == *"did you mean --json?"* ]]
    run "$vlockrun" -Z -e 1
    [ "$status" -eq 2 ]
    run "$vlockrun" --workers many x.lua
    [ "$status" -eq 2 ]
    [[ $output == *'--workers: "many" is not a number like 50, 10k'* ]]
    run "$vlockrun" --workers 1.5 x.lua
    [ "$status" -eq 2 ]
    run "$vlockrun" --timeout soon x.lua
    [[ $output == *'--timeout: "soon" is not a duration like 250us'* ]]
    run "$vlockrun" -u redis+elsewhere://:secret@nowhere -e 1
    [ "$status" -eq 2 ]
    [[ $output == *"--url: bad URL: it begins with no scheme that is known; it looks like redis://HOST:PORT/DB, redis+cluster://"* ]]
    run "$vlockrun" --cluster -e 1
    [ "$status" -eq 2 ]
    [[ $output == *"--cluster needs --url, with one or more of its nodes (in VLOCK_REDIS_URL say redis+cluster://; a private server is none)"* ]]
    run -0 "$vlockrun" --cluster --version
    run -0 "$vlockrun" --help --cluster
    # Of several the last one counts; a broken one is refused all the same.
    run "$vlockrun" -u redis+elsewhere://nowhere -u redis://127.0.0.1:1 -e 'return 1'
    [ "$status" -eq 2 ]
    local single
    for single in unix:///nowhere/at/all redis+sentinel://h/service; do
        run "$vlockrun" -u "$single" --cluster -e 1
        [ "$status" -eq 2 ]
        [[ $output == *"neither sentinels nor Unix sockets lead to a cluster: name nodes in --url, as redis://HOST:PORT,HOST:PORT"* ]]
    done
    run "$vlockrun" -u 'redis://u:secret@h:99999' -e 1
    [ "$status" -eq 2 ]
    [[ $output == *"--url: bad URL: "* && $output != *secret* ]]
    run "$vlockrun" --workers
    [[ $output == *"--workers needs a value"* ]]
    run "$vlockrun" --json=yes -e 1
    [[ $output == *"--json takes no value"* ]]
}

@test "a mistyped verb names the nearest; -e finds files in the present folder" {
    run "$vlockrun" lst
    [ "$status" -eq 2 ]
    [[ $output == \
        *"cannot read the script: lst: No such file or directory (did you mean vlockrun list?)"* ]]
    mkdir backoff
    echo 'return { backoff = function() return 0.001 end }' >backoff/mine.lua
    run -0 "$vlockrun" -e 'vlock.policy { backoff = "mine" }.backoff { attempt = 1 } * 1000'
    [ "$output" = 1 ]
}

@test "a script's global of a name of ours breaks nothing but itself" {
    for name in type next select error pcall tostring table string ipairs setmetatable math \
        require redis vlock coroutine; do
        run --separate-stderr "$vlockrun" -e "local update = vlock.update; $name = 'mine'
            return { (update('k', function() return '1' end)), (update('k', function() return $name end, { store = 'watch' })) }"
        echo "$name: $output $stderr"
        [ "$output" = $'1\nmine' ]
    done
    run --separate-stderr "$vlockrun" -e $'local x = 1\ntype = "mine"\nreturn type(x)'
    [ "$status" -eq 1 ]
    [[ $stderr == *"(command line):3: attempt to call a string value (global 'type')"* ]]
    [[ $stderr != *vlock/* ]]
}

@test "reading a global that is not there is an error, in Redis' words" {
    words="Script attempted to access nonexistent global variable 'none'"
    echo 'return { backoff = none }' >policy.lua
    echo 'return { read = none, commit = none }' >store.lua
    echo 'local M = {} M.found = none return M' >module.lua
    for arguments in "-e return(none)" "-n 5 policy.lua" "compare -n 5 policy.lua none" \
        "compare -n 5 none@./store.lua"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr "$vlockrun" $arguments
        echo "$arguments: $status $stderr"
        [ "$status" -ge 1 ] && [ "$status" -le 2 ]
        [[ $stderr == *":1: $words"* ]]
    done
    run -0 "$vlockrun" -e 'return redis.pcall("EVAL", "return none", 0).err'
    [[ $output == *"$words"* ]]
    run -0 "$vlockrun" -e 'none = "mine" return { none, _G.none, tostring(_G.absent), tostring(require("module").found) }'
    [ "$output" = $'mine\nmine\nnil\nmine' ]
    run -0 "$vlockrun" -e 'return tostring(require("module").found)'
    [ "$output" = nil ]
}

@test "what a script adds to the libraries is there, and what it replaces there breaks nothing of ours" {
    run -0 "$vlockrun" -e 'function string.mine(text) return text .. "!" end return ("a"):mine()'
    [ "$output" = 'a!' ]
    echo 'string.format, string.gsub, table.concat, math.min = 1, 2, 3, 4' >policy.lua
    echo 'return { backoff = "fulljitter" }' >>policy.lua
    run -1 --separate-stderr "$vlockrun" policy.lua
    [[ $stderr == "vlockrun: policy.lua:2: no backoff 'fulljitter', did you mean 'full_jitter'?"* ]]
    run -0 "$vlockrun" -e 'string.format = function() return "mine" end return string.format("%d", 1)'
    [ "$output" = mine ]
    # The policies and stores that are built in are ours as well.
    cat >script.lua <<'END'
math.min, math.max, table.pack, table.unpack, debug.traceback, _G.assert, _G.load = nil
local is_first = true
local function add(value, version)
  if is_first then
    is_first = false
    vlock.compare_and_set("k", "10", version, {store = "watch"})
  end
  return (value or 0) + 1
end
return vlock.update("k", add, {store = "watch", backoff = {"decorrelated", cap = "1ms"}})
END
    run -0 --separate-stderr "$vlockrun" script.lua
    [ "$output" = 11 ]
    run -1 --separate-stderr "$vlockrun" -e 'debug.traceback = nil error("mine")'
    [[ $stderr == "vlockrun: (command line):1: mine"* ]]
}

@test "a traceback has the script's lines, and our functions by the names that it calls them by" {
    for _ in $(seq 12); do # which of its names Lua finds first is chance
        run --separate-stderr "$vlockrun" -e \
            'local function ask() redis.call("NOSUCH") end ask() return 1'
        [ "$status" -eq 1 ]
        [[ $stderr == *$'\n\t[C]: in function \'redis.call\'\n\t(command line):1: in '*"'ask'"* ]]
        [[ $stderr != *vlock/* && $stderr != *vlock.* ]]
    done
}

@test "a value may be any text but an empty one" {
    run -2 "$vlockrun" -e ''
    [[ $output == *"--eval needs a value that is not empty: CHUNK"* ]]
    run -2 "$vlockrun" --report= -n 5 none
    [[ $output == *"--report needs a value that is not empty: FILE"* ]]
    run -0 "$vlockrun" -n 5 --hgrm yes --combine none # a file of that name
    [ -s yes ]
    run -0 "$vlockrun" -n 5 --report page.html --history a=b -p base=2ms full_jitter
    [ -s a=b ]
    grep -qF -- '--history a=b --param base=2ms full_jitter' page.html
}

@test "options end at FILE" {
    echo 'return arg[1]' >a.lua
    [ "$("$vlockrun" a.lua --json)" = --json ]
}

@test "--help shows three examples on standard output; --version names what it runs on" {
    run --separate-stderr "$vlockrun" --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(sed -n '/^Examples:/,/^$/p' <<<"$output" | grep -c '^  vlockrun')" -eq 3 ]
    run --separate-stderr "$vlockrun" -V
    [ "$status" -eq 0 ]
    [[ $output =~ ^vlockrun\ [0-9.]+\ \(hiredis\ [0-9.]+,\ Lua\ 5\.4\.[0-9]+,\ libevent\ [0-9.]+ ]]
}

@test "scripts use VLOCK_REDIS_URL, the lab never does" {
    start_server s
    cli SET here yes >/dev/null
    [ "$(VLOCK_REDIS_URL=$url "$vlockrun" -e 'return redis.call("GET","here")')" = yes ]
    [ "$("$vlockrun" -e 'return redis.call("EXISTS","here")' 2>/dev/null)" = 0 ]
    before=$(cli INFO stats | grep total_commands)
    run --separate-stderr env VLOCK_REDIS_URL="$url" "$vlockrun" -n 100 "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 0 ]
    [[ $stderr == *"private empty server"* ]]
    after=$(cli INFO stats | grep total_commands)
    [ "${after//[!0-9]/}" -eq $((${before//[!0-9]/} + 1)) ]
}

@test "passwords come from the URL, REDISCLI_AUTH or a file, and are never printed" {
    start_server s --requirepass s3cret
    path=$scratch/s.sock
    [ "$("$vlockrun" -u "unix://:s3cret@$path" -e 'return redis.call("PING")')" = PONG ]
    [ "$(REDISCLI_AUTH=s3cret "$vlockrun" -u "$url" -e 'return redis.call("PING")')" = PONG ]
    echo s3cret >file
    [ "$("$vlockrun" --password-file file -u "$url" -e 'return redis.call("PING")')" = PONG ]
    run "$vlockrun" -u "unix://:wr0ng@$path" -e 'return redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *WRONGPASS* ]]
    [[ $output != *wr0ng* ]]
    run "$vlockrun" -u "$url" -e 'return redis.call("PING")'
    [ "$status" -eq 3 ]
    [[ $output == *NOAUTH* ]]
    run "$vlockrun" --json -n 50 -u "unix://:s3cret@$path" "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 0 ]
    [[ $output != *s3cret* ]]
    [[ $output == *'***@'* ]]
}

@test "an error in a task that nobody joins ends the run with its traceback; a joined one does not" {
    run timeout 5 "$vlockrun" -e \
        'vlock.spawn(function() local function deep() error("lost") end deep() end) vlock.sleep(60)'
    [ "$status" -eq 1 ]
    [[ $output == *"(command line):1: lost"*traceback*deep* ]]
    run "$vlockrun" -e 'local t = vlock.spawn(function() error("kept") end) vlock.sleep(0.01) return tostring((pcall(t.join, t)))'
    [ "$status" -eq 0 ]
    [ "$output" = false ]
    run "$vlockrun" -e 'held = vlock.spawn(function() error("never asked for") end)'
    [ "$status" -eq 1 ]
    [[ $output == *"never asked for"* ]]
}

@test "tasks that wait for each other end with a message, not never" {
    run timeout 5 "$vlockrun" -e 'local a, b
        a = vlock.spawn(function() vlock.sleep(0.01) b:join() end)
        b = vlock.spawn(function() vlock.sleep(0.01) a:join() end)'
    [ "$status" -eq 1 ]
    [[ $output == *"every task waits for another"* ]]
}

@test "coroutine.yield outside of a coroutine is an error" {
    run timeout 5 "$vlockrun" -e 'coroutine.yield(1)'
    [ "$status" -eq 1 ]
    [[ $output == *"outside of a coroutine"* ]]
}

@test "10,000 tasks with a command each in flight" {
    [ "$("$vlockrun" -e 'local n = 0
        for i = 1, 10000 do vlock.spawn(function() redis.call("INCR", "n") end) end
        repeat vlock.sleep(0.001) n = redis.call("GET", "n") until n == "10000"
        return n' 2>/dev/null)" = 10000 ]
}

@test "list names every bundled part and one's own, with what it says of itself" {
    mkdir backoff
    echo 'return { doc = "Mine alone.", backoff = function() return 0 end }' >backoff/mine.lua
    run "$vlockrun" list
    [ "$status" -eq 0 ]
    for name in deadline budget full_jitter decorrelated json3 merge_patch plain watch; do
        grep -qE "^  $name +[A-Z]" <<<"$output"
    done
    grep -qE '^  mine +Mine alone\.  \[\./backoff/mine\.lua\]$' <<<"$output"
}

@test "show prints a file; an unknown name is answered with the nearest" {
    run "$vlockrun" show full_jitter
    [ "$status" -eq 0 ]
    [[ $output == *"built-in backoff/full_jitter.lua"*"c.random() * math.min"* ]]
    run "$vlockrun" show merge/counter
    [ "$status" -eq 0 ]
    run "$vlockrun" show ful_jitter
    [ "$status" -eq 2 ]
    [[ $output == *"did you mean 'full_jitter'?"* ]]
}

@test "new writes a template that runs, with a test that passes, and overwrites nothing" {
    for kind in retry backoff merge store; do
        run "$vlockrun" new "$kind" mine
        [ "$status" -eq 0 ]
        run "$vlockrun" "$kind/mine_test.lua"
        echo "$output"
        [ "$status" -eq 0 ]
        [[ $output == *"mine: fine"* ]]
    done
    run "$vlockrun" -n 200 backoff/mine.lua
    [ "$status" -eq 0 ]
    run "$vlockrun" -n 200 --store store/mine.lua backoff/mine.lua
    [ "$status" -eq 0 ]
    run "$vlockrun" new backoff mine
    [ "$status" -eq 2 ]
    [[ $output == *"is there already"* ]]
    run "$vlockrun" new bakoff mine
    [[ $output == *"did you mean 'backoff'?"* ]]
}

@test "README's script of a transfer does what it says" {
    awk '/^-- vlockrun .* transfer.lua/ { on = 1 } /^```$/ { on = 0 } on' "$TOP/README.md" \
        >transfer.lua
    start_server s
    cli SET accounts '{"alice":80,"bob":1.0}'
    run "$vlockrun" -u "$url" transfer.lua accounts , alice bob 50
    [ "$output" = '{"alice":30,"bob":51}' ]
    run "$vlockrun" -u "$url" transfer.lua accounts , alice bob 50
    [ "$output" = '{"alice":30,"bob":51}' ]
    [ "$(cli GET accounts)" = '{"alice":30,"bob":51}' ]
}

@test "a result that holds itself, or is nested too deeply, is an error in one line" {
    for source in 'local t = {} t[1] = t return t' 'local m = {} m.map = { a = m } return m' \
        'local t = {} for i = 1, 5000 do t = { t } end return t'; do
        for option in --json --no-color; do
            run --separate-stderr "$vlockrun" $option -e "$source"
            echo "$output $stderr"
            [ "$status" -eq 1 ]
            [ -z "$output" ]
            [[ $stderr == \
                "vlockrun: what the script returned is nested too deeply, or holds itself"* ]]
        done
    done
    run --separate-stderr "$vlockrun" -e \
        'error(setmetatable({}, { __tostring = function() error("no words") end }))'
    [ "$status" -eq 1 ]
    [[ $stderr != *memory* ]]
    [[ $stderr == *"no words"* ]]
}
