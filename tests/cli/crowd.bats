#!/usr/bin/env bats
# vlockrun --sim where the server is a register: workers without tasks of their own. A trace gives
# each worker a task, and all figures must be the same.

load environment

json() {
    "$vlockrun" --json --seed 7 "$@" | sed 's/"cpu_seconds":[^,}]*//g'
}

# is_same OPTION …: what a run comes to with and without tasks.
is_same() {
    json "$@" >without
    json --trace trace.json "$@" >with
    [ -s with ]
    cmp without with || { echo "$*"; diff <(tr , '\n' <without) <(tr , '\n' <with); return 1; }
}

@test "workers without tasks come to the same figures, whatever the policy" {
    local policy
    for policy in none fixed linear exponential equal_jitter full_jitter fast_first decorrelated; do
        is_same --sim=aws -w 40 --per-worker 1 $policy
        is_same --sim=aws -w 10 -n 120 $policy
        is_same --sim=aws -w 10 -d 1s $policy
    done
    for policy in attempts budget deadline rate_limit; do
        is_same --sim=aws -w 40 -n 200 -e "{ retry = '$policy', backoff = 'fixed' }"
    done
    is_same --sim=aws -w 40 -n 200 -e "{ retry = any { 'attempts', all { 'deadline', 'forever' } } }"
    is_same --sim=aws -w 40 -n 200 -e "{ retry = { 'deadline', max = '300ms' } }"
    is_same --sim=aws -w 40 -n 200 -p base=2rtt full_jitter
}

@test "workers without tasks come to the same figures, whatever the scenario" {
    is_same --sim=aws -w 30 -k 30 --dist own -n 600 full_jitter
    is_same --sim=aws -w 30 -k 7 --dist own -n 600 full_jitter
    is_same --sim=aws -w 30 -k 7 --per-worker 1 full_jitter
    is_same --sim=aws -w 30 -k 7 -n 300 full_jitter
    is_same --sim=aws -w 30 -k 7 --dist zipf:1 -n 300 full_jitter
    is_same --sim=aws -w 1 -n 100 full_jitter
    is_same --sim=aws -w 1200 -n 1300 full_jitter
    is_same --sim=aws -w 3 -n 0 full_jitter
    is_same --sim=aws -w 20 -n 300 --think 30ms full_jitter
    is_same --sim=aws -w 20 -n 300 --rate 100 full_jitter
    is_same --sim=aws -w 20 -n 300 --value-size 100 full_jitter
    is_same --sim=aws -w 20 -n 300 --combine full_jitter
    is_same --sim=aws -w 20 -n 100 --runs 3 full_jitter
    is_same --sim=aws -w 20 -n 300 counter
    is_same --sim=aws -w 20 -n 300 -e '{ scenario = { update = function(v) return v and v .. "x" or "" end } }'
}

@test "workers without tasks come to the same figures, whatever the network" {
    local fields
    while read -r fields; do
        echo "return { server = 'register', $fields }" >mine.lua
        is_same --sim=mine.lua -w 20 -n 120 full_jitter
        is_same --sim=mine.lua -w 20 -n 120 exponential
        is_same --sim=mine.lua -w 20 -d 500ms full_jitter
    done <<'END'
delay = { "uniform", from = "1ms", to = "9ms" }, ordered = true, service = "1ms"
delay = "5ms"
delay = { "exponential", mean = "5ms" }, service = { READ = "2ms", WRITE = "1ms" }
delay = { "lognormal", median = "1ms", sigma = 1 }, stall = { every = "500ms", takes = "100ms" }
delay = { "uniform", from = "1ms", to = "9ms" }, timeout = "17ms"
delay = "5ms", faults = { lost_request = 0.01, cut_reply = 0.01 }, timeout = "50ms"
delay = { "normal", mean = "5ms", deviation = "1ms" }, failover = { every = "1s", takes = "100ms", forgets = "1ms" }
END
}

@test "a policy sees the same with and without tasks, whatever it does" {
    local number=0 body
    while IFS= read -r body; do
        number=$((number + 1))
        echo "$body" >mine$number.lua
        is_same --sim=aws -w 15 -n 60 mine$number.lua
    done <<'END'
return { backoff = function(p, c) return (c.attempt + c.elapsed + c.rtt + c.gap + c.worker) * 1e-3 end }
return { backoff = function(p, c) return (c.base.version + #(c.base.value or "") + #c.mine) * 1e-4 end }
return { backoff = function(p, c) assert(c.theirs == nil and c.key and c.codec == "string" and c.cause == "conflict") return c.now() * 1e-3 end }
return { backoff = function(p, c) local n = 0 for k in pairs(c) do n = n + #k end return n * 1e-4 end }
return { backoff = function(p, c) c.state.n = (c.state.n or 0) + 1 return c.state.n * 1e-3 end }
return { backoff = function(p, c) c.mine_too = (c.mine_too or 0) + 1 return c.mine_too * 1e-3 end }
return { backoff = function(p, c) local n = tonumber(c.mine) c.mine, c.base = "7", nil return (c.base and 1 or 2) * n * 1e-4 end }
return { backoff = function(p, c) c.worker, c.random = 1, function() return 0.5 end return c.random() * c.worker * 1e-3 end }
return { backoff = function(p, c) c.worker = "nobody" return 1e-3 end, retry = "forever" }
local n = 0 return { backoff = function(p, c) n = n + 1 return n * 1e-3 end }
local seen = {} return { backoff = function(p, c) seen[#seen + 1] = c.rtt return #seen * 1e-3 end }
return { params = { pause = "1ms" }, backoff = function(p, c) p.pause = p.pause * 1.1 return p.pause end }
return { params = { pause = "1ms" }, backoff = function(p, c) p.more = (p.more or 0) + 1 return p.pause * p.more end }
local name = "a" return { backoff = function(p, c) name = name .. "b" return #name * 1e-3 end }
local last return { backoff = function(p, c) local v = last and last.base and last.base.version or 1 last = c return v * 1e-4 end }
local last = {} return { backoff = function(p, c) local v = last[1] and last[1].rtt or 1 last[1] = c return v * 1e-2 end }
_G.common = _G.common or {} return { backoff = function(p, c) local l = common.last common.last = c return (l and #l.mine or 1) * 1e-3 end }
return { backoff = function(p, c) vlock.sleep(1e-3) return 1e-3 end }
return { backoff = function(p, c) pcall(vlock.sleep, 1e-3) return 1e-3 end }
return { backoff = function(p, c) return #(redis.call("READ", c.key)[1] or "") * 1e-3 end }
return { backoff = function(p, c) vlock.spawn(function() vlock.sleep(1e-3) end) return 1e-3 end }
return { retry = function(p, c) return c.attempt < 3, c.attempt >= 3 and "enough" or 0.2 end }
return { retry = function(p, c) return true, 1, function() end end }
return { backoff = function(p, c) if c.attempt > 2 then error({ err = "ERR mine" }) end return 0 end }
return { on_conflict = function(c) c.noted = true end, backoff = function(p, c) return c.noted and 1e-3 or 1 end }
local f, g, h function f() h = g return 1e-3 end function g() h = f return 9e-3 end h = f return { backoff = function() return h() end }
local mode = "a" return { backoff = function() mode = mode == "a" and "b" or "a" return mode == "a" and 1e-3 or 9e-3 end }
return { params = { on = true }, backoff = function(p) p.on = not p.on return p.on and 1e-3 or 9e-3 end }
local words = ("1 2 3 5 8 1 2 3 5 8"):gmatch("%d+") return { backoff = function() return (tonumber(words() or 1)) * 1e-3 end }
return { backoff = function(p, c) if c.attempt >= 3 then c.attempt = 0 end return 1e-3 * 2 ^ c.attempt end }
return { backoff = function(p, c) c.elapsed = 0 return c.random() * 1e-2 end, retry = { "deadline", max = "100ms" } }
local last = {} return { backoff = function(p, c) local v = last[1] and last[1].elapsed or 1e-2 last[1] = c return v / 10 end }
return { backoff = function(p, c) local s = c.state or { n = 3 } c.state = nil return (c.state and 9 or s.n or 1) * 1e-3 end }
local kept = setmetatable({}, { __gc = function(t) t.random() end }) return { backoff = function(p, c) kept.random = c.random return 1e-2 end }
next = 5 return { backoff = function(p, c) local n = 0 for k in pairs(c) do n = n + #k end return n * 1e-4 end }
return { merge = function(p, c) return tostring(math.tointeger(c.theirs.value) + 1) end }
END
    [ "$number" -eq 36 ]
}

# fails OPTION …: how a run ends, with and without tasks, is one thing.
fails() {
    local without
    run "$vlockrun" --seed 7 "$@"
    [ "$status" -ne 0 ]
    without="$status $output"
    run "$vlockrun" --seed 7 --trace trace.json "$@"
    [ "$status $output" = "$without" ] || { echo "$without"; echo "$status $output"; return 1; }
}

@test "a policy that fails ends the run with the same words" {
    fails --sim=aws -w 20 -n 200 -e '{ backoff = function() error("mine") end }'
    fails --sim=aws -w 20 -n 200 -e '{ backoff = function() return "soon" end }'
    fails --sim=aws -w 20 -n 200 -e '{ backoff = function() return -1 end }'
    fails --sim=aws -w 20 -n 200 -e '{ retry = function() return nil end }'
    fails --sim=aws -w 20 -n 200 -e '{ retry = function(p, c) return true, nil, function() error("took") end end }'
    fails --sim=aws -w 20 -n 200 -e '{ backoff = function(p, c) return c.key.nothing.there end }'
}

@test "a policy that never comes back ends a simulation" {
    run timeout 100 "$vlockrun" --sim=aws -w 5 -n 100 -e '{ backoff = function() while true do end end }'
    [ "$status" -eq 1 ]
    [[ $output == *"without waiting for anything: an endless loop?"* ]]
}

# words FILE: what the policy in it printed, each word once.
words() {
    "$vlockrun" --seed 7 --sim=aws -w 20 -n 100 "${@:2}" "$1" | grep '^said ' | sort -u | cut -d' ' -f2
}

@test "a crowd calls policies where nothing can wait, and tasks call them where they can" {
    echo 'return { backoff = function()
        print("said " .. tostring(coroutine.isyieldable())) return 1e-3 end }' >mine.lua
    [ "$(words mine.lua)" = false ]
    [ "$(words mine.lua --trace trace.json)" = true ]
}

@test "one instance of a policy serves a crowd, where it keeps nothing" {
    echo 'return { params = { n = 1 }, backoff = function(p)
        print("said " .. tostring(p):gsub(" ", "")) return 1e-3 end }' >mine.lua
    [ "$(words mine.lua | wc -l)" -eq 1 ]
    { echo 'local n = 0'; cat mine.lua; } | sed 's/return 1e-3/n = n + 1 return 1e-3/' >keeps.lua
    [ "$(words keeps.lua | wc -l)" -gt 10 ]
}

@test "a policy that takes its time is no endless loop" {
    run -0 "$vlockrun" --seed 7 --sim=aws -w 2000 -d 100ms -e '{ backoff = function()
        local until_then = 0 for i = 1, 6e5 do until_then = until_then + i end return 1 end }'
}
