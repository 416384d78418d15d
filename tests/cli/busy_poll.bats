#!/usr/bin/env bats
# Looking for a reply before sleeping, beside real programs. What is measured is processor time, of
# which a process that sleeps takes none. Where the system lets us, as root, other programs of this
# machine do not take part: client and server have its first priority. For how long it looks, and
# for how long not after it met others, is in tests/unit/test_busy_poll.c.

load environment

# Waits for a reply for a third of a second, and prints the processor time that it took, and how
# often another program had the processor meanwhile.
waiting() {
    cat >waiting.lua <<END
local function switches()
  local sum = 0
  for line in io.lines("/proc/self/status") do
    sum = sum + (tonumber(line:match("voluntary_ctxt_switches:%s*(%d+)")) or 0)
  end
  return sum
end
for _ = 1, 100 do redis.call("PING") end -- it answers soon
os.execute("kill -STOP $server")
local reply = vlock.spawn(redis.call, "INCR", "n")
vlock.sleep(0.01)
local before, switched, began = os.clock(), switches(), vlock.now()
vlock.sleep(0.3)
print(os.clock() - before, switches() - switched)
os.execute("kill -CONT $server")
assert(reply:join() == 1 and vlock.now() - began >= 0.3)
redis.call("DEL", "n")
END
    "$@" -u "$url" waiting.lua
}

# before_others PROCESS: from here on
before_others() {
    chrt --fifo --pid 1 "$1" 2>/dev/null || true
}

# is_below A B, numbers
is_below() {
    echo "$1 below $2?"
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

@test "it sleeps where somebody else needs the processor" {
    start_server s
    processor=$(taskset -cp $$ | sed 's/.*[ ,-]//')
    taskset -c "$processor" sh -c 'while :; do :; done' 3>&- &
    busy=$!
    run waiting taskset -c "$processor" "$vlockrun" --busy-poll 10s
    kill "$busy"
    wait "$busy" || true
    [ "$status" -eq 0 ]
    echo "$output"
    is_below "$(cut -f1 <<<"$output")" 0.1
    # It gives the processor away a few times, and then no more for a while.
    is_below "$(cut -f2 <<<"$output")" 40
}

# write_trips CALL: a script that prints how often it slept in 500 of these calls.
write_trips() {
    cat >trips.lua <<END
local function sleeps()
  for line in io.lines("/proc/self/status") do
    local count = line:match("^voluntary_ctxt_switches:%s*(%d+)")
    if count then return tonumber(count) end
  end
end
$1
local before = sleeps()
for _ = 1, 500 do $1 end
print(sleeps() - before)
END
}

# start_beside: a server on a processor of its own, and in $second another one, for its client.
start_beside() {
    local first
    read -r first second _ < <(python3 -c 'import os; print(*os.sched_getaffinity(0))')
    [ -n "$second" ] || skip "there is one processor"
    start_server s
    taskset -acp "$first" "$server" >/dev/null
    before_others "$server"
    before_others "$BASHPID"
}

# sleeps [OPTION …]: how often trips.lua slept.
sleeps() {
    taskset -c "$second" "$vlockrun" -u "$url" "$@" trips.lua
}

@test "a server nearby is waited for without sleeping" {
    start_beside
    write_trips 'redis.call("PING")'
    sleeping=$(sleeps --busy-poll 0)
    for _ in {1..100}; do
        polling=$(sleeps)
        if is_below "$polling" "$((sleeping / 2))"; then break; fi
    done
    is_below 400 "$sleeping"
    is_below "$polling" "$((sleeping / 2))"
}

@test "a server further away is, for as long as one wants" {
    start_beside
    # Longer than the usual 200 us.
    write_trips 'redis.call("EVAL", "for _ = 1, 100000 do end", 0)'
    sleeping=$(sleeps)
    for _ in {1..20}; do
        polling=$(sleeps --busy-poll 1s)
        if is_below "$polling" "$((sleeping / 2))"; then break; fi
    done
    is_below 400 "$sleeping"
    is_below "$polling" "$((sleeping / 2))"
}
