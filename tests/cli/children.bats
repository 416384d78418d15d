#!/usr/bin/env bats
# What the programs that a script starts find: signals and descriptors as if vlockrun were not
# there.

load environment

# The signals that a child ignores, without those that the C library keeps to itself.
ignored='for line in io.lines("/proc/self/status") do local set = line:match("^SigIgn:%s*(%x+)")
    if set then print(tonumber(set, 16) & 0x7fffffff) end end'

@test "a pipe that breaks ends a child as in a shell, and vlockrun not at all" {
    for start in 'os.execute("yes | head -1")' 'print(io.popen("yes | head -1"):read("a"))'; do
        run --separate-stderr timeout 20 "$vlockrun" -e "$start"
        [ "$status" -eq 0 ]
        [ "${lines[0]}" = y ]
        [ "$stderr" = "" ]
    done
    run timeout 20 "$vlockrun" -e 'local p = io.popen("exec true", "w") vlock.sleep(0.2)
        for i = 1, 100 do p:write(("x"):rep(10000)) end return "alive"'
    [ "$status" -eq 0 ]
    [ "$output" = alive ]
}

@test "a child ignores the signals that were ignored when vlockrun was started, and no others" {
    echo "$ignored" >ignored.lua
    for start in 'os.execute("lua5.4 ignored.lua")' \
        'io.write(io.popen("lua5.4 ignored.lua"):read("a"))'; do
        for trap in '' 'trap "" PIPE HUP;'; do
            found=$(bash -c "$trap exec lua5.4 ignored.lua")
            [ -n "$found" ]
            [ "$(bash -c "$trap exec '$vlockrun' -e '$start return nil'" | head -n 1)" = "$found" ]
        done
    done
}

# What the child of a script has open beside 0, 1, 2 and the descriptors that this test's own
# processes have.
opened='os.execute([[for fd in /proc/self/fd/*; do
    case "$(readlink "$fd")" in /proc/*/fd) ;; *) case " $INHERITED " in *" ${fd##*/} "*) ;; *) echo "$fd is $(readlink "$fd")" ;; esac ;; esac
    done]])'

@test "a child inherits no descriptor: no connection, no file, no pipe" {
    start_server s --requirepass s3cret
    export INHERITED
    INHERITED=$(bash -c 'for fd in /proc/self/fd/*; do printf "%s " "${fd##*/}"; done')
    cat >open.lua <<E
redis.call("PING") -- the shared connection
local own = redis.connect() own:call("PING")
kept = { io.open("a.txt", "w"), io.popen("sleep 1"), io.tmpfile() }
assert(#kept == 3)
$opened
print(io.popen("ls /proc/self/fd"):read("a") and "done")
E
    run timeout 20 "$vlockrun" -u "unix://:s3cret@$scratch/s.sock" open.lua
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = done ]
    run timeout 20 "$vlockrun" -e "redis.call('PING') redis.connect(redis.private_server()):call('PING') $opened print('done')"
    echo "$output"
    [ "${lines[-1]}" = done ]
    [ "${#lines[@]}" -eq 2 ] # the first names the server
    # in a program of stock Lua
    run stock_lua -e "local vlock = require 'vlock' vlock.open { private_server = true }
        vlock.redis.call('PING') vlock.run(function() vlock.spawn(function() \
            vlock.redis.connect():call('PING') end):join() end)
        $opened print('done')"
    echo "$output"
    [ "$output" = done ]
}

@test "the files of a measurement are not inherited by its policy's children" {
    export INHERITED
    INHERITED=$(bash -c 'for fd in /proc/self/fd/*; do printf "%s " "${fd##*/}"; done')
    cat >policy.lua <<E
return { backoff = function() $opened return 0 end, on_commit = function() if not once then once = true $opened end end }
E
    run timeout 20 "$vlockrun" -n 20 --workers 2 --report r.html --history h.jsonl --hgrm p.hgrm \
        policy.lua
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output != *"/proc/self/fd"* ]]
}

@test "stock Lua: a forked child is refused, closes its state, and its parent goes on" {
    cat >processes.c <<E
#include <lauxlib.h>
#include <sys/wait.h>
#include <unistd.h>
static int l_fork(lua_State *L) { lua_pushinteger(L, fork()); return 1; }
static int l_wait(lua_State *L) { int status = 0; waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0); lua_pushinteger(L, status); return 1; }
int luaopen_processes(lua_State *L) { lua_register(L, "fork", l_fork); lua_register(L, "wait", l_wait); return 0; }
E
    # shellcheck disable=SC2046 # several words
    ${CC:-cc} -shared -fPIC $(pkg-config --cflags lua5.4) -o processes.so processes.c
    cat >fork.lua <<E
require "processes"
local vlock = require "vlock"
vlock.open { private_server = true }
local redis = vlock.redis
redis.call("SET", "k", "v")
local function child(close)
  local ok, reason = pcall(redis.call, "SET", "k", "the child was here")
  assert(not ok and tostring(reason):find("child of the one that opened vlock"), tostring(reason))
  ok, reason = pcall(vlock.update, "k", function() return "the child was here" end)
  assert(not ok and tostring(reason):find("child"), tostring(reason))
  os.exit(0, close)
end
for _, close in ipairs { true, false } do
  local pid = fork()
  if pid == 0 then
    child(close)
  end
  assert(wait(pid) == 0)
  for i = 1, 20 do
    redis.call("SET", "i", i)
    assert(redis.call("GET", "k") == "v" and redis.call("GET", "i") == tostring(i))
  end
end
local pid
local ok, reason = pcall(vlock.run, function()
  local other = vlock.spawn(function() return redis.connect(redis.private_server()):call("BLPOP", "q", 5)[2] end)
  vlock.sleep(0.05)
  pid = fork()
  redis.call("RPUSH", "q", pid == 0 and "child" or "parent")
  assert(other:join() == "parent")
end)
if pid == 0 then
  os.exit(not ok and tostring(reason):find("child") and 0 or 1, true)
end
assert(ok, reason)
assert(wait(pid) == 0)
assert(redis.call("LLEN", "q") == 0 and redis.call("GET", "k") == "v")
print "fine"
E
    run stock_lua fork.lua
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = fine ]
}
