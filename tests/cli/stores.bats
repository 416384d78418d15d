#!/usr/bin/env bats
# The stores that only some servers can carry: ifeq and envelope.

load environment

# Whether the server started last has SET … IFEQ.
has_ifeq() {
    cli SET probe v >/dev/null
    [[ $(cli SET probe v IFEQ v 2>&1) != *"syntax error"* ]]
}

@test "ifeq and envelope on a server without it is a clear error, and nothing is written" {
    start_server s
    if has_ifeq; then skip "this server has SET … IFEQ"; fi
    cli DEL probe
    for store in ifeq envelope; do
        run "$vlockrun" -u "$url" --store $store "$TOP/lua/backoff/none.lua"
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *"store '$store' needs the server's SET … IFEQ, which Valkey has from 8.1"* ]]
        [[ $output == *" and Redis from 8.4; this is "*": use --store plain" ]]
        [ "$(wc -l <<<"$output")" -eq 1 ]
        [ -z "$(cli KEYS '*')" ]
    done
    # Not even the first value, which needs no comparison; nor is it unknown what became of it.
    for store in ifeq envelope; do
        run "$vlockrun" -u "$url" -e "vlock.update('k', function() return 'v' end, { store = '$store' })"
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *"store '$store' needs the server's SET … IFEQ"* ]]
        [ -z "$(cli KEYS '*')" ]
        cli SET k "vlock1 1:pa.1:a.1"$'\n'v >/dev/null
        run "$vlockrun" -u "$url" \
            -e "vlock.update('k', function(v) return v .. 'w' end, { store = '$store' })"
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *"store '$store' needs the server's SET … IFEQ"* ]]
        cli DEL k
    done
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

@test "envelope writes, conflicts, deletes, takes in what stands there, keeps and sets lifetimes" {
    start_server s
    has_ifeq || skip "this server has no SET … IFEQ"
    cat >envelope.lua <<'END'
local function opts(more)
  more = more or {}
  more.store = "envelope"
  return more
end
local function add(value)
  return (value or 0) + 1
end
local function says(wanted, ...)
  local value, version = vlock.update(...)
  assert(value == wanted[1] and version == wanted[2], ("%s, %s"):format(value, version))
end
says({ 1, 1 }, "k", add, opts())
says({ 2, 2 }, "k", add, opts())
assert(redis.call("GET", "k"):find("^vlock1 2:p[^:]+:[^:]+\n2$"), redis.call("GET", "k"))
assert(redis.call("EXISTS", "{k}:v") == 0)
-- a value without an envelope, bytes that look like half of one
redis.call("SET", "k", "10", "EX", 100)
says({ 11, 1 }, "k", add, opts())
assert(redis.call("TTL", "k") == 100)
says({ 12, 2 }, "k", add, opts { ttl = 50 })
assert(redis.call("TTL", "k") == 50)
for _, text in ipairs { "", "\n", "vlock1 ", "vlock1 7", "vlock1 7:px:y.1z\0", "vlock1 0:px:y.1\n" } do
  redis.call("SET", "odd", text)
  assert(vlock.get("odd", opts()) == text)
  says({ text .. "!", 1 }, "odd", function(value) return value .. "!" end, opts())
  says({ text, 2 }, "odd", function() return text end, opts())
  assert(vlock.get("odd", opts()) == text)
end
-- deleted: its version is left, and moves on
vlock.delete("k", opts())
local value, version, stamp = vlock.get("k", opts())
assert(value == nil and version == 3)
says({ 1, 4 }, "k", add, opts())
-- compare_and_set knows a version or a stamp
local nothing, conflict = vlock.compare_and_set("k", "9", stamp, opts())
assert(nothing == nil and conflict.outcome == "conflict" and conflict.value == "1")
assert(vlock.compare_and_set("k", "9", conflict.stamp, opts()) == 5)
assert(vlock.compare_and_set("k", "8", 5, opts()) == 6)
nothing, conflict = vlock.compare_and_set("k", "7", 5, opts())
assert(nothing == nil and conflict.version == 6 and conflict.value == "8")
assert(vlock.compare_and_set("fresh", "1", 0, opts()) == 1)
-- the same value again is another state
says({ 8, 7 }, "k", function() return 8 end, opts())
nothing = vlock.compare_and_set("k", "7", conflict.stamp, opts())
assert(nothing == nil)
redis.call("DEL", "k")
redis.call("LPUSH", "k", "x")
local ok, reason = pcall(vlock.update, "k", add, opts())
assert(not ok and tostring(reason):find("WRONGTYPE"))
print("fine")
END
    run "$vlockrun" -u "$url" envelope.lua
    echo "$output"
    [ "$output" = fine ]
}

@test "envelope tells what became of a commit whose reply was lost, as long as it can" {
    start_server s
    has_ifeq || skip "this server has no SET … IFEQ"
    cat >resolve.lua <<'END'
local store = dofile(ARGV[1])
local cell = { key = "k" }
local function read()
  local value, stamp = store.read(cell)
  return { value = value, stamp = stamp, version = store.version(stamp) }
end
local function is(wanted, got, stamp)
  assert(got == wanted, ("%s, not %s (%s)"):format(got, wanted, stamp))
  return stamp
end
local base = read()
local made = is("committed", store.commit(cell, base, "1", "w.1"))
assert(made == store.made(base, "w.1"))
assert(is("committed", store.resolve(cell, base, "1", "w.1")) == made) -- it was applied
local second = read()
is("committed", store.resolve(cell, second, "2", "w.2")) -- it was not: now it is
is("conflict", store.commit(cell, second, "3", "v.1"))
is("committed", store.resolve(cell, second, "2", "w.2"))
is("committed", store.commit(cell, read(), "3", "v.2"))
is("undecidable", store.resolve(cell, second, "2", "w.2"))
-- an older state: the server lost writes
local third = read()
redis.call("SET", "k", "vlock1 " .. second.stamp .. "\n1")
is("history_lost", store.commit(cell, third, "4", "w.3"))
is("history_lost", store.resolve(cell, third, "4", "w.3"))
redis.call("DEL", "k")
is("conflict", store.commit(cell, third, "4", "w.3"))
is("undecidable", store.resolve(cell, third, "4", "w.3"))
-- made where nothing stood, and it may be over: the same write is not made a second time
cell.ttl = 10
is("undecidable", store.resolve(cell, read(), "1", "w.4"))
assert(redis.call("EXISTS", "k") == 0)
print("fine")
END
    run "$vlockrun" -u "$url" resolve.lua , "$TOP/lua/store/envelope.lua"
    echo "$output"
    [ "$output" = fine ]
}

@test "ifeq and envelope under contention lose nothing" {
    start_server s
    has_ifeq || skip "this server has no SET … IFEQ"
    run -0 "$vlockrun" compare -u "$url" --duration 200ms --runs 1 full_jitter@plain \
        full_jitter@ifeq full_jitter@envelope
    echo "$output"
    [[ $output != *BROKEN* && $output != *"not verified"* ]]
}
