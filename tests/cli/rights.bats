#!/usr/bin/env bats
# The rights that lua/README.md says a user of the server must have: enough for all that the library
# and the lab do.

load environment

# allow [RIGHT …]: the user app, with the password pw, what the guide names, and these.
allow() {
    local words
    read -ra words < <(sed -n 's/^    \(ACL SETUSER app on .*\)/\1/p' "$TOP/lua/README.md")
    [ "${#words[@]}" -gt 20 ]
    cli "${words[@]/PASSWORD/pw}" "$@"
}

@test "a user with the rights of the guide updates in every way, and resolves lost replies" {
    start_server s
    allow
    cat >all.lua <<'END'
local function add(value) return (tonumber(value) or 0) + 1 end
local lifetimes = { ttl = "5s", expire = "100s" }
assert(vlock.update("cart:0", add, { read_from = "replica" })) -- there is none
for _ = 1, 2 do
  assert(vlock.update("cart:1", add))
  assert(vlock.update("cart:2", add, lifetimes))
  assert(vlock.update("cart:3", function(value)
    return { n = (value and value.n or 0) + 1 }
  end, { codec = "json" }))
  assert(vlock.update("cart:4", add, { merge = { "counter", at = "server" } }))
end
local _, version, stamp = vlock.get("cart:1")
assert(vlock.compare_and_set("cart:1", "7", version))
assert(select(2, vlock.compare_and_set("cart:1", "7", stamp)).outcome == "conflict")
vlock.update("cart:1", function() return vlock.DELETE end)
assert(vlock.get("cart:1") == nil)
-- Two writers, and connections that die.
local writers = {}
for i = 1, 2 do
  writers[i] = vlock.spawn(function()
    for _ = 1, 1500 do assert(vlock.update("cart:5", add)) end
  end)
end
for _, writer in ipairs(writers) do writer:join() end
return vlock.get("cart:5")
END
    "$vlockrun" -u "unix://app:pw@$socket" all.lua >out 2>&1 3>&- &
    pid=$!
    kills=0
    while kill -0 "$pid" 2>/dev/null; do
        kills=$((kills + $(cli CLIENT KILL USER app)))
        sleep 0.005
    done
    wait "$pid" || { cat out; return 1; }
    cat out
    [ "$(cat out)" = 3000 ]
    [ "$kills" -gt 5 ]
}

@test "and no others: what is not named is refused" {
    start_server s
    allow
    run "$vlockrun" -u "unix://app:pw@$socket" -e 'return vlock.update("other", function() return 1 end)'
    [ "$status" -eq 1 ]
    [[ $output == *NOPERM* ]]
    run "$vlockrun" -u "unix://app:pw@$socket" -e 'return redis.call("KEYS", "*")'
    [[ $output == *NOPERM* ]]
}

@test "the lab needs what the guide names beside it" {
    start_server s
    # shellcheck disable=SC2046 # words
    allow $(sed -n 's/^server of yours, works on keys of its own: `\(.*\)`, too.*/\1/p' "$TOP/lua/README.md")
    run -0 "$vlockrun" --json -u "unix://app:pw@$socket" -w 10 -n 500 full_jitter
    [[ $output == *'"verified":true'* ]]
    [ "$(cli DBSIZE)" -eq 0 ]
}
