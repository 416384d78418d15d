#!/usr/bin/env bats
# The module `vlock` in a stock lua5.4, which has nothing of ours but what `make install` put down.

load environment

# lua ARGUMENT …: the interpreter, with the installed module.
lua() {
    if [ ! -d "$scratch/root" ]; then
        make --no-print-directory -s -C "$TOP" install DESTDIR="$scratch/root" >&2 \
            # all is built: nothing else changes there
    fi
    # Instrumented code in a program that is not: what the instruments need comes first.
    local preload='' name
    for name in ${SANITIZER:+libasan.so libubsan.so}; do
        preload+=" $(${CC:-cc} -print-file-name=$name)"
    done
    env ${preload:+LD_PRELOAD="${preload# }" ASAN_OPTIONS=detect_leaks=0} LUA_PATH="${LUA_PATH:-;;}" \
        LUA_CPATH="$scratch/root/usr/local/lib/lua/5.4/?.so;;" lua5.4 "$@"
}

# script: a.lua, from standard input.
script() {
    cat >"$scratch/a.lua"
}

@test "redis and vlock work as in scripts, with calls that block" {
    start_server s
    script <<'END'
local vlock = require "vlock"
vlock.open { url = arg[1] }
local redis = vlock.redis
assert(redis.call("SET", "a", "1").ok == "OK" and redis.call("INCR", "a") == 2)
assert(vlock.update("k", function(v, version) assert(version == 0) return (v or 0) + redis.call("INCR", "n") end) == 1)
local value, version, stamp = vlock.get("k")
assert(value == "1" and version == 1)
assert(vlock.compare_and_set("k", "2", stamp) == 2)
local none, outcome = vlock.compare_and_set("k", "3", stamp)
assert(none == nil and outcome.outcome == "conflict" and outcome.value == "2")
assert(select(2, vlock.delete("k")) == 3 and vlock.get("k") == nil)
vlock.update("j", function() return { list = { 1, 2 } } end, { codec = "json", retry = "attempts", merge = "json3", store = "watch" })
assert(vlock.get("j", { codec = "json", store = "watch" }).list[2] == 2)
assert(vlock.policy({ backoff = { "fixed", pause = "2ms" } }).backoff { attempt = 1, state = {} } == 0.002)
assert(redis.REDIS_VERSION_NUM > 0x060000)
local replies = redis.pipeline { { "GET", "a" }, { "NOSUCH" } }
assert(replies[1] == "2" and replies[2].err)
assert(redis.script("return ARGV[1]")({}, { "x" }) == "x")
local own <close> = redis.connect()
own:call("MULTI") own:call("INCR", "a")
assert(own:call("EXEC")[1] == 3)
local before = vlock.now()
vlock.sleep(0.05)
assert(vlock.now() - before >= 0.05)
print "fine"
END
    run lua a.lua "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = fine ]
}

@test "a deadline bounds calls outside of tasks as well" {
    start_server s
    script <<END
local vlock = require "vlock"
vlock.open { url = "$url" }
vlock.update("n", function() return 1 end)
os.execute("kill -STOP $server")
local began = os.time()
local value, outcome = vlock.update("n", function(v) return v + 1 end, { deadline = 0.5 })
print(value, outcome.outcome, os.time() - began < 4)
os.execute("kill -CONT $server")
print(vlock.redis.call("PING").ok)
END
    run lua "$scratch/a.lua"
    [ "$output" = $'nil\tunknown\ttrue\nPONG' ]
}

@test "errors are the values that scripts get, and come out as they went in" {
    start_server s
    script <<'END'
local vlock = require "vlock"
local redis = vlock.redis
local ok, e = pcall(redis.call, "LPUSH", "a")
assert(not ok and type(e) == "table" and e.err:find("^ERR wrong number of arguments") and tostring(e) == e.err)
assert(redis.pcall("NOSUCH").err:find("^ERR unknown command"))
local mine = {}
local function raise() redis.call("PING") error(mine) end
for _, call in ipairs { function() vlock.update("k", raise) end, function() vlock.run(raise) end, function()
  vlock.run(function() vlock.spawn(raise):join() end) end } do
  ok, e = pcall(call)
  assert(not ok and e == mine)
end
ok, e = pcall(vlock.run, function() vlock.spawn(function() error "nobody joins me" end) vlock.sleep(60) end)
assert(not ok and e:find("a.lua:%d+: nobody joins me"))
ok, e = pcall(vlock.spawn, print)
assert(not ok and e:find("vlock.run", 1, true))
ok, e = pcall(vlock.update, "k", raise, { backof = "none" })
assert(not ok and e:find("did you mean 'backoff'", 1, true))
print "fine"
END
    VLOCK_REDIS_URL=$url run lua a.lua
    echo "$output"
    [ "$output" = fine ]
}

@test "four programs with 500 increments each lose none" {
    start_server s
    script <<'END'
local vlock = require "vlock"
for _ = 1, 500 do
  assert(vlock.update("counter", function(v) return (v or 0) + 1 end))
end
END
    lua -e '' # installs
    export VLOCK_REDIS_URL=$url
    local i pids=()
    for i in 1 2 3 4; do
        lua a.lua >"out.$i" 2>&1 3>&- &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i"; done
    [ "$(cli GET counter)" = 2000 ]
    [ "$(cli HGET '{counter}:v' s | cut -d: -f1)" = 2000 ]
}

@test "calls block where they cannot yield: in coroutines old and new, in table.sort, in a coroutine of a task" {
    start_server s
    script <<'END'
local old = coroutine.create(function(f) coroutine.yield(f()) return f() end) -- older than the module
local vlock = require "vlock"
local redis = vlock.redis
local function incr() return redis.call("INCR", "n") end
assert(select(2, coroutine.resume(old, incr)) == 1 and select(2, coroutine.resume(old)) == 2)
local seen = {}
for n in coroutine.wrap(function() for _ = 1, 3 do coroutine.yield(incr()) end end) do seen[#seen + 1] = n end
assert(table.concat(seen, " ") == "3 4 5")
table.sort(seen, function(a, b) incr() return a > b end)
assert(seen[1] == 5 and incr() > 6)
local order = vlock.run(function()
  local order = {}
  local other = vlock.spawn(function()
    for i = 1, 3 do order[#order + 1] = "other" vlock.sleep(0.001) end
  end)
  vlock.sleep(0) -- it has begun, and sleeps
  coroutine.wrap(function() vlock.sleep(0.05) order[#order + 1] = "mine" end)() -- all others stand still
  other:join()
  return table.concat(order, " ")
end)
assert(order == "other mine other other", order)
local ok, e = pcall(vlock.run, function()
  local other = vlock.spawn(vlock.sleep, 0.001)
  coroutine.wrap(function() other:join() end)()
end)
assert(not ok and e:find("every task waits for another", 1, true))
local function deep(n) return coroutine.wrap(function() vlock.update("d", function() return deep(n + 1) end) end)() end
ok, e = pcall(deep, 1)
assert(not ok and tostring(e):find("C stack overflow", 1, true))
assert(redis.call("PING").ok == "PONG")
print "fine"
END
    VLOCK_REDIS_URL=$url run lua a.lua
    echo "$output"
    [ "$output" = fine ]
}

@test "vlock.run runs a function and all that it spawns, side by side" {
    start_server s
    script <<'END'
local vlock = require "vlock"
local redis = vlock.redis
local before, ended = vlock.now(), 0
local sum, twice = vlock.run(function(factor)
  local tasks, sum = {}, 0
  for i = 1, 10 do
    tasks[i] = vlock.spawn(function() vlock.sleep(0.5) return factor * redis.call("INCR", "n") end)
  end
  for _, task in ipairs(tasks) do sum = sum + task:join() end
  vlock.spawn(function() vlock.sleep(0.1) ended = ended + 1 end)
  return sum, vlock.run(function() return 2 end)
end, 10)
assert(sum == 550 and twice == 2)
assert(ended == 1, "it waits for those that nobody joined")
assert(vlock.now() - before < 4)
print "fine"
END
    VLOCK_REDIS_URL=$url run lua a.lua
    echo "$output"
    [ "$output" = fine ]
}

@test "the program's globals, modules, coroutines, collector and signals stay as they are" {
    start_server s
    script <<'END'
local function flat()
  local all = {}
  for _, names in ipairs { _G, coroutine, table, string, math, package.loaded, package.preload, package.searchers } do
    for name, value in pairs(names) do all[#all + 1] = tostring(names) .. tostring(name) .. tostring(value) end
  end
  table.sort(all)
  return table.concat(all, "\n")
end
local function mask() return io.open("/proc/self/status"):read("a"):match("SigBlk.*SigCgt:%s*%x+") end
local before, signals = flat(), mask()
collectgarbage("incremental")
local vlock = require "vlock"
package.loaded.vlock = nil
vlock.update("k", function(v) return "x" end, { backoff = "decorrelated", store = "watch" })
io.open("store.lua", "w"):write("leaked = 1 return { read = function() return cjson.encode { unpack { 1 } }, '' end, commit = print }"):close()
assert(vlock.get("k", { store = "./store.lua" }) == "[1]")
assert(flat() == before)
assert(mask() == signals, mask() .. signals)
assert(collectgarbage("incremental") == "incremental")
assert(require "vlock" == vlock)
print "fine"
END
    VLOCK_REDIS_URL=$url run lua a.lua
    echo "$output"
    [ "$output" = fine ]
}

@test "a private server is gone when the program is, however it goes" {
    script <<'END'
local vlock = require "vlock"
vlock.open { private_server = true }
print(vlock.redis.call("CONFIG", "GET", "dir")[2], vlock.redis.call("INFO"):match("process_id:(%d+)"))
io.stdout:flush()
if arg[1] == "stays" then vlock.sleep(60) end
if arg[1] == "exits" then os.exit(7) end
if arg[1] == "fails" then error "mine" end
END
    local how expected folder pid lua_pid
    while read -r how expected; do
        run --separate-stderr lua a.lua "$how"
        [ "$status" -eq "$expected" ]
        read -r folder pid <<<"$output"
        is_gone "$pid"
        for _ in $(seq 50); do [ -e "$folder" ] || break; sleep 0.02; done
        [ ! -e "$folder" ]
    done <<'END'
ends 0
exits 7
fails 1
END
    lua a.lua stays >out 2>&1 3>&- &
    servers+=($!)
    for _ in $(seq 200); do [ ! -s out ] || break; sleep 0.02; done
    read -r folder pid <out
    lua_pid=$(pgrep -x -P "$!" lua5.4 || echo "$!")
    kill -0 "$pid"
    kill -KILL "$lua_pid"
    is_gone "$pid"
}

@test "a server that is gone is an error, and no signal that ends the program" {
    start_server s
    script <<'END'
local redis = require "vlock".redis
redis.call("PING")
os.execute("kill -KILL " .. arg[1] .. "; sleep 0.2")
local ok, e = pcall(redis.call, "SET", "a", "1")
print(ok, e.outcome)
END
    VLOCK_REDIS_URL=$url run lua a.lua "$server"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == false* ]]
}

@test "without a server, and with options that are wrong, it says what to do" {
    run lua -e 'require("vlock").redis.call("PING")'
    [ "$status" -eq 1 ]
    [[ $output == *'no server: name one in VLOCK_REDIS_URL or with vlock.open { url = "redis://localhost" }'* ]]
    refuses() {
        run lua -e "local vlock = require 'vlock' print(select(2, pcall(vlock.open, $1)))"
        echo "$output"
        [[ $output == *"$2"* ]]
    }
    refuses '{ ur = "redis://localhost" }' "unknown option 'ur'; there are: url, password, private_server, seed,"
    refuses '{ url = 1 }' "url must be of type string, not number"
    refuses '{ seed = 1.5 }' "seed must be of type integer, not number"
    refuses '{ command_timeout = 0 }' "command_timeout is a number of seconds above 0"
    refuses '{ busy_poll = -1 }' "busy_poll is a number of seconds from 0"
    refuses '"redis://localhost"' "takes a table of options, not string"
    refuses '(vlock.now() and {})' "vlock is open already"
    run lua -e 'print(require "vlock".open({ seed = 7 }).random())'
    [ "$status" -eq 0 ]
    [ "$output" = "$("$vlockrun" --seed 7 -e 'return tostring(vlock.random())' 2>/dev/null)" ]
}

@test "finalizers are told that they cannot wait, also those that run after ours" {
    start_server s
    script <<'END'
local function try(f, ...)
  local ok, e = pcall(f, ...)
  io.write(tostring(ok), " ", (tostring(e):gsub("^[^ ]*:%d+: ", "")), "\n")
end
local older = setmetatable({}, { __gc = function(self) try(self.update, "k", print) try(self.call, "PING") try(self.run, print) end })
local vlock = require "vlock"
vlock.redis.call("PING")
older.update, older.call, older.run = vlock.update, vlock.redis.call, vlock.run
do local lost = setmetatable({}, { __gc = function() try(vlock.redis.call, "PING") try(vlock.redis.connect) end }) end
collectgarbage()
io.write("end\n")
END
    VLOCK_REDIS_URL=$url run lua a.lua
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "false redis.call cannot wait here: it is called from a finalizer, which may run in the middle of anything" ]
    [ "${lines[1]}" = "false no connection can be made in a finalizer" ]
    [ "${lines[2]}" = end ]
    [ "${lines[3]}" = "false vlock is closed: its program ends" ]
    [ "${lines[4]}" = "false vlock is closed: its program ends" ]
    [[ ${lines[5]} == "false vlock.run cannot wait here"* ]]
}

@test "the specs of redis, vlock, policies and Redis' own behaviour pass through it" {
    export LUA_PATH="$TOP/tests/lua/?.lua;$TOP/tests/parity/?.lua;/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua;/usr/share/lua/5.1/?.lua;;"
    lua -e '' # installs
    cd "$TOP"
    local spec
    # All but what spawns outside of vlock.run, and what looks for globals.
    for spec in lua/redis lua/vlock lua/policy parity/parity; do
        run lua tests/lua/under_module.lua -o TAP --filter-out='tasks of' --filter-out='blocking commands' \
            --filter-out='which are no globals' "tests/${spec}_spec.lua"
        echo "$output" | grep -A 10 '^not ok' || true
        [ "$status" -eq 0 ]
        [ "$(grep -c '^ok' <<<"$output")" -ge 18 ]
    done
}

@test "the spec of the author's guide runs as it is printed" {
    lua -e '' # installs
    "$vlockrun" new backoff mine
    awk '/^-- mine_spec.lua/ { on = 1 } on && /^```/ { exit } on' "$TOP/lua/README.md" \
        >mine_spec.lua
    grep -q 'never waits longer than its cap' mine_spec.lua
    command=$(sed -n 's/^    \(busted .*mine_spec.lua\)$/\1/p' "$TOP/lua/README.md")
    [ -z "${SANITIZER:-}" ] || skip "busted is not instrumented"
    LUA_CPATH="$scratch/root/usr/local/lib/lua/5.4/?.so;;" run bash -c "$command"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"1 success"* ]]
    sed -i 's/return c.random/return 2 * c.random/' backoff/mine.lua
    LUA_CPATH="$scratch/root/usr/local/lib/lua/5.4/?.so;;" run bash -c "$command"
    [ "$status" -ne 0 ]
}

@test "it shows one name, and takes Lua from the program" {
    [ "$(nm -D --defined-only "$TOP/build/vlock.so" | awk '{ print $3 }' | grep -vE '^(_init|_fini|__asan|__ubsan|__odr_asan)')" = luaopen_vlock ]
    no grep -q 'NEEDED.*liblua5\.4\.so' <<<"$(readelf -d "$TOP/build/vlock.so")"
}
