#!/usr/bin/env bats
# Servers that lose records one by one, as they expire, are evicted or deleted, and servers and
# clients whose clocks step: while replies are lost, nothing false is said of any write. What was
# applied is known by the server's log: the core script writes it there.

load ../cli/environment

# is_true CHAOS OPTION …: a run on a hot key or a few, through connections that break, beside
# `CHAOS`, which is called again and again, until both had their share; history and log agree.
is_true() {
    local chaos=$1
    shift
    mkdir -p lua
    sed 's/^return redis.status_reply("OK " .. made)$/redis.log(redis.LOG_WARNING, "applied " .. token)\n&/' \
        "$TOP/lua/cas.lua" >lua/cas.lua
    no cmp -s lua/cas.lua "$TOP/lua/cas.lua"
    echo 'return { backoff = { "full_jitter", cap = "5ms" } }' >policy.lua
    "$TOP/tests/fixtures/fault_proxy.py" "$scratch/proxy" "$socket" --seed 1 --report faults.json \
        --faults cut_before=0.01,cut_inside=0.01,cut_after=0.03,cut_reply=0.02,cut_behind=0.01,half_close=0.01 \
        3>&- &
    local proxy=$!
    servers+=("$proxy")
    local i
    for i in $(seq 200); do [ -S proxy ] && break; sleep 0.02; done
    # A run ends where one connection after the other is cut before it has served: then once more.
    for i in 1 2 3 4; do
        times=0 is_over=0 before=$(grep -c applied s.log || true)
        "${client[@]}" "$vlockrun" --json -u "unix://$scratch/proxy" --history h.jsonl --seed 1 \
            -w 20 -d 60s "$@" policy.lua >out 2>err 3>&- &
        pid=$!
        while kill -0 "$pid" 2>/dev/null; do
            $chaos
            times=$((times + 1))
            if [ "$is_over" -eq 0 ] && [ "$times" -gt 25 ] \
                && [ "$(grep -c applied s.log)" -gt $((before + 500)) ]; then
                is_over=1
                kill -INT "$pid" 2>/dev/null || true
            fi
            sleep 0.02
        done
        status=0
        wait "$pid" || status=$?
        cat err
        [ ! -s out ] || break
        grep -q UNREACHABLE err
    done
    kill -TERM "$proxy"
    wait "$proxy" || true
    cat faults.json
    python3 -c 'import json; d=json.load(open("out"))
print({k: d[k] for k in ("commits", "conflicts", "unknown", "history_lost", "gave_up", "errors")})'
    [ "$times" -gt 25 ]
    [ "$status" -eq 130 ] || [ "$status" -eq 4 ]
    # shellcheck disable=SC2086
    python3 "$TOP/tests/fault/truth_check.py" h.jsonl s.log $exempt
}

# Does COMMAND to some keys of the run's, two of five.
to_keys() { # COMMAND [ARGUMENT …]
    cli EVAL "for _, key in ipairs(redis.call('KEYS', '*vlock:lab*')) do
        if math.random(5) < 3 then redis.call(KEYS[1], key, unpack(ARGV)) end end" 1 "$@" >/dev/null
}

delete() { to_keys DEL; }
expire() { to_keys PEXPIRE 3; }

evict() {
    cli EVAL "for i = 1, 20 do
        redis.pcall('SET', 'filler' .. math.random(40), string.rep('x', 100000)) end" 0 >/dev/null
}

step() { printf '%-31s' "${steps[times < ${#steps[@]} ? times : ${#steps[@]} - 1]}" 1<>offset; }

@test "records and values that are deleted by hand, under contention" {
    client=() exempt=--may-be-made-again
    start_server s
    is_true delete -k 4
}

@test "records and values that expire, under contention" {
    client=() exempt=--may-be-made-again
    start_server s
    is_true expire -k 4
}

@test "records and values that are evicted under contention" {
    client=() exempt=--may-be-made-again
    start_server s --maxmemory-policy allkeys-random
    cli CONFIG SET maxmemory "$(($(cli INFO memory | sed -n 's/^used_memory:\([0-9]*\).*/\1/p') + 2000000))"
    is_true evict -k 4
    [ "$(cli INFO stats | sed -n 's/^evicted_keys:\([0-9]*\).*/\1/p')" -gt 100 ]
}

make_shim() {
    "${CC:-cc}" -shared -fPIC -o shim.so "$TOP/tests/fixtures/clock_offset.c" -ldl
    export CLOCK_OFFSET_FILE=$scratch/offset
    times=0 steps=(0)
    step
}

@test "a server's clock that steps by an hour, forward or back, just when a reply was lost" {
    make_shim
    LD_PRELOAD=$scratch/shim.so start_server s
    cat >script.lua <<'END'
-- Mine is applied, its reply is lost, others write over it, the clock steps, and they write on; only
-- then mine is asked for once more.
local cas = redis.script("cas")
local plain = require("vlock.policy.store").new("plain", require("vlock.policy.search").context("."))
local key, may_ask = "k", false
local lossy = setmetatable({
  commit = function(...)
    plain.commit(...)
    error(setmetatable({ err = "UNKNOWN lost", outcome = "unknown" },
      getmetatable(redis.error_reply("UNKNOWN"))), 0)
  end,
  resolve = function(...)
    while not may_ask do vlock.sleep(0.005) end
    return plain.resolve(...)
  end,
}, { __index = plain })

local count = 0
local function others_write()
  count = count + 1
  local _, version, stamp = vlock.get(key)
  assert(cas({ key, ("{%s}:v"):format(key) },
    { "theirs", version + 1, "0", ("o%d.1"):format(count), stamp, "RECEIPT", "60000" }).ok)
end

local seen = {}
for _, hour in ipairs { 3600, -3600 } do
  key, may_ask = "k" .. hour, false
  vlock.update(key, function() return "first" end)
  local mine = vlock.spawn(vlock.update, key, function() return "mine" end, { store = lossy })
  while vlock.get(key) ~= "mine" do vlock.sleep(0.005) end
  others_write()
  others_write()
  local before = tonumber(redis.call("TIME")[1])
  local file = io.open(os.getenv("CLOCK_OFFSET_FILE"), "r+")
  file:write(("%-31d"):format(hour)):close()
  local step = tonumber(redis.call("TIME")[1]) - before
  others_write()
  others_write()
  may_ask = true
  local value, version = mine:join()
  seen[#seen + 1] = ("%s %s %s"):format(math.abs(step) > 3000 and "stepped" or step, value,
    type(version) == "table" and version.outcome or version)
end
return seen
END
    run --separate-stderr "$vlockrun" -u "$url" script.lua
    echo "$output $stderr"
    [ "$output" = $'stepped mine 2\nstepped mine 2' ]
}

@test "a client's clock that steps by an hour again and again, while replies are lost" {
    exempt=
    make_shim
    # Where vlockrun is built with its sanitizer, that wants to come first.
    client=(env "LD_PRELOAD=$scratch/shim.so" \
        "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0")
    start_server s
    # shellcheck disable=SC2046
    steps=($(printf '0 3600 -3600 %.0s' $(seq 100)))
    is_true step -k 1
}
