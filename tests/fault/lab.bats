#!/usr/bin/env bats
# Connections that die under a run of the lab: what was in flight is unknown, the run goes on, and
# the verification says whole, whichever of the unknown writes were applied. Servers that come back
# without commits that they had confirmed: the verification says which are gone.

load ../cli/environment

# field NAME: of the JSON in the file out.
field() {
    python3 -c 'import json,sys; d=json.load(open("out")); print(json.dumps(d[sys.argv[1]]))' "$1"
}

# survives OPTION …: a run whose connections are all killed again and again.
survives() {
    local kills=0
    "$vlockrun" --json -u "$url" --history h.jsonl "$@" >out 2>err 3>&- &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        cli CLIENT KILL TYPE normal SKIPME yes >/dev/null
        kills=$((kills + 1))
        sleep 0.03
    done
    status=0
    wait "$pid" || status=$?
    echo "$* : status $status, $kills kills, $(cat out err)"
    [ "$status" -eq 0 ] || [ "$status" -eq 1 ]
    [ "$kills" -gt 5 ]
    [ "$(field verified)" = true ]
    [ "$(field commits)" -gt 100 ]
    "$vlockrun" verify --json h.jsonl >verified.json
    python3 -c 'import json; h=json.load(open("verified.json"))["runs"][0]; r=json.load(open("out"))
assert h["verified"] is True and h["unknown_applied"] == r["unknown_applied"] <= h["outcomes"]["unknown"], (h, r)
assert h["outcomes"]["unknown"] <= r["unknown"] # which counts updates whose reads died five times as well
assert h["commits"] == r["commits"]'
    unknown=$((unknown + $(field unknown)))
    applied=$((applied + $(field unknown_applied)))
}

@test "connections killed under a run: unknown, and the chain is whole" {
    start_server s
    unknown=0 applied=0
    survives -d 2s -w 20 "$TOP/lua/backoff/full_jitter.lua"
    survives -d 1500ms -w 20 -k 4 "$TOP/lua/backoff/full_jitter.lua"
    survives -d 2s -w 20 -c 2 "$TOP/lua/backoff/none.lua"
    # Only what this store sent stays unknown, and that a connection dies while its EXEC is under way
    # is a matter of chance.
    for _ in {1..8}; do
        survives -d 1500ms -w 8 --store watch "$TOP/lua/backoff/full_jitter.lua"
        [ "$unknown" -eq 0 ] || break
    done
    echo "$unknown unknown, $applied of them were applied"
    [ "$unknown" -gt 0 ]
}

@test "connections killed under merges at the server: none is merged twice, and the chain is whole" {
    start_server s
    unknown=0 applied=0
    echo 'return { merge = { "counter", at = "server" } }' >merging.lua
    survives -d 1500ms -w 20 merging.lua
    grep -q '"value":"#lost"' h.jsonl && echo "values were lost"
    [ "$(field conflicts)" -lt "$(field commits)" ]
}

@test "a store that cannot say which state an unknown write would have made, or has no versions, is judged as fairly" {
    start_server s
    applied=0
    export PLAIN=$TOP/lua/store/plain.lua
    cat >nowhere.lua <<'END'
local store = dofile(os.getenv("PLAIN"))
store.made = nil
return store
END
    survives -d 2s -w 20 --store nowhere.lua "$TOP/lua/backoff/full_jitter.lua"
    cat >unversioned.lua <<'END'
local plain = dofile(os.getenv("PLAIN"))
return {
  read = plain.read,
  commit = function(cell, base, value, token)
    return plain.commit(cell, { stamp = base.stamp }, value, token)
  end,
}
END
    survives -d 2s -w 20 --store unversioned.lua "$TOP/lua/backoff/full_jitter.lua"
}

@test "replies that are lost after the write was applied: unknown and applied, and the chain needs them" {
    cat >lossy.lua <<'END'
-- Of every fifty commits that it made it says that it does not know.
local plain = dofile(os.getenv("PLAIN"))
local made = 0
return {
  read = plain.read,
  version = plain.version,
  merges = plain.merges,
  made = os.getenv("MADE") and plain.made or nil,
  commit = function(cell, base, value, token, merge)
    local result, a, b = plain.commit(cell, base, value, token, merge)
    made = made + (result == "committed" and 1 or 0)
    if result == "committed" and made % 50 == 0 then
      error(setmetatable({ err = "UNKNOWN lost", outcome = "unknown" }, getmetatable(redis.error_reply("UNKNOWN"))), 0)
    end
    return result, a, b
  end,
}
END
    export PLAIN=$TOP/lua/store/plain.lua
    echo 'return { merge = { "counter", at = "server" } }' >merging.lua
    for MADE in 1 '' merging; do
        [ -n "$MADE" ] && export MADE || unset MADE
        policy=$TOP/lua/backoff/full_jitter.lua
        [ "$MADE" != merging ] || policy=merging.lua
        "$vlockrun" --json --history h.jsonl -w 4 -n 2k --store lossy.lua "$policy" >out 2>err
        cat out err
        [ "$(field verified)" = true ]
        [ "$(field unknown)" -ge 30 ]
        [ "$(field unknown_applied)" = "$(field unknown)" ]
        "$vlockrun" verify h.jsonl
    done
}

@test "a read whose reply is lost is made again, the workers' and the lab's own: it is no unknown outcome" {
    cat >deaf.lua <<'END'
-- The first read of every client gets no answer.
local plain = dofile(os.getenv("PLAIN"))
local reads = 0
plain.read = (function(read)
  return function(cell)
    reads = reads + 1
    if reads == 1 then
      error(setmetatable({ err = "UNKNOWN lost", outcome = "unknown" }, getmetatable(redis.error_reply("UNKNOWN"))), 0)
    end
    return read(cell)
  end
end)(plain.read)
return plain
END
    export PLAIN=$TOP/lua/store/plain.lua
    "$vlockrun" --json -w 4 -n 200 --store deaf.lua "$TOP/lua/backoff/full_jitter.lua" >out 2>err
    cat out err
    [ "$(field verified)" = true ]
    [ "$(field commits)" = 200 ]
    [ "$(field unknown)" = 0 ]
}

# restart_without BYTES OPTION …: a run, and meanwhile its server is killed and started again with
# its log, whose last bytes are gone. (kill -9 leaves what a server has written in the page cache:
# only what is cut off is lost.)
restart_without() {
    local logged=(--appendonly yes --appendfsync no)
    start_server s "${logged[@]}"
    "$vlockrun" --json -u "$url" --history h.jsonl -d 3s -w 8 "${@:2}" \
        "$TOP/lua/backoff/full_jitter.lua" >out 2>err 3>&- &
    pid=$!
    local i
    for i in $(seq 200); do
        [ "$(stat -c %s appendonlydir/*.incr.aof)" -lt 40000 ] || break
        sleep 0.01
    done
    kill -KILL "$server"
    wait "$server" || true
    truncate -s "-$1" appendonlydir/*.incr.aof
    rm -f s.sock
    start_server s "${logged[@]}"
    status=0
    wait "$pid" || status=$?
    cat out err
    [ "$(field unknown)" = 0 ]
    [ "$(field errors)" = 0 ]
}

@test "a log that lost its tail: whoever wrote a key alone is told once, and goes on" {
    restart_without 15000 -k 8 --dist own # some 15 commits of each worker
    [ "$(field history_lost)" = 8 ]
    [ "$status" -eq 4 ]
    [ "$(field verified)" = false ]
}

@test "a log that lost its tail under a hot key: the verification says which commits are gone" {
    restart_without 15001 # fifty commits, the last of them in its middle
    [ "$(field history_lost)" -gt 0 ]
    [ "$status" -eq 4 ]
    [ "$(field verified)" = false ]
    run "$vlockrun" verify h.jsonl
    echo "$output"
    [ "$status" -eq 4 ]
    [[ $output == *"BROKEN: "* ]]
    [[ $output == *" lost: key "* ]] || [[ $output == *" missing: key "* ]]
}

@test "a log that lost nothing: nobody is told that it did" {
    restart_without 0 -k 8 --dist own
    [ "$status" -eq 0 ]
    [ "$(field verified)" = true ]
    [ "$(field history_lost)" = 0 ]
}
