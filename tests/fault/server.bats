#!/usr/bin/env bats
# What servers go through: killed, restarted from what they saved, flushed, stopped.

load ../cli/environment

# begin_counting PROCESS UPDATES: ten workers of a process count "soak:hot" up.
begin_counting() {
    "$vlockrun" -u "$url" "$TOP/tests/fault/soak.lua" , 10 "$2" hot "$1" "versions.$1" resolve \
        >"out.$1" 2>"err.$1" 3>&- &
    counting+=($!)
}

end_counting() {
    local pid
    for pid in "${counting[@]}"; do
        wait "$pid" || { cat err.*; return 1; }
    done
    cat out.*
    cat versions.* | awk '{ print $2 }' | sort -n >versions
    # Each version once, and none that is not there.
    [ "$(wc -l <versions)" -eq "$(sort -nu versions | wc -l)" ]
    [ "$(tail -n 1 versions)" -eq "$(cli HGET '{soak:hot}:v' s | cut -d: -f1)" ]
    [ "$(cli GET soak:hot)" = "$(tail -n 1 versions)" ]
    [ "$(wc -l <versions)" -eq "$(tail -n 1 versions)" ]
    no grep -hE '"(unknown|history_lost)":[1-9]' out.*
}

@test "killed and restarted, with every write synced: no commit that was reported is missing" {
    local durable=(--appendonly yes --appendfsync always)
    counting=()
    start_server s "${durable[@]}"
    begin_counting a 150
    begin_counting b 150
    for _ in 1 2 3; do
        sleep 0.3
        kill -KILL "$server"
        wait "$server" || true
        rm -f s.sock
        start_server s "${durable[@]}"
    done
    end_counting
}

@test "connections killed, writes paused, scripts forgotten, the server stopped: nothing is lost" {
    counting=()
    start_server s
    begin_counting a 300
    begin_counting b 300
    while :; do
        cli SCRIPT FLUSH || true
        sleep 0.006 # some 10 ms with what starting redis-cli takes
    done >flushes 2>&1 3>&- &
    servers+=($!)
    for _ in $(seq 40); do
        cli CLIENT KILL TYPE normal >/dev/null
        cli CLIENT PAUSE 20 WRITE >/dev/null
        kill -STOP "$server"
        sleep 0.01
        kill -CONT "$server"
        sleep 0.02
    done
    end_counting
    [ "$(grep -c OK flushes)" -gt 80 ]
}

@test "restarted from an older state: the writes that it lost are told, and then one goes on" {
    start_server s
    cat >script.lua <<'END'
local function count_up(value) return tostring((tonumber(value) or 0) + 1) end
local function restart()
  io.open("restart", "w"):close()
  while not io.open("restarted") do vlock.sleep(0.02) end
end
for _ = 1, 3 do vlock.update("n", count_up) end
redis.call("SAVE")
for _ = 1, 2 do vlock.update("n", count_up) end
restart()
local value, outcome = vlock.update("n", count_up) -- on the fifth, which is lost
local value_after, version_after = vlock.update("n", count_up)
return { tostring(value), outcome.outcome, outcome.reason, value_after, version_after }
END
    "$vlockrun" -u "$url" script.lua >out 2>err 3>&- &
    pid=$!
    for _ in $(seq 200); do [ -e restart ] && break; sleep 0.02; done
    kill -KILL "$server"
    wait "$server" || true
    rm -f s.sock
    start_server s
    touch restarted
    wait "$pid" || { cat err; false; }
    cat out
    [ "$(sed -n 1,2p out)" = $'nil\nhistory_lost' ]
    [[ $(sed -n 3p out) == *"the server went back"* ]]
    [ "$(sed -n 4,5p out)" = $'4\n4' ]
}

@test "a record that was flushed, deleted or made anew is an ordinary conflict, and read again" {
    start_server s
    cat >script.lua <<'END'
local cas = redis.script("cas")
local function count_up(value) return tostring((tonumber(value) or 0) + 1) end
local troubles = {
  function() redis.call("FLUSHALL") end,
  function(_, record) redis.call("DEL", record) end,
  function(_, record) redis.call("SET", record, "1") end,
  function(key, record) -- up to the same version, by somebody else
    redis.call("DEL", key, record)
    for version = 1, 3 do cas({ key, record }, { "100", version, "0", "other." .. version }) end
  end,
}
local seen = {}
for i, trouble in ipairs(troubles) do
  local key = "n" .. i -- of which the session keeps what it wrote last
  for _ = 1, 3 do vlock.update(key, count_up) end
  trouble(key, "{" .. key .. "}:v")
  local value, version = vlock.update(key, count_up)
  seen[#seen + 1] = value .. " " .. version
end
return seen
END
    run --separate-stderr "$vlockrun" -u "$url" script.lua
    echo "$output $stderr"
    [ "$output" = $'1 1\n4 1\n4 2\n101 4' ]
}

@test "a zombie that comes after a conflict was reported changes nothing" {
    start_server s
    cat >script.lua <<'END'
-- The first commit of `mine` is held back until others have written and it was given up.
local plain = require("vlock.policy.store").new("plain", require("vlock.policy.search").context("."))
local held
local mine = setmetatable({
  commit = function(...)
    held = held or table.pack(...)
    error(setmetatable({ err = "UNKNOWN lost", outcome = "unknown" },
      getmetatable(redis.error_reply("UNKNOWN"))), 0)
  end,
  resolve = function(...)
    vlock.update("n", function() return "theirs" end)
    return plain.resolve(...)
  end,
}, { __index = plain })
vlock.update("n", function() return "first" end)
local value, outcome = vlock.update("n", function() return "mine" end,
  { store = mine, retry = { "attempts", max = 1 } })
local late = plain.commit(table.unpack(held, 1, held.n))
return { tostring(value), outcome.outcome, late, redis.call("GET", "n") }
END
    run --separate-stderr "$vlockrun" -u "$url" script.lua
    echo "$output $stderr"
    [ "$output" = $'nil\ngave_up\nconflict\ntheirs' ]
}

# until_file NAME: it is there.
until_file() {
    local i
    for i in $(seq 250); do [ -e "$1" ] && return 0; sleep 0.02; done
    return 1
}

@test "a replica that is not promoted yet: what is new is refused, what is in flight waits for it" {
    local port
    port=$(python3 -c \
        'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    start_server primary --port "$port" --repl-diskless-sync-delay 0
    primary=$server
    mkdir replica
    start_server replica --replicaof 127.0.0.1 "$port" --dir "$scratch/replica"
    ln -s primary.sock front.sock
    cat >script.lua <<'END'
local function count_up(value) return tostring((tonumber(value) or 0) + 1) end
local function mark(name) io.open(name, "w"):close() end
local function await(name) while not io.open(name) do vlock.sleep(0.01) end end
for _, key in ipairs { "a", "b" } do vlock.update(key, count_up) end
mark("ready")
await("stopped")
local in_flight = vlock.spawn(function() return vlock.update("a", count_up) end)
vlock.sleep(0.1)
mark("sent")
await("moved")
local ok, refusal = pcall(vlock.update, "b", count_up)
mark("refused")
local value, version = in_flight:join()
return { tostring(value), tostring(version), ok and "written" or refusal.err,
  (vlock.update("b", count_up)) }
END
    "$vlockrun" -u "unix://$scratch/front.sock" --timeout 30s script.lua >out 2>err 3>&- &
    pid=$!
    until_file ready
    for _ in $(seq 250); do [ "$(cli GET b)" = 1 ] && break; sleep 0.02; done
    kill -STOP "$primary"
    touch stopped
    until_file sent
    # It takes the write along, unread; and the replica is told only now that nobody leads it.
    kill -KILL "$primary"
    wait "$primary" || true
    ln -sfn replica.sock front.sock
    cli REPLICAOF 127.0.0.1 1 >/dev/null
    touch moved
    until_file refused
    cli REPLICAOF NO ONE >/dev/null
    wait "$pid" || { cat err; false; }
    cat out
    [ "$(sed -n 1,2p out)" = $'2\n2' ]
    [[ $(sed -n 3p out) == *"READONLY "*"this server is a replica: connect to its primary"* ]]
    [ "$(sed -n 4p out)" = 2 ]
    [ "$(cli GET a)" = 2 ]
}
