# What every bats file of the command needs: vlockrun, a scratch folder, servers that are gone when
# the test is.

setup() {
    TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    vlockrun=$TOP/vlockrun
    scratch=$(mktemp -d)
    servers=()
    unset VLOCK_REDIS_URL VLOCK_PATH REDISCLI_AUTH NO_COLOR
    cd "$scratch"
}

teardown() {
    end_test
}

# Ends what the test has started, and removes its folder.
end_test() {
    local pid
    for pid in "${servers[@]}"; do
        kill -CONT "$pid" 2>/dev/null || true
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    cd /
    rm -rf "$scratch"
}

bats_require_minimum_version 1.5.0

# no COMMAND …: fails where the command succeeds. (A test goes on after a bare "! COMMAND", whatever
# came of it.)
no() {
    if "$@"; then
        return 1
    fi
}

# redis-cli on the server started last.
cli() {
    redis-cli -s "$socket" "$@"
}

# start_server NAME [OPTION …]: a server on the socket $scratch/NAME.sock, as background job; its
# process is in $server.
start_server() {
    local name=$1
    shift
    "${VLOCK_SERVER:-redis-server}" --port 0 --unixsocket "$scratch/$name.sock" --save '' --appendonly no --dir "$scratch" \
        --daemonize no "$@" >"$scratch/$name.log" 2>&1 3>&- &
    server=$!
    servers+=("$server")
    url=unix://$scratch/$name.sock
    socket=$scratch/$name.sock
    local i
    for i in $(seq 200); do
        redis-cli -s "$socket" PING 2>/dev/null | grep -qE 'PONG|NOAUTH' && return 0
        sleep 0.02
    done
    cat "$scratch/$name.log"
    return 1
}

# is_gone PID: within two seconds the process has ended (a zombie has).
is_gone() {
    local i state
    for i in $(seq 100); do
        state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null || true)
        case $state in '' | Z) return 0 ;; esac
        sleep 0.02
    done
    return 1
}

# The private server of a vlockrun that runs: its process and its folder, found through the
# supervisor, vlockrun's child.
find_private_server() {
    local i supervisor
    for i in $(seq 200); do
        supervisor=$(pgrep -P "$1" | head -n 1)
        private_pid=$(pgrep -P "${supervisor:-0}" | head -n 1)
        [ -n "$private_pid" ] && private_folder=$(readlink "/proc/$private_pid/cwd") \
            && [ -S "$private_folder/socket" ] && return 0
        sleep 0.02
    done
    return 1
}

# stock_lua ARGUMENT …: the interpreter, with the module that was built. Instrumented code in a
# program that is not: what the instruments need comes first, and it takes its time.
stock_lua() {
    local preload='' name seconds=$((30 * ${VLOCK_TEST_SLOWNESS:-1} ${SANITIZER:+* 4}))
    for name in ${SANITIZER:+libasan.so libubsan.so}; do
        preload+=" $(${CC:-cc} -print-file-name=$name)"
    done
    timeout "$seconds" env ${preload:+LD_PRELOAD="${preload# }" ASAN_OPTIONS=detect_leaks=0} \
        LUA_CPATH="$TOP/build/?.so;./?.so" lua5.4 "$@"
}

# build_c NAME: the program NAME of NAME.c, with the library that was built.
build_c() {
    # shellcheck disable=SC2046 # flags are words
    "${CC:-cc}" -Wall -Werror ${SANITIZER:+-fsanitize="$SANITIZER"} -I"$TOP/src" "$1.c" \
        "$TOP/build/libvlock.a" $(pkg-config --libs hiredis lua5.4 libevent openssl) \
        $(ls /usr/lib/*/liblua5.4-cjson.so* | head -n 1) -lm -ldl -o "$1"
}

# make_certificates: the folder tls, with a CA, ca.crt, and certificates of it with their keys:
# server, for localhost and 127.0.0.1; other, for another host; client; and stale, which is over in
# a second.
make_certificates() {
    local name names days
    mkdir -p tls
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=a CA for tests" -keyout tls/ca.key -out tls/ca.crt 2>/dev/null
    while read -r name names days; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" \
            -keyout "tls/$name.key" -out "tls/$name.csr" 2>/dev/null
        openssl x509 -req -in "tls/$name.csr" -CA tls/ca.crt -CAkey tls/ca.key -CAcreateserial \
            -days "$days" -extfile <(echo "subjectAltName=$names") -out "tls/$name.crt" 2>/dev/null
    done <<'END'
server DNS:localhost,IP:127.0.0.1 2
other DNS:elsewhere.example 2
client DNS:client.example 2
stale DNS:localhost,IP:127.0.0.1 0
END
}

# start_tls_server NAME CERTIFICATE [OPTION …]: start_server, and by TLS at $tls_url, with that
# certificate of make_certificates.
start_tls_server() {
    local name=$1 certificate=$2 port i
    shift 2
    for i in {1..20}; do
        port=$((20000 + RANDOM % 12000))
        start_server "$name" --tls-port "$port" --tls-cert-file "tls/$certificate.crt" \
            --tls-key-file "tls/$certificate.key" --tls-ca-cert-file tls/ca.crt \
            --tls-auth-clients no "$@" && break
    done
    tls_url=rediss://127.0.0.1:$port
}
