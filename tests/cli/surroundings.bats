#!/usr/bin/env bats
# What stands around a run: locales, folders, names, passwords, files of the same name.

load environment

@test "a locale with a decimal comma changes no number" {
    mkdir locales
    localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 || true
    export LOCPATH=$PWD/locales
    cat >numbers.lua <<'END'
assert(os.setlocale("de_DE.UTF-8"), "there is no such locale")
redis.call("SET", "f", 0.5)
vlock.update("doc", function() return { p = 0.25 } end, { codec = "json" })
vlock.update("n", function(v) return (tonumber(v) or 0) + 0.5 end, { ttl = "1.5s" })
local merged = vlock.policy { merge = "counter" }.merge { base = { value = "1.5" }, theirs = { value = "2.5" }, mine = "2.25" }
return { redis.call("GET", "f"), cjson.encode { 0.5, 1.25 }, redis.call("GET", "doc"), redis.call("GET", "n"), tostring(0.5),
  tostring(redis.call("PTTL", "n") > 1000), tostring(cjson.decode("[0.5]")[1]), tostring(merged), redis.call("INCRBYFLOAT", "f", 0.25) }
END
    run --separate-stderr "$vlockrun" numbers.lua
    echo "$output $stderr"
    [ "$(xargs <<<"$output")" = '0.5 [0.5,1.25] {p:0.25} 0.5 0.5 true 0.5 3.25 0.75' ]
    echo 'local setlocale = os.setlocale("de_DE.UTF-8") return { backoff = { "fixed", pause = "1.5ms" } }' >p.lua
    run --separate-stderr "$vlockrun" --json -n 100 p.lua
    [ "$status" -eq 0 ]
    [[ $output == *'"backoff":{"pause":0.0015}'* ]]
    python3 -c 'import json, sys; json.loads(sys.argv[1])' "$output"
}

@test "TMPDIR may be any folder" {
    local name
    for name in 'with space' '50%off' 'a?b' 'a@b' 'a#b' 'a%20b' 'ü' relative; do
        mkdir -p "$name"
        if [ "$name" = relative ]; then folder=relative; else folder=$PWD/$name; fi
        TMPDIR=$folder run --separate-stderr "$vlockrun" -e 'return redis.call("PING")'
        echo "$name: $output $stderr"
        [ "$output" = PONG ]
    done
}

@test "schemes in any case, valkey://, and a line's end behind the URL" {
    start_server s
    local one
    for one in "UNIX://$socket" "unix://$socket"$'\n' " unix://$socket " "unix://@$socket" \
        "unix://:@$socket"; do
        run --separate-stderr "$vlockrun" -u "$one" -e 'return redis.call("PING")'
        echo "$one: $output $stderr"
        [ "$output" = PONG ]
    done
    run --separate-stderr "$vlockrun" -u Valkey://localhost:1 -e 'return redis.call("PING")'
    [ "$status" -eq 3 ]
    run --separate-stderr "$vlockrun" -u Valkeys://localhost:1 -e 'return redis.call("PING")'
    [ "$status" -eq 3 ]
    run --separate-stderr "$vlockrun" -u Redis+Sentinel://localhost:1/main -e 'return redis.call("PING")'
    [ "$status" -eq 3 ]
    run --separate-stderr "$vlockrun" -u VALKEYS+Cluster://localhost:1 -e 'return redis.call("PING")'
    [ "$status" -eq 3 ]
}

@test "who gets which password" {
    start_server s
    cli ACL SETUSER alice on '>p@ss' '~*' +@all
    cli ACL SETUSER nobody on nopass '~*' +@all
    echo p@ss >file
    echo >empty
    local whoami='return redis.call("ACL", "WHOAMI")'
    [ "$("$vlockrun" -u "unix://alice@$socket" --password-file file -e "$whoami")" = alice ]
    [ "$("$vlockrun" -u "unix://alice:@$socket" --password-file file -e "$whoami")" = alice ]
    [ "$(REDISCLI_AUTH=p@ss "$vlockrun" -u "unix://alice@$socket" -e "$whoami")" = alice ]
    [ "$(REDISCLI_AUTH=wrong "$vlockrun" -u "unix://alice:p%40ss@$socket" -e "$whoami")" = alice ]
    [ "$(REDISCLI_AUTH=wrong "$vlockrun" -u "unix://alice@$socket" --password-file file -e "$whoami")" = alice ]
    [ "$("$vlockrun" -u "unix://nobody@$socket" -e "$whoami")" = nobody ]
    [ "$(REDISCLI_AUTH='' "$vlockrun" -u "unix://$socket" -e "$whoami")" = default ]
    [ "$("$vlockrun" -u "unix://$socket" --password-file empty -e "$whoami")" = default ]
    # the private server, and one that a script names, are not sent it
    [ "$(REDISCLI_AUTH=x "$vlockrun" -e "$whoami" 2>/dev/null)" = default ]
    [ "$(REDISCLI_AUTH=x "$vlockrun" -e "return redis.connect('unix://$socket'):call('ACL', \
        'WHOAMI')")" = default ]
    run -3 "$vlockrun" -u "unix://alice@$socket" -e "$whoami"
    [[ $output == *WRONGPASS* ]]
}

@test "no password is in a report, wherever the command line had it" {
    start_server s --requirepass s3cr3t
    url=unix://:s3cr3t@$socket
    echo 'return { backoff = "none" }' >p.lua
    "$vlockrun" -u "$url" -n 20 --report one.html p.lua "$url" 2>/dev/null
    "$vlockrun" -u "$url" -n 20 --report two.html --history h -e \
        "return { backoff = 'none' }, '$url', '$url'" 2>/dev/null
    no grep -l s3cr3t one.html two.html h
    grep -q ':\*\*\*@' one.html two.html
}

@test "no password can be seen in the list of processes, nor in a message" {
    start_server s --requirepass s3cr3t
    url=unix://:s3cr3t@$socket
    script='io.write("ready") io.flush() vlock.sleep(5) -- '
    for words in "-u $url -e" "--url=$url -e" "-u unix://$socket --password-file pw -e"; do
        echo s3cr3t >pw
        # shellcheck disable=SC2086 # words
        "$vlockrun" $words "$script redis://:s3cr3t@h" KEY , "$url" >ready &
        running=$!
        for _ in $(seq 100); do
            [ -s ready ] && break
            sleep 0.05
        done
        tr '\0' ' ' <"/proc/$running/cmdline" >seen
        pgrep -af "$scratch" >>seen || true
        kill "$running"
        wait "$running" || true
        cat seen ready
        [ -s ready ] && grep -q "vlockrun" seen
        no grep -q s3cr3t seen
        : >ready
    done
    "$vlockrun" -e "redis.log(redis.LOG_WARNING, '$url') error('$url')" >said 2>&1 && false
    "$vlockrun" -u "$url" -w 1 -n 5 --require "$url" none >>said 2>&1 && false
    "$vlockrun" -u "$url" -w 1 -n 5 -p "base=$url" full_jitter >>said 2>&1 && false
    printf 'return { params = { where = "" }, backoff = function(p) return 0 end }' >to.lua
    "$vlockrun" -u "$url" -w 1 -n 5 -p "where=$url" --history h --report page.html to.lua >>said \
        2>&1
    "$vlockrun" -u "$url" -w 1 -n 5 -p "where=$url" --json to.lua >>said 2>&1
    cat said
    [ "$(grep -c ':\*\*\*@' said)" -ge 6 ]
    no grep -l s3cr3t said h page.html
}

@test "a password file that holds none is said in a line" {
    start_server s --requirepass pw
    : >empty
    mkdir folder
    head -c 5000 /dev/zero | tr '\0' x >long
    printf 'p\0w\n' >zero
    for file in absent empty folder long zero; do
        run --separate-stderr "$vlockrun" -u "unix://$socket" --password-file "$file" -e 'return 1'
        echo "$file: $stderr"
        [ "$status" -eq 2 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == "vlockrun: --password-file: cannot read a password from $file: "* ]]
    done
    [[ $stderr == *"a zero byte" ]]
    for text in 'pw' 'pw\n' 'pw\r\n' 'pw\nmore\n'; do
        # shellcheck disable=SC2059 # the text is the format
        printf "$text" >file
        [ "$("$vlockrun" -u "unix://$socket" --password-file file -e 'return redis.call("PING")')" \
            = PONG ]
    done
}

@test "an @ may stand in the path of a policy" {
    mkdir -p @scope/pkg v@2
    for path in @scope/pkg/mine.lua v@2/mine.lua team@x.lua; do
        echo 'return { backoff = "none" }' >"$path"
        run --separate-stderr "$vlockrun" compare --runs 1 -n 20 -w 2 "$path" "$path@watch" \
            full_jitter@watch
        echo "$path: $output $stderr"
        [ "$status" -eq 0 ]
    done
}

@test "no output is an input, or another output" {
    echo 'return { backoff = "none" }' >mine.lua
    cp "$TOP/lua/store/plain.lua" store.lua
    echo p >pw
    ln -s mine.lua link.lua
    ln store.lua hard.lua
    ln -s new.html later.html
    for options in '--report mine.lua' '--history link.lua' '--plot a.svg --report ./a.svg' '--hgrm x.html --report x.html' \
        '--store store.lua --report hard.lua' '--report pw --password-file pw' \
            '--report new.html --history later.html'; do
        # shellcheck disable=SC2086 # options are words
        run --separate-stderr timeout 20 "$vlockrun" -n 10 $options mine.lua
        echo "$options: $status $stderr"
        [ "$status" -eq 2 ]
        [[ $stderr == *" is "*"which this run reads"* || $stderr == *" is to write"* ]]
    done
    [ "$(cat mine.lua pw)" = $'return { backoff = "none" }\np' ]
    cmp store.lua "$TOP/lua/store/plain.lua"
    [ ! -e a.svg ] && [ ! -e x.html ] && [ ! -e new.html ]
    run --separate-stderr "$vlockrun" -n 10 --report /dev/null --hgrm /dev/null mine.lua
    [ "$status" -eq 0 ]
    mkfifo pipe
    run --separate-stderr timeout 20 "$vlockrun" -n 10 --report pipe mine.lua
    [ "$status" -eq 2 ]
    [[ $stderr == *"pipe is a pipe that nobody reads"* ]]
    timeout 20 cat pipe >through &
    reader=$!
    sleep 0.2
    run --separate-stderr timeout 20 "$vlockrun" -n 10 --report pipe mine.lua
    wait $reader
    grep -q '</html>' through
}

@test "nobody's own settings of gnuplot count" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    echo 'set terminal dumb' >.gnuplot
    HOME=$PWD GNUTERM=x11 run --separate-stderr "$vlockrun" -n 20 --plot a.svg none
    echo "$stderr"
    [ "$status" -eq 0 ]
    grep -q '<svg' a.svg
}

@test "a threshold on a time takes times" {
    for text in 'p99<20M' 'p99<1k' 'seconds<2G'; do
        run --separate-stderr "$vlockrun" -n 10 --require "$text" none
        [ "$status" -eq 2 ]
        [[ $stderr == *"is not a duration"* ]]
    done
    run --separate-stderr "$vlockrun" -n 10 --require 'p99<20m' --require 'commits<1k' --require \
        'p99<600000' none
    [ "$status" -eq 0 ]
}

@test "a key whose braces would part value and version is refused" {
    for key in 'a}b' '{}x}' '}'; do
        run --separate-stderr "$vlockrun" -e \
            'return (vlock.update(KEYS[1], function() return "1" end))' "$key"
        echo "$key: $stderr"
        [ "$status" -eq 1 ]
        [[ $stderr == *"another slot"*"version_key"* ]]
        run "$vlockrun" -e \
            'return (vlock.update(KEYS[1], function() return "1" end, { version_key = "v" }))' \
            "$key"
        [ "$status" -eq 0 ]
    done
    run "$vlockrun" -e 'return (vlock.update(KEYS[1], function() return "1" end))' '{a}b}{'
    [ "$status" -eq 0 ]
}

@test "nor is what a policy reads by itself: parts, modules, data" {
    mkdir -p lua/backoff
    cp "$TOP/lua/backoff/fixed.lua" lua/backoff/own.lua
    echo 'return { pause = "1ms" }' >settings.lua
    echo 'return 1' >later.lua
    echo 'return 1' >unread.lua
    printf '1ms' >data.txt
    printf '1ms' >lines.txt
    printf '1ms' >late.txt
    cat >mine.lua <<'.'
local settings = require "settings"
local file = assert(io.open("data.txt"))
local pause = file:read("a")
file:close()
for line in io.lines("lines.txt") do
  pause = line
end
return {
  backoff = { "own", pause = pause or settings.pause },
  scenario = {
    update = function(value)
      require "later"
      local late <close> = assert(io.open("late.txt"))
      return (tonumber(value) or 0) + 1
    end,
  },
}
.
    cp -r . "$scratch.before"
    for output in lua/backoff/own.lua settings.lua later.lua unread.lua data.txt lines.txt \
        ./mine.lua; do
        run --separate-stderr "$vlockrun" -n 10 -w 2 --report "$output" mine.lua
        echo "$output: $status $stderr"
        [ "$status" -eq 2 ]
        [[ $stderr == *"which this run reads"* || $stderr == \
            *"is a Lua file: it is not overwritten"* ]]
    done
    # what it opens only while it runs is told afterwards; what was measured is shown
    run --separate-stderr "$vlockrun" -n 10 -w 2 --report late.txt mine.lua
    [ "$status" -eq 1 ]
    [[ $stderr == *"cannot write late.txt: it is a file that this run has read"* ]]
    [[ $output == *"10 commits stands"* ]]
    diff -r . "$scratch.before"
    rm -r "$scratch.before"
    for option in report hgrm plot history; do
        run --separate-stderr "$vlockrun" -n 10 "--$option" - none
        [ "$status" -eq 2 ]
        [ ! -e - ]
    done
    run "$vlockrun" -n 10 --report page.html - <mine.lua
    [ "$status" -eq 0 ]
    run --separate-stderr "$vlockrun" -n 10 --report page.html none <page.html
    [ "$status" -eq 2 ]
    "$vlockrun" -n 10 --report both none >both 2>stderr && false
    [[ $(cat stderr) == *"--report: that is where this run's own words go"* ]]
}

@test "control characters reach no terminal" {
    escape=$'\e[31m'
    echo 'return { backoff = "none" }' >"a${escape}b.lua"
    run "$vlockrun" compare --runs 1 -n 20 "a${escape}b.lua" none "nosuch$escape"
    [[ $output != *$'\e'* ]]
    run "$vlockrun" compare --runs 1 -n 20 "a${escape}b.lua" none
    [ "$status" -eq 0 ]
    [[ $output != *$'\e'* ]]
    run "$vlockrun" -e 'redis.log(redis.LOG_WARNING, "\27[2J") error("\27[2J")'
    [[ $output != *$'\e'* ]]
    [[ $output == *'\x1b[2J'* ]]
    run "$vlockrun" --json -e 'return "\u{9b}2J\127"'
    [ "$output" = '"\u009b2J\u007f"' ]
}

@test "nor do those of a recorded history, of a policy or of an error" {
    orders='\\u001b[2J\\u009b2J' # for sed
    "$vlockrun" -n 20 -w 2 --history whole.jsonl none
    sed "s/\"label\":\"none\"/\"label\":\"none$orders\"/; s/\"token\":\"/&$orders/; s/vlock:lab:/&$orders/" whole.jsonl >orders.jsonl
    sed '/committed/s/"base":"/&changed/' orders.jsonl >broken.jsonl
    for history in orders broken; do
        run "$vlockrun" verify "$history.jsonl"
        [[ $output == *'none\x1b[2J\xc2\x9b2J'* ]]
        [[ $output != *$'\e'* && $output != *$'\u009b'* ]]
        run "$vlockrun" verify --json "$history.jsonl"
        [[ $output != *$'\e'* && $output != *$'\u009b'* ]]
    done
    [[ $output == *'"fault":"'* ]]
    cat >orders.lua <<'.'
return {
  name = "name\27[2J",
  backoff = "none",
  retry = function()
    return false, "reason\27[2J"
  end,
}
.
    for arguments in "-w 8 -n 200 orders.lua" "compare --runs 2 -w 8 -n 200 orders.lua none"; do
        # shellcheck disable=SC2086 # words
        run "$vlockrun" $arguments
        [[ $output == *'reason\x1b[2J'* ]]
        [[ $output != *$'\e'* ]]
    done
}
