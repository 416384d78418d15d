#!/usr/bin/env bats
# Histories: what a run writes down, and how verify takes what it is given.

load environment

# A history of this many updates by 4 workers on 2 keys, in h.jsonl.
record() {
    "$vlockrun" --history h.jsonl -w 4 -k 2 -n "$1" "$TOP/lua/backoff/full_jitter.lua" >/dev/null
}

verify() {
    run --separate-stderr timeout 60 "$vlockrun" verify "$@"
    echo "$status: $output $stderr"
}

@test "one line for each attempt, with who, what, on which state and when" {
    run --separate-stderr "$vlockrun" --json --history h.jsonl -w 4 -k 2 -n 300 --seed 7 \
        "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    python3 - "$output" <<'END'
import json, sys
result = json.loads(sys.argv[1])
lines = [json.loads(line) for line in open("h.jsonl")]
header, ends = lines[0], lines[-1]
assert header["history"] == "vlock" and header["format"] == 2 and header["identity"] == "stamp" and header["counter"] is True
assert header["label"] == "full_jitter" and header["store"] == "plain" and header["seed"] == 7 and header["run"] == 1
assert header["policy"] == result["policy"] and header["scenario"] == result["scenario"] and header["server"] == result["server"]
firsts, lasts = [l for l in lines if "first" in l], [l for l in lines if "last" in l]
assert len(firsts) == len(lasts) == 2 and all(l["value"] is None and l["stamp"] == "0" for l in firsts)
attempts = [l for l in lines if "attempt" in l]
reads = [l for l in lines if "read" in l]
assert len(attempts) == result["attempts"] == ends["attempts"] and len(reads) == ends["reads"] > 0
assert len(lines) == len(attempts) + len(reads) + 6
states = {(l["attempt"], l["made"]): l["value"] for l in attempts if l["outcome"] == "committed"}
states.update({(f["first"], "0"): None for f in firsts})
for l in reads:
    assert 1 <= l["worker"] <= 4 and 0 <= l["start"] <= l["end"] <= ends["seconds"], l
    assert states[l["read"], l["stamp"]] == l["value"], l
for l in attempts:
    assert l["attempt"] in [f["first"] for f in firsts] and 1 <= l["worker"] <= 4 and 0 <= l["start"] <= l["end"] <= ends["seconds"], l
    assert int(l["value"]) == int(l["base_value"] or 0) + 1, l
    assert l["outcome"] in ("committed", "conflict")
    if l["outcome"] == "committed":
        assert l["made"].endswith(l["token"]) and l["version"] == l["base_version"] + 1, l
    else:
        assert l["made"] is None and states[l["attempt"], l["found"]] == l["found_value"], l
assert len({l["token"] for l in attempts}) == len(attempts)
assert sum(l["outcome"] == "committed" for l in attempts) == result["commits"] == sum(int(l["value"]) for l in lasts) == 300
END
    verify h.jsonl
    [ "$status" -eq 0 ]
    [[ $output == *"300 committed"*"chain        whole: each of the 300 commits"* ]]
}

@test "commits and reads that do not keep to the time are found, in a history of format 1 too" {
    record 200
    cp h.jsonl whole.jsonl
    cat >later.py <<'END'
import json, sys
kind, at = sys.argv[1], int(sys.argv[2])
lines = [json.loads(line) for line in open("whole.jsonl")]
one = [l for l in lines if kind in l and l.get("outcome") in (None, "committed")][at]
one["start"] += 1000
one["end"] += 1000
with open("h.jsonl", "w") as out:
    for line in lines:
        print(json.dumps(line), file=out)
END
    python3 later.py attempt 50
    verify h.jsonl
    [ "$status" -eq 4 ]
    [[ $output == *"BROKEN: 1 commit out of the order of time"* ]]
    [[ $output == *": out_of_order: key "*": the commit of worker "* ]]
    # How many reads there are is a matter of time: who finds his own last commit reads no more. The
    # first is there always.
    python3 later.py read 0
    verify h.jsonl
    [ "$status" -eq 4 ]
    [[ $output == *"BROKEN: 1 read of a state that was known to be over"* ]]
    sed -i 's/"start": \([0-9.]*\), "end": 10[0-9]*/"start": \1, "end": 0/' h.jsonl
    verify h.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"it ends before it starts"* ]]
    grep -v '^{"read"' whole.jsonl >h.jsonl
    verify h.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"the run had "*" reads, and 0 stand here: lines are missing"* ]]
    sed -i 's/"format":2/"format":1/; s/"reads":[0-9]*,//; s/"found":.*,"token"/"token"/' h.jsonl
    verify h.jsonl
    [ "$status" -eq 0 ]
    [[ $output == *"; 0 reads"* ]]
    sed -i 's/"format":1/"format":3/' h.jsonl
    verify h.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"format 3 is not known; this vlockrun reads 1 to 2"* ]]
}

@test "several runs stand in one file, and several files are checked, standard input among them" {
    "$vlockrun" compare --history h.jsonl --runs 2 -n 100 none full_jitter@watch >/dev/null
    [ "$(grep -c '^{"history":"vlock"' h.jsonl)" -eq 4 ]
    cp h.jsonl again.jsonl
    verify --json h.jsonl again.jsonl - < <(cat h.jsonl)
    [ "$status" -eq 0 ]
    python3 -c 'import json,sys; d=json.loads(sys.argv[1])
assert d["verified"] is True and len(d["runs"]) == 12
assert [r["label"] for r in d["runs"][:4]] == ["none", "full_jitter@watch", "full_jitter@watch", "none"], d
assert {r["file"] for r in d["runs"]} == {"h.jsonl", "again.jsonl", "stdin"}
assert all(r["commits"] == 100 for r in d["runs"])' "$output"
    # One that is broken among them makes 4.
    sed -i '0,/"outcome":"committed"/s//"outcome":"conflict"/' again.jsonl
    verify h.jsonl again.jsonl
    [ "$status" -eq 4 ]
}

@test "the history is complete after Ctrl-C" {
    "$vlockrun" --json --history h.jsonl -n 100M "$TOP/lua/backoff/full_jitter.lua" >out 2>err \
        3>&- &
    pid=$!
    until grep -q '^{"attempt"' h.jsonl; do # something of it is written, and more was done
        kill -0 $pid
        sleep 0.1
    done
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" -eq 130 ]
    verify --json h.jsonl
    [ "$status" -eq 0 ]
    python3 -c 'import json,sys; d=json.loads(sys.argv[1])["runs"][0]; r=json.load(open("out"))
assert d["interrupted"] is True and d["commits"] == r["commits"] > 0 and d["attempts"] == r["attempts"]' "$output"
}

@test "an interrupted run has the last state of each key that it touched, and no other needs one" {
    # What its own update makes cannot be told apart in a store without versions.
    printf 'local store = dofile("%s")\nreturn { read = store.read, commit = store.commit }\n' \
        "$TOP/lua/store/plain.lua" >bare.lua
    cat >own.lua <<'END'
return {
  backoff = "none",
  scenario = { update = function(value) return value == "x" and "y" or "x" end },
}
END
    for arguments in "$TOP/lua/backoff/none.lua" "--store bare.lua own.lua"; do
        rm -f h.jsonl
        # shellcheck disable=SC2086
        "$vlockrun" --json --history h.jsonl --keys 20k -w 5 --think 5ms -n 100M $arguments >out 2>err 3>&- &
        pid=$!
        until [ -s h.jsonl ] && grep -q '^{"attempt"' h.jsonl; do
            kill -0 $pid
            sleep 0.05
        done
        kill -INT $pid
        status=0
        wait $pid || status=$?
        [ "$status" -eq 130 ]
        python3 - <<'END'
import json
lines = [json.loads(line) for line in open("h.jsonl")]
touched = {line.get("attempt", line.get("read")) for line in lines[1:]} - {None}
lasts = {line["last"] for line in lines if "last" in line}
firsts = {line["first"] for line in lines if "first" in line}
assert touched == lasts and len(firsts) == 20000 > len(lasts) > 0, (len(touched), len(lasts))
END
        verify h.jsonl
        [ "$status" -eq 0 ]
        sed -i '0,/^{"last"/{/^{"last"/d}' h.jsonl
        verify h.jsonl
        [ "$status" -eq 2 ]
        [[ $stderr == *"the run ends, and key 'vlock:lab:"*"has no last state" ]]
    done
}

@test "values that are long or no plain text are written as their hash, and verified all the same" {
    cat >bytes.lua <<'END'
return {
  backoff = "none",
  scenario = { workers = 2, commits = 40, update = function(value)
    return value and #value < 300 and value .. "\255\0\"\\#é" or "#"
  end },
}
END
    "$vlockrun" --history h.jsonl bytes.lua >/dev/null
    grep -q '"value":"#[0-9a-f]\{16\}:[0-9]\+"' h.jsonl
    no grep -q "[^ -~]" h.jsonl
    verify h.jsonl
    [ "$status" -eq 0 ]
    "$vlockrun" --history h.jsonl --value-size 5k -w 1 -n 50 "$TOP/lua/backoff/none.lua" >/dev/null
    [ "$(wc -c <h.jsonl)" -lt 50000 ]
    verify h.jsonl
    [ "$status" -eq 0 ]
}

@test "a history that was tampered with does not pass" {
    record 200
    cp h.jsonl whole.jsonl
    line=$(grep -n '"outcome":"committed"' h.jsonl | sed -n '50s/:.*//p')
    sed "${line}d" whole.jsonl >h.jsonl # a line is gone
    verify h.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"h.jsonl:$(wc -l <h.jsonl): the run had "*" attempts, and "*" stand here: lines are missing"* ]]
    sed "${line}s/\"outcome\":\"committed\"/\"outcome\":\"conflict\"/" whole.jsonl >h.jsonl
    verify h.jsonl
    [ "$status" -eq 4 ]
    [[ $output == *"1 write that nobody reported"* ]]
    sed "${line}s/\"value\":\"[0-9]*\"/\"value\":\"999\"/" whole.jsonl >h.jsonl
    verify h.jsonl
    [ "$status" -eq 4 ]
    [[ $output == *"found the value "*", and not that of line $line, worker "* ]]
    sed "${line}s/\"base\":\"[^\"]*\"/\"base\":\"0\"/" whole.jsonl >h.jsonl \
        # on a base on which another one was made
    verify h.jsonl
    [ "$status" -eq 4 ]
    [[ $output == *"1 lost update"* ]]
    sed "s/\({\"last\".*\"value\":\)\"[0-9]*\"/\1\"7\"/" whole.jsonl >h.jsonl
    verify h.jsonl
    [ "$status" -eq 4 ]
    [[ $output == *"the last state does not have the value of line"* ]]
    # Numbers that are larger than counters get add nothing to that.
    for number in 9223372036854775808 "$(printf '9%.0s' {1..400})"; do
        sed "s/\({\"last\".*\"value\":\)\"[0-9]*\"/\1\"$number\"/" whole.jsonl >h.jsonl
        run -4 --separate-stderr "$vlockrun" verify --json h.jsonl
        [[ $output == *'"duplicated":0,'*'"verified":false,'* ]]
    done
    # A write of unknown outcome may have been applied, and may not.
    sed "${line}s/\"outcome\":\"committed\"/\"outcome\":\"unknown\"/" whole.jsonl >h.jsonl
    verify h.jsonl
    [ "$status" -eq 0 ]
    [[ $output == *"1 of unknown outcome were applied"* ]]
}

# refuses TEXT WHAT: verify says 2 and this about a file with this text.
refuses() {
    printf '%b' "$1" >bad.jsonl
    verify bad.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"$2"* ]]
    [ -z "$output" ]
}

@test "what is no history is refused, with the line and what is wrong with it" {
    record 50
    head=$(head -n 1 h.jsonl)
    key=$(sed -n '2s/{"first":"\([^"]*\)".*/\1/p' h.jsonl)
    first="{\"first\":\"$key\",\"stamp\":\"0\",\"value\":null}"
    attempt=$(grep -m 1 "\"attempt\":\"$key\".*committed" h.jsonl)
    refuses '' 'bad.jsonl: it is empty'
    refuses 'hello\n' 'bad.jsonl:1: no JSON'
    refuses '[1]\n' 'bad.jsonl:1: no line of a history'
    refuses '7\n' 'bad.jsonl:1: no object'
    refuses "$first\n" 'bad.jsonl:1: no run has begun'
    refuses "$head" 'bad.jsonl:1: it ends in the middle of a line'
    refuses "$head\n" 'bad.jsonl:1: the run that begins in line 1 has no end'
    refuses "$head\n$head\n" 'bad.jsonl:2: a run begins before that of line 1 has ended'
    refuses "${head/\"format\":2/\"format\":3}\n" \
        'bad.jsonl:1: format 3 is not known; this vlockrun reads 1 to 2'
    refuses "${head/\"workers\":4/\"workers\":null}\n" \
        "bad.jsonl:1: history: 'scenario' lacks a field"
    refuses "${head/\"counter\":true/\"counter\":1}\n" \
        "bad.jsonl:1: history: 'counter' must be true or false"
    refuses "${head/\"identity\":\"stamp\"/\"identity\":\"name\"}\n" "identity 'name' is not known"
    refuses "$head\n$attempt\n" "bad.jsonl:2: key '$key' has no first state"
    refuses "$head\n$first\n$first\n" "bad.jsonl:3: a second first state of key '$key'"
    refuses "$head\n$first\n${attempt/committed/comitted}\n" \
        "bad.jsonl:3: outcome 'comitted' is not known; there are committed,"
    refuses "$head\n$first\n${attempt/\"worker\":/\"worker\":0.}\n" \
        "bad.jsonl:3: attempt: 'worker' must be a whole number"
    refuses "$head\n$first\n${attempt/\"token\":\"/\"token\":7,\"x\":\"}\n" \
        "bad.jsonl:3: attempt: 'token' must be a text"
    refuses "$head\n$first\n${attempt/\"base\":\"/\"b\":\"}\n" \
        "bad.jsonl:3: the states of this run are told apart by their stamps"
    refuses "$head\n$first\n${attempt/\"base_version\":/\"b\":}\n" \
        "bad.jsonl:3: a version, and no base_version"
    refuses "$head\n$first\n{\"end\":1,\"attempts\":0,\"interrupted\":false,\"seconds\":1}\n" \
        "bad.jsonl:3: the run ends, and key '$key' has no last state"
    head -c 3000 h.jsonl >cut.jsonl
    verify cut.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"cut.jsonl:"*"the history was cut off"* ]]
    verify nosuch.jsonl
    [ "$status" -eq 2 ]
    [[ $stderr == *"nosuch.jsonl: No such file"* ]]
    verify .
    [ "$status" -eq 2 ]
    verify
    [ "$status" -eq 2 ]
    [[ $stderr == *"verify what?"* ]]
}

@test "bytes changed at random end in 0, 2 or 4, never in a crash" {
    record 60
    cat >mutate.py <<'END'
import random, sys
random.seed(int(sys.argv[1]))
data = bytearray(open("h.jsonl", "rb").read())
for _ in range(random.randint(1, 3)):
    at = random.randrange(len(data))
    what = random.randrange(3)
    if what == 0: data[at] = random.randrange(256)
    elif what == 1: del data[at:at + random.randint(1, 40)]
    else: data[at:at] = random.choice([b'"', b"null", b"{", b"]", b"-1", b"1e999", b"\n", b"[[[[", b"0"])
open("mutant.jsonl", "wb").write(data)
END
    for seed in $(seq 60); do
        python3 mutate.py "$seed"
        status=0
        timeout 20 "$vlockrun" verify mutant.jsonl >out 2>err || status=$?
        case $status in 0 | 2 | 4) ;; *) echo "seed $seed: $status"; cat err; return 1 ;; esac
        [ "$status" -ne 2 ] || grep -q '^vlockrun: mutant.jsonl:[0-9]*: ' err \
            || { echo "seed $seed"; cat err; return 1; }
    done
}

@test "a file that is no history is not overwritten, and one that cannot be written ends the run" {
    echo 'return { backoff = "none" }' >mine.lua
    cp mine.lua mine
    run --separate-stderr "$vlockrun" --history mine -n 10 full_jitter
    [ "$status" -eq 2 ]
    [[ $stderr == *"mine is there and is no history: it is not overwritten"* ]]
    cmp mine mine.lua
    run --separate-stderr "$vlockrun" --history no/such/folder/h -n 10 mine.lua
    [ "$status" -eq 2 ]
    [[ $stderr == *"--history: cannot write no/such/folder/h: No such file or directory"* ]]
    run --separate-stderr timeout 60 "$vlockrun" --history /dev/full -w 1 -n 5k mine.lua
    echo "$stderr"
    [ "$status" -eq 1 ]
    [[ $stderr == *"cannot write the history /dev/full: No space left on device"* ]]
    record 20
    record 30 # a history is overwritten by the next
    verify h.jsonl
    [[ $output == *"30 committed"* ]]
    # Through a pipe, it is as good.
    "$vlockrun" --history >(cat >piped.jsonl) -n 100 mine.lua >/dev/null
    for i in $(seq 100); do tail -n 1 piped.jsonl | grep -q '^{"end"' && break; sleep 0.02; done
    verify piped.jsonl
    [ "$status" -eq 0 ]
}
