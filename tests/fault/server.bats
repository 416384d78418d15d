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
    for _ in $(seq 40); do
        cli SCRIPT FLUSH >/dev/null
        cli CLIENT KILL TYPE normal >/dev/null
        cli CLIENT PAUSE 20 WRITE >/dev/null
        kill -STOP "$server"
        sleep 0.01
        kill -CONT "$server"
        sleep 0.02
    done
    end_counting
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
local function count_up(value) return tostring((tonumber(value) or 0) + 1) end
local seen = {}
for _, trouble in ipairs { { "FLUSHALL" }, { "DEL", "{n}:v" }, { "SET", "{n}:v", "1" } } do
  redis.call("FLUSHALL")
  for _ = 1, 3 do vlock.update("n", count_up) end
  redis.call(table.unpack(trouble))
  local value, version = vlock.update("n", count_up)
  seen[#seen + 1] = value .. " " .. version
end
return seen
END
    run --separate-stderr "$vlockrun" -u "$url" script.lua
    echo "$output $stderr"
    [ "$output" = $'1 1\n4 1\n4 2' ]
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
