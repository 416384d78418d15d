#!/usr/bin/env bats
# Servers that will not have us, and what is no Redis at all: said, with exit code 3, and never the
# end of the process.

load ../cli/environment

# start_not_redis GREETING ANSWER [SECONDS]: what listens at $url says so, and hangs up after that
# time.
start_not_redis() {
    rm -f "$scratch/n.sock" "$scratch/n.sock.log"
    python3 "$BATS_TEST_DIRNAME/../fixtures/not_redis.py" "$scratch/n.sock" "$1" "$2" "${3:-0.3}" \
        3>&- &
    servers+=($!)
    url=unix://$scratch/n.sock
    local i
    for i in $(seq 200); do [ -S "$scratch/n.sock" ] && return 0; sleep 0.02; done
    return 1
}

# is_refused WORDS: a script and a policy end with 3, and say so.
is_refused() {
    run --separate-stderr timeout 20 "$vlockrun" -u "$url" -e 'return redis.call("PING")'
    echo "$status: $stderr"
    [ "$status" -eq 3 ]
    [[ $stderr == *"$1"* ]]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
    run --separate-stderr timeout 20 "$vlockrun" -u "$url" -n 10 full_jitter
    echo "$status: $stderr"
    [ "$status" -eq 3 ]
}

@test "what answers in another language is no Redis" {
    start_not_redis '' 'HTTP/1.1 400 Bad Request\r\n\r\n'
    is_refused 'no Redis or Valkey'
    start_not_redis '' '\x15\x03\x01\x00\x02\x02\x50'
    is_refused 'no Redis or Valkey'
}

@test "what speaks first is no Redis" {
    start_not_redis 'SSH-2.0-OpenSSH_9.2\r\n' ''
    is_refused 'no Redis or Valkey'
}

@test "what greets with what looks like replies is no Redis" {
    start_not_redis '+OK POP3 ready\r\n' '-ERR what?\r\n'
    is_refused 'no Redis or Valkey'
    start_not_redis '' '+OK\r\n'
    is_refused 'no Redis or Valkey'
    start_not_redis '* OK IMAP4rev1\r\n' ''
    is_refused 'no Redis or Valkey'
    start_not_redis '' '' 0
    is_refused 'cannot connect to'
}

@test "replies that nobody asked for end the connection, and not the process" {
    start_not_redis '' '$16\r\n{text}\r\n+PONG\r\n:1\r\n'
    is_refused 'it said "+PONG" unasked'
}

@test "so does one that comes while nothing is under way" {
    start_not_redis '' '$16\r\n{text}\r\n{next}:1\r\n{pause}:2\r\n' 5
    run --separate-stderr timeout 20 "$vlockrun" -u "$url" \
        -e 'local reply = redis.call("PING") vlock.sleep(0.4) return reply'
    echo "$status: $output $stderr"
    [ "$status" -eq 0 ]
    [ "$output" = 1 ]
}

@test "too many clients, no password, no user: refused at the door" {
    start_server s --maxclients 1
    sleep 30 | redis-cli -s "$socket" 3>&- &
    servers+=($!)
    sleep 0.3
    is_refused 'refused us: ERR max number of clients reached'
    start_server t --requirepass secret
    is_refused 'refused us: NOAUTH'
    url=unix://:wrong@$scratch/t.sock
    is_refused 'refused us: WRONGPASS'
}

@test "a server that refuses at once is not connected to again and again" {
    start_not_redis '' '-ERR max number of clients reached\r\n' 0
    run timeout 20 "$vlockrun" -u "$url" -e '
        local over = vlock.now() + 1
        while vlock.now() < over do redis.pcall("PING") end'
    [ "$(wc -l <"$scratch/n.sock.log")" -lt 20 ]
}

@test "a user who may run scripts and not load them updates all the same" {
    start_server s
    cli ACL SETUSER u on '>p' '~*' +@all '-script'
    url=unix://u:p@$scratch/s.sock
    run "$vlockrun" -u "$url" -e 'return { vlock.update("n", function(v) return (v or 0) + 1 end) }'
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 1 ]
}

@test "a socket's path that is too long is refused, and no other socket is used" {
    long=$scratch/$(printf 'x%.0s' $(seq 120))
    run --separate-stderr "$vlockrun" -u "unix://$long" -e 'return 1'
    [ "$status" -eq 2 ]
    [[ $stderr == *"bytes, the system takes 107 at most"* ]]
}
