#!/usr/bin/env bats
# vlockrun --trace: what each worker did when, for Perfetto and chrome://tracing.

load environment

# check TRACE WORKERS RUNS COMMITS: it is Chrome's format, and every read, attempt and sleep lies
# inside of an update of its worker.
check() {
    python3 - "$@" <<'END'
import collections, json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
workers, runs, commits = map(int, sys.argv[2:5])
spans = collections.defaultdict(list)
names = collections.Counter(e["name"] for e in events)
for e in events:
    assert e["ph"] in "MX", e
    if e["ph"] == "X":
        assert e["ts"] >= 0 and e["dur"] >= 0, e
        spans[e["pid"], e["tid"]].append(e)
assert names["process_name"] == runs and names["thread_name"] == runs * workers, names
committed = 0
for track in spans.values():
    updates = [(e["ts"], e["ts"] + e["dur"]) for e in track if e["name"] == "update"]
    committed += sum(e["name"] == "update" and e["args"]["outcome"] == "committed" for e in track)
    attempts = sum(e["name"] == "attempt" and e["args"]["outcome"] == "committed" for e in track)
    assert attempts == sum(e["name"] == "update" and e["args"]["outcome"] == "committed" for e in track)
    for begin, end in zip(sorted(updates), sorted(updates)[1:]):
        assert begin[1] <= end[0] + 0.01, (begin, end)
    for e in track:
        assert any(b - 0.01 <= e["ts"] and e["ts"] + e["dur"] <= t + 0.01 for b, t in updates), e
assert committed == commits, committed
assert names["read"] and names["sleep"] and names["attempt"] > names["update"], names
END
}

@test "a simulated run has a track for each worker, and spans in spans" {
    "$vlockrun" --sim=lan --seed 1 -w 5 -n 200 --trace one.json full_jitter
    check one.json 5 1 200
    "$vlockrun" --sim=lan --seed 1 -w 5 -n 200 --trace two.json full_jitter
    cmp one.json two.json
}

@test "so has a real one; of several runs each is a process" {
    "$vlockrun" -w 5 -n 200 --runs 2 --trace t.json full_jitter
    check t.json 5 2 400
}

@test "what is no trace is not overwritten, and what cannot be written is said" {
    echo 'backoff notes' >notes.txt
    run -2 "$vlockrun" --sim -n 10 --trace notes.txt full_jitter
    [[ $output == *"notes.txt is there and is no trace: it is not overwritten"* ]]
    grep -q "backoff notes" notes.txt
    run -2 "$vlockrun" --sim -n 10 --trace nowhere/t.json full_jitter
    [[ $output == *"nowhere/t.json"* ]]
    "$vlockrun" --sim -w 2 -n 10 --trace t.json full_jitter
    "$vlockrun" --sim -w 2 -n 10 --trace t.json full_jitter
    [ -w /dev/full ] || skip "there is no /dev/full"
    run -1 "$vlockrun" --sim -w 2 -n 10 --trace /dev/full full_jitter
    [[ $output == *"cannot write the trace /dev/full"* ]]
    [[ $output == *"chain        whole"* ]]
}
