#!/usr/bin/env bats
# Every fault against every transition of the resolver, and cuts at every byte: transitions.lua.

load ../cli/environment

# start_proxy [OPTION …]: before the server started last, at $scratch/proxy.
start_proxy() {
    "$TOP/tests/fixtures/fault_proxy.py" "$scratch/proxy" "$socket" "$@" 3>&- &
    servers+=($!)
    local i
    for i in $(seq 200); do
        [ ! -e "$scratch/proxy" ] || break
        sleep 0.02
    done
}

# meet_all URL [CA-FILE]: of the proxy
meet_all() {
    run stock_lua "$TOP/tests/fault/transitions.lua" "$url" "$@"
    echo "$output"
    # A busy machine answers too late even for what stands beside the faults. An outcome that is false
    # is one too many.
    if [ "$status" -ne 0 ] && [[ $output != *"false: "* ]]; then
        cli FLUSHALL >/dev/null
        VLOCK_TEST_SLOWNESS=$((4 * ${VLOCK_TEST_SLOWNESS:-1})) \
            run stock_lua "$TOP/tests/fault/transitions.lua" "$url" "$@"
        echo "$output"
    fi
    [ "$status" -eq 0 ]
}

@test "every fault of the network meets every rule that it can, and each outcome is true" {
    start_server s
    start_proxy
    meet_all "unix://limited:pw@$scratch/proxy"
}

@test "so it does under TLS" {
    make_certificates
    start_server s
    start_proxy --tls tls/server.crt tls/server.key
    meet_all "rediss://limited:pw@127.0.0.1:$(cat proxy)" tls/ca.crt
}
