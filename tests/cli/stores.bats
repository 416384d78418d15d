#!/usr/bin/env bats
# The store that only some servers can carry: ifeq.

load environment

# Whether the server started last has SET … IFEQ.
has_ifeq() {
    cli SET probe v >/dev/null
    [[ $(cli SET probe v IFEQ v 2>&1) != *"syntax error"* ]]
}

@test "ifeq on a server without it is a clear error, and nothing is written" {
    start_server s
    if has_ifeq; then skip "this server has SET … IFEQ"; fi
    cli DEL probe
    run "$vlockrun" -u "$url" --store ifeq "$TOP/lua/backoff/none.lua"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"store 'ifeq' needs the server's SET … IFEQ, which Valkey has from 8.1 and Redis from 8.4; this is "*": use --store plain" ]]
    [ "$(wc -l <<<"$output")" -eq 1 ]
    [ -z "$(cli KEYS '*')" ]
}

@test "ifeq writes, conflicts, deletes, keeps and sets lifetimes" {
    start_server s
    has_ifeq || skip "this server has no SET … IFEQ"
    cat >ifeq.lua <<'END'
local function opts(more)
  more = more or {}
  more.store = "ifeq"
  return more
end
local function add(value)
  return (value or 0) + 1
end
assert(vlock.update("k", add, opts()) == 1 and vlock.update("k", add, opts()) == 2)
redis.call("SET", "k", "10", "EX", 100)
assert(vlock.update("k", add, opts { backoff = "none" }) == 11)
assert(redis.call("TTL", "k") == 100 and redis.call("EXISTS", "{k}:v") == 0)
assert(vlock.update("k", add, opts { ttl = 50 }) == 12)
assert(redis.call("TTL", "k") == 50)
vlock.delete("k", opts())
assert(redis.call("EXISTS", "k") == 0)
-- somebody else comes in between, each time once
local function intruding(write)
  return function(value)
    if write then
      local now = write
      write = nil
      redis.call(table.unpack(now))
    end
    return value == nil and "was absent" or "was " .. value
  end
end
assert(vlock.update("k", intruding { "SET", "k", "theirs" }, opts()) == "was theirs")
assert(vlock.update("k", intruding { "DEL", "k" }, opts()) == "was absent")
local deletes = intruding { "SET", "k", "again" }
vlock.update("k", function(value)
  deletes(value)
  return vlock.DELETE
end, opts())
assert(redis.call("EXISTS", "k") == 0)
redis.call("LPUSH", "k", "x")
local ok, reason = pcall(vlock.update, "k", add, opts())
assert(not ok and tostring(reason):find("WRONGTYPE"))
print("fine")
END
    run "$vlockrun" -u "$url" ifeq.lua
    echo "$output"
    [ "$output" = fine ]
}

@test "ifeq under contention loses nothing" {
    start_server s
    has_ifeq || skip "this server has no SET … IFEQ"
    run -0 "$vlockrun" compare -u "$url" --duration 200ms --runs 1 full_jitter@plain \
        full_jitter@ifeq
    echo "$output"
    [[ $output != *BROKEN* && $output != *"not verified"* ]]
}
