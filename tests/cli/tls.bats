#!/usr/bin/env bats
# TLS: the same script, policy and module by rediss://, and who is trusted. What the network does to
# it is in tests/fault.

load environment

# says STATUS WORDS OPTION …: a script on the server by TLS ends so, saying that in one line; nobody
# has logged in.
says() {
    local wanted=$1 words=$2
    shift 2
    run --separate-stderr timeout 20 "$vlockrun" "$@" -e 'return redis.call("PING")'
    echo "$status: $stderr"
    [ "$status" -eq "$wanted" ]
    [[ $stderr == *"$words"* ]]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
    [[ $stderr != *s3cret* ]]
}

@test "scripts, policies and histories are the same by TLS" {
    make_certificates
    start_tls_server s server --requirepass s3cret
    by=(--cacert tls/ca.crt -u "${tls_url/127.0.0.1/:s3cret@localhost}/2")
    # shellcheck disable=SC2016 # the server's
    run -0 "$vlockrun" "${by[@]}" -e 'redis.call("SET", KEYS[1], ARGV[1]) return redis.call("GET", "a")' a , one
    [ "$output" = one ]
    run -0 "$vlockrun" "${by[@]}" --json -w 20 -k 4 -n 2000 --history h.jsonl full_jitter
    python3 -c 'import json, sys; r = json.loads(sys.argv[1]); assert r["verified"] is True and r["commits"] == 2000, r
assert r["server"]["url"].startswith("rediss://:***@localhost:"), r' "$output"
    run -0 "$vlockrun" verify h.jsonl
    # Its keys are gone, and the one of the script is where it was put.
    REDISCLI_AUTH=s3cret cli INFO keyspace >keys
    [ "$(grep '^db' keys | cut -d, -f1)" = db2:keys=1 ]
    # Connections of a script's own.
    run -0 "$vlockrun" "${by[@]}" -e 'local own = redis.connect(ARGV[1]) return own:call("GET", "a")' , \
        "${tls_url/127.0.0.1/:s3cret@localhost}/2"
    [ "$output" = one ]
}

@test "the keys of a run that is killed are removed by TLS, too" {
    make_certificates
    start_tls_server s server
    "$vlockrun" --cacert tls/ca.crt -u "$tls_url" -k 5 -d 20s full_jitter >out 2>&1 3>&- &
    pid=$!
    for _ in {1..200}; do
        [ "$(cli DBSIZE)" -lt 10 ] || break
        sleep 0.02
    done
    [ "$(cli DBSIZE)" -eq 10 ]
    kill -KILL "$pid"
    for _ in {1..300}; do
        [ "$(cli DBSIZE)" -gt 0 ] || break
        sleep 0.02
    done
    [ "$(cli DBSIZE)" -eq 0 ]
}

@test "large values and many commands at once go through whole, in both directions" {
    make_certificates
    start_tls_server s server
    cat >large.lua <<'END'
local began, large = vlock.now(), {}
for i = 1, 20 do large[i] = string.rep(string.char(64 + i), 1000003) end
local tasks = {}
for i = 1, 20 do
  tasks[i] = vlock.spawn(function()
    redis.call("SET", "large:" .. i, large[i])
    for _ = 1, 3 do assert(redis.call("GET", "large:" .. i) == large[i]) end
  end)
end
for i = 1, 2000 do
  tasks[#tasks + 1] = vlock.spawn(function() assert(redis.call("ECHO", "echo " .. i) == "echo " .. i) end)
end
for _, task in ipairs(tasks) do task:join() end
return vlock.now() - began < 9 and "whole" or "only at the time-out"
END
    run -0 "$vlockrun" --cacert tls/ca.crt -u "$tls_url" large.lua
    [ "$output" = whole ]
}

# start_protected NAME CERTIFICATE: with the password s3cret, and no command counted so far.
start_protected() {
    start_tls_server "$1" "$2" --requirepass s3cret
    REDISCLI_AUTH=s3cret cli CONFIG RESETSTAT >/dev/null
}

@test "who is not the server hears no password" {
    make_certificates
    start_protected s server
    url=${tls_url/:\/\//:\/\/:s3cret@}
    says 3 'is not trusted: self-signed certificate in certificate chain: name the file of the CA that signed it (--cacert)' -u "$url"
    says 3 "is not for elsewhere.example: use a name that it is for" -u "$url" --cacert tls/ca.crt --sni elsewhere.example
    start_protected o other
    url=${tls_url/:\/\//:\/\/:s3cret@}
    says 3 "the server's certificate is not for 127.0.0.1" -u "$url" --cacert tls/ca.crt
    says 3 "the server's certificate is not for localhost" -u "${url/127.0.0.1/localhost}" --cacert tls/ca.crt
    start_protected e stale
    sleep 1
    url=${tls_url/:\/\//:\/\/:s3cret@}
    says 3 'certificate has expired: the server needs a new one' -u "$url" --cacert tls/ca.crt
    for socket in s.sock o.sock e.sock; do
        REDISCLI_AUTH=s3cret cli INFO commandstats | tee commands
        no grep -q 'cmdstat_ping' commands # the only one that we would send
    done
}

@test "whom one takes for the server is one's own decision: another name, or anybody" {
    make_certificates
    start_tls_server s server --tls-protocols TLSv1.2
    SSL_CERT_FILE=tls/ca.crt run -0 "$vlockrun" -u "$tls_url" -e 'return redis.call("PING")' # the system's
    [ "$output" = PONG ]
    start_tls_server o other
    run -0 "$vlockrun" -u "$tls_url" --cacert tls/ca.crt --sni elsewhere.example -e 'return redis.call("PING")'
    [ "$output" = PONG ]
    start_tls_server e stale
    run -0 "$vlockrun" -u "$tls_url" --insecure -e 'return redis.call("PING")'
    [ "$output" = PONG ]
}

@test "a server that wants a certificate gets one, and one without is told so" {
    make_certificates
    start_tls_server s server --tls-auth-clients yes
    says 3 "the server may want a client's certificate (--cert and --cert-key)" -u "$tls_url" --cacert tls/ca.crt
    by=(-u "$tls_url" --cacert tls/ca.crt)
    run -0 "$vlockrun" "${by[@]}" --cert tls/client.crt --cert-key tls/client.key -e 'return redis.call("PING")'
    [ "$output" = PONG ]
    says 2 "a client's certificate and its key go together: name both" "${by[@]}" --cert tls/client.crt
    says 2 "cannot use the client's certificate, nowhere.crt: No such file or directory" "${by[@]}" --cert nowhere.crt --cert-key tls/client.key
    says 2 "cannot use the client's key, tls/ca.crt:" "${by[@]}" --cert tls/client.crt --cert-key tls/ca.crt
    says 2 "cannot use the client's key" "${by[@]}" --cert tls/client.crt --cert-key tls/other.key
    says 2 "cannot use the certificates of the CA, nowhere.crt: No such file or directory" -u "$tls_url" --cacert nowhere.crt
    # Nobody is asked for a passphrase.
    openssl ec -in tls/client.key -aes128 -passout pass:s3cret -out tls/locked.key 2>/dev/null
    says 2 "cannot use the client's key, tls/locked.key:" "${by[@]}" --cert tls/client.crt --cert-key tls/locked.key
}

@test "TLS where there is none, and none where there is TLS" {
    make_certificates
    start_tls_server s server
    says 3 'a server that wants TLS has a URL with rediss://' -u "${tls_url/rediss/redis}"
    python3 - 3>&- <<'END' &
import socket
listener = socket.create_server(("127.0.0.1", 0))
open("port", "w").write(str(listener.getsockname()[1]))
while True:
    one, _ = listener.accept()
    one.recv(1000)
    one.sendall(b"-ERR unknown command\r\n")
    one.close()
END
    servers+=($!)
    for _ in {1..100}; do [ -s port ] || sleep 0.02; done
    says 3 'what answers there does not speak TLS: for a server without, the URL begins with redis://' -u "rediss://127.0.0.1:$(cat port)"
}

@test "a server that never shakes hands is waited for no longer than for a connection" {
    python3 - 3>&- <<'END' &
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
open("port", "w").write(str(listener.getsockname()[1]))
time.sleep(60)
END
    servers+=($!)
    for _ in {1..100}; do [ -s port ] || sleep 0.02; done
    cat >a.lua <<'END'
local vlock = require "vlock"
vlock.open { url = arg[1], connect_timeout = 0.3 }
print(vlock.redis.pcall("PING").err)
END
    run -0 stock_lua a.lua "rediss://127.0.0.1:$(cat port)"
    [[ $output == *"no connection in time" ]]
}

@test "the module takes the same options" {
    make_certificates
    start_tls_server s server --tls-auth-clients yes
    cat >a.lua <<'END'
local vlock = require "vlock"
vlock.open { url = arg[1], tls_ca = "tls/ca.crt", tls_certificate = "tls/client.crt", tls_key = "tls/client.key",
  tls_server_name = "localhost" }
print(vlock.update("n", function(value) return (value or 0) + 1 end))
END
    run -0 stock_lua a.lua "$tls_url"
    [ "$output" = $'1\t1' ]
    run stock_lua -e 'require("vlock").open { url = "rediss://localhost", tls_ca = "nowhere" }'
    [[ $output == *"TLS: cannot use the certificates of the CA, nowhere: No such file or directory"* ]]
}

@test "TLS in a loop of the program's own" {
    make_certificates
    start_tls_server s server
    cat >own.c <<'END'
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "vlock.h"
static const char source[] =
    "local large = ('x'):rep(30000000) "
    "os.execute('kill -STOP $SERVER; { sleep 0.3; kill -CONT $SERVER; } &') " /* its socket is full */
    "redis.call('SET', 'large', large) "
    "for _ = 1, 3 do assert(redis.call('GET', 'large') == large) end "
    "for _ = 1, 100 do assert(vlock.update('n', function(value) return (value or 0) + 1 end)) end "
    "assert(redis.call('GET', 'n') == '100')";
int main(int count, char **words)
{
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = vlock_open(&(struct vlock_options){.url = words[count - 1], .tls_ca = "tls/ca.crt"}, &error);
    int result = engine ? vlock_start(engine, source, strlen(source), "=s", NULL, NULL, NULL, &error) : -1;
    if (result == 0)
        result = 1;
    while (result == 1) {
        struct pollfd ready = {.fd = vlock_descriptor(engine), .events = POLLIN};
        if (poll(&ready, 1, 5000) != 1)
            return puts("nothing happened for 5 s"), 1;
        result = vlock_step(engine, &error);
    }
    puts(result == 0 ? "fine" : error.message);
    vlock_close(engine);
    return result != 0;
}
END
    build_c own
    SERVER=$server run timeout 60 ./own "$tls_url"
    echo "$output"
    [ "$output" = fine ]
}
