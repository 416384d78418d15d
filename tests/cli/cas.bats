#!/usr/bin/env bats
# The core script as a client in any language meets it: sent by redis-cli, to a server that expires,
# or is a cluster. Most of what is refused is in tests/lua/cas_refusals_spec.lua; what the article's
# script gets wrong in tests/lua/cas_spec.lua, but for the cluster, which is here.

load environment
export LC_ALL=C # bytes are bytes

CAS=$(<"$BATS_TEST_DIRNAME/../../lua/cas.lua")
READ=$(<"$BATS_TEST_DIRNAME/../../lua/read.lua")
K=cell
V='{cell}:v'

# cas ARG …: the reply as redis-cli prints it for people, so that a null, a number and a text are
# told apart.
cas() {
    cli --no-raw EVAL "$CAS" 2 "$K" "$V" "$@"
}

read_cell() {
    cli --no-raw EVAL_RO "$READ" 2 "$K" "$V"
}

# What stands on the server, and how many changes it has counted: equal before and after means that
# nothing was written.
state() {
    printf '%s\n' "DUMP $K" "DUMP $V" "PEXPIRETIME $K" "PEXPIRETIME $V" 'INFO persistence' \
        | cli --no-raw |
        grep -aE '^"|^\(|rdb_changes_since_last_save'
}

# untouched PATTERN COMMAND …: its reply matches, and it has written nothing.
untouched() {
    local pattern=$1 before reply
    shift
    before=$(state)
    reply=$("$@" 2>&1) || true
    if [[ ! $reply =~ $pattern ]]; then
        printf '%s: %s\nis not what was expected: %s\n' "${*: -6}" "$reply" "$pattern"
        return 1
    fi
    [ "$(state)" = "$before" ] || { echo "$* has written"; return 1; }
}

# committed STAMP ARG …
committed() {
    local stamp=$1 reply
    shift
    reply=$(cas "$@" 2>&1)
    [ "$reply" = "OK $stamp" ] || { echo "$*: $reply"; return 1; }
    [ "$(cli HGET "$V" s)" = "$stamp" ]
}

# user RULE …: the user `limited` may do everything but what these rules take from him.
user() {
    cli ACL SETUSER limited reset on '>pw' '~*' '&*' +@all "$@" >/dev/null
}

cas_limited() {
    cli --user limited --pass pw --no-auth-warning --no-raw EVAL "$CAS" 2 \
        "$K" "$V" "$@"
}

@test "the article's command line answers as printed" {
    start_server s
    cd "$TOP"
    [ "$(cli EVAL "$(cat ./lua/cas.lua)" 3 mykey version1 expire 1 1 100)" = OK ]
    [ "$(cli GET mykey)" = 1 ]
    [ "$(cli TTL version1)" -ge 99 ]
    [ "$(cli EXISTS expire)" = 0 ]
    [[ $(cli HGET version1 s) =~ ^1:et[0-9]+\.[0-9]+:-$ ]]
    [ "$(cli EVAL "$(cat ./lua/cas.lua)" 3 mykey version1 expire 2 2 100)" = OK ]
    [ "$(cli EVAL "$(cat ./lua/cas.lua)" 3 mykey version1 expire 3 2 100 | head -n 3)" = \
        $'-1\n2\n2' ]
}

@test "a conflict says what stands there, and changes nothing" {
    start_server s
    untouched $'^1\\) \\(integer\\) -1\n2\\) \\(integer\\) 0\n3\\) \\(nil\\)\n4\\) "0"$' cas x 2
    untouched $'\n3\\) \\(nil\\)\n4\\) "0"\n5\\) "w.1"$' cas x 2 0 w.1
    committed 1:ew.1:w.1 a 1 100 w.1 0
    untouched $'^1\\) \\(integer\\) -1\n2\\) \\(integer\\) 1\n3\\) "a"\n4\\) "1:ew.1:w.1"$' cas x \
        1 500
    untouched $'4\\) "1:ew.1:w.1"\n5\\) "w.2"$' cas x 1 500 w.2 0 PX 5000
    untouched $'4\\) "1:ew.1:w.1"\n5\\) "w.2"$' cas x 1 0 w.2 0 DEL
    untouched '"1:ew.1:w.1"' cas x 2 100 w.2 1:ew.1:w.9
    untouched '"1:ew.1:w.1"' cas x 2 100 '' 1:ew.1:w.9
    untouched '"1:ew.1:w.1"' cas x 3 100 w.2 1:ew.1:w.1
    committed 2:ew.1:w.2 '' 2 100 w.2 1:ew.1:w.1 DEL
    untouched $'\n3\\) \\(nil\\)\n4\\) "2:ew.1:w.2"' cas x 1 100
    committed 3:ew.1:w.3 '' 3 100 w.3
    untouched $'\n3\\) ""\n4\\) "3:ew.1:w.3"' cas x 1 100
}

@test "bytes of any kind come back as they went" {
    start_server s
    printf 'a\0b\r\n\xff' | cli -X VALUE EVAL "$CAS" 2 "$K" "$V" VALUE 1
    untouched '3\) "a\\x00b\\r\\n\\xff"' cas x 1
    [[ $(read_cell) == *'1) "a\x00b\r\n\xff"'* ]]
}

@test "replies are the same under RESP3" {
    start_server s
    for arguments in 'a 1 0 w.1' 'x 1' 'x 1 0 w.2' 'x 1 0 w 2'; do
        # shellcheck disable=SC2086
        two=$(cas $arguments)
        [ "$arguments" != 'a 1 0 w.1' ] || cli DEL "$K" "$V" >/dev/null
        # shellcheck disable=SC2086
        three=$(cli -3 --no-raw EVAL "$CAS" 2 "$K" "$V" $arguments)
        echo "$two | $three"
        [ -n "$two" ]
        [ "$two" = "$three" ]
    done
}

@test "the record's lifetime is renewed by each commit, lifted by 0, never shortened" {
    start_server s
    committed 1:ew.1:w.1 a 1 100 w.1
    cli PEXPIRE "$V" 5000 >/dev/null
    committed 2:ew.1:w.2 a 2 100 w.2
    [ "$(cli TTL "$V")" -ge 99 ]
    committed 3:ew.1:w.3 a 3 10 w.3
    [ "$(cli TTL "$V")" -ge 99 ]
    committed 4:ew.1:w.4 a 4 3153600000 w.4
    [ "$(cli TTL "$V")" -ge 3153599999 ]
    committed 5:ew.1:w.5 a 5 0 w.5
    [ "$(cli TTL "$V")" = -1 ]
    committed 6:ew.1:w.6 a 6 100 w.6
    [ "$(cli TTL "$V")" = -1 ]
    cli DEL "$V" >/dev/null
    committed 1:pw.7:w.7 a 1 '' w.7
    committed 2:pw.7:w.8 a 2 100 w.8
    [ "$(cli TTL "$V")" = -1 ]
    [ "$(cli TTL "$K")" = -1 ]
}

@test "the article's record is converted at the next commit, and lives no shorter" {
    start_server s
    # its lifetime before, the lifetime asked for -> what it is then, and the kind of the record
    while read -r before asked after kind; do
        cli FLUSHALL >/dev/null
        cli SET "$K" old >/dev/null
        cli SET "$V" 7 >/dev/null
        [ "$before" = none ] || cli PEXPIRE "$V" "$before" >/dev/null
        [ "$(read_cell)" = $'1) "old"\n2) (integer) 7\n3) "7"' ]
        untouched $'2\\) \\(integer\\) 7\n3\\) "old"\n4\\) "7"$' cas x 7 "$asked"
        untouched '4\) "7"' cas x 8 "$asked" w.1 8
        committed "8:${kind}w.1:w.1" new 8 "$asked" w.1 7
        ttl=$(cli TTL "$V")
        [ "$after" != none ] || after=-1
        [ "$ttl" -le "$after" ]
        [ "$ttl" -ge $((after - 2)) ]
    done <<'END'
none   0    none p
none   100  none e
500000 0    none p
500000 100  500  e
50000  100  100  e
99500  99   100  e
END
    # a count that has not begun: its stamp is that of no record
    cli FLUSHALL >/dev/null
    cli SET "$V" 0 >/dev/null
    [ "$(read_cell)" = $'1) (nil)\n2) (integer) 0\n3) "0"' ]
    committed 1:pw.1:w.1 a 1 0 w.1 0
}

@test "the value keeps its lifetime, gets one, and loses it when deleted" {
    start_server s
    cli SET "$K" old PX 1000000 >/dev/null
    at=$(cli PEXPIRETIME "$K")
    committed 1:pw.1:w.1 a 1 0 w.1
    [ "$(cli PEXPIRETIME "$K")" = "$at" ]
    committed 2:pw.1:w.2 b 2 0 w.2 '' PX 50000
    [ "$(cli PTTL "$K")" -gt 40000 ]
    [ "$(cli PTTL "$K")" -le 50000 ]
    committed 3:pw.1:w.3 '' 3 0 w.3 '' DEL
    [ "$(cli EXISTS "$K")" = 0 ]
    committed 4:pw.1:w.4 '' 4 0 w.4 '' DEL
    committed 5:pw.1:w.5 c 5 0 w.5
    [ "$(cli GET "$K")" = c ]
    [ "$(cli PTTL "$K")" = -1 ]
}

@test "in a cluster the two keys of a cell work, and the article's three do not" {
    # The bus needs a port of its own: one that is free now.
    bus=$(python3 -c \
        'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    start_server c --bind 127.0.0.1 --cluster-enabled yes --cluster-port "$bus" \
        --cluster-config-file "$scratch/nodes.conf"
    cli CLUSTER ADDSLOTSRANGE 0 16383
    for _ in $(seq 200); do
        [[ $(cli CLUSTER INFO) != *cluster_state:ok* ]] || break
        sleep 0.05
    done
    naive=$(cat "$TOP/tests/fixtures/naive_cas.lua")
    [[ $(cli EVAL "$naive" 3 mykey version1 expire 1 1 100) == CROSSSLOT* ]]
    [ "$(cas a 1 0 w.1 0)" = 'OK 1:pw.1:w.1' ]
    [ "$(cas b 2 0 w.2 1:pw.1:w.1)" = 'OK 2:pw.1:w.2' ]
    [ "$(read_cell)" = $'1) "b"\n2) (integer) 2\n3) "2:pw.1:w.2"' ]
    [[ $(cli EVAL "$CAS" 3 "$K" "$V" expire a 3 100) == CROSSSLOT* ]]
    [ "$(cli EVAL "$CAS" 3 "$K" "$V" "{$K}:unused" c 3 0)" = OK ]
}

@test "reading says whose refusal it was" {
    start_server s
    committed 1:pw.1:w.1 a 1 0 w.1
    for command in hget get exists; do
        user "-$command"
        [ "$command" != hget ] || user -hget -hmget
        [ "$command" != exists ] || cli DEL "$V" >/dev/null
        reply=$(cli --user limited --pass pw --no-auth-warning EVAL_RO \
            "$READ" 2 "$K" "$V")
        [[ $reply != VLOCK* && $reply =~ NOPERM|ACL|can.t\ run ]]
        reply=$(cas_limited b 2)
        [[ $command = get || ($reply != *VLOCK* && $reply =~ NOPERM|ACL|can.t\ run) ]]
    done
    sha=$(cli SCRIPT LOAD "$READ")
    [ "$(cli EVALSHA_RO "$sha" 2 "$K" "$V" | tail -n 1)" = 0 ]
}
