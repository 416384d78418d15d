#!/usr/bin/env bats
# What the lab writes to files: pictures, pages, percentiles.

load environment

lab() {
    run --separate-stderr "$vlockrun" "$@"
    echo "$output $stderr" >&2
}

# check [WORD …]: runs the Python program on standard input, which has these words and what is
# defined below; an assert that fails fails the test.
check() {
    python3 - "$@" <<END
import html.parser, json, re, sys, xml.etree.ElementTree as xml
words = sys.argv[1:]
SVG = "{http://www.w3.org/2000/svg}"

def read(path):
    return open(path, encoding="utf-8").read()

def texts_of(path):
    return [element.text for element in xml.parse(path).iter(SVG + "text")]

def field(result, path):
    for name in path.split("."):
        result = result[name]
    return result

class Page(html.parser.HTMLParser):
    """A page that is well formed: its rows of figures, as (what the row is of, {field: [exact value, shown text]}), and its text."""
    def __init__(self, path):
        super().__init__()
        self.open, self.attributes, self.entries, self.runs, self.texts, self.cell = [], [], [], [], [], None
        self.feed(read(path))
        self.close()
        assert not self.open, self.open

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        of = dict(attributes)
        for kind, rows in ("data-entry", self.entries), ("data-run", self.runs):
            if kind in of:
                self.row = {}
                rows.append((of[kind], self.row))
        if "data-field" in of:
            self.cell = self.row[of["data-field"]] = [of["data-value"], ""]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag
        self.cell = None if tag == "td" else self.cell

    def handle_data(self, text):
        if self.open and self.open[-1] != "style":
            self.texts.append(text)
        if self.cell:
            self.cell[1] += text

    def text(self):
        return "".join(self.texts)

$(cat)
END
}

# Runs vlockrun with no program in PATH but those that stand before --.
with_only() {
    mkdir -p bin
    while [ "$1" != -- ]; do
        ln -sf "$(command -v "$1")" bin/
        shift
    done
    shift
    run --separate-stderr env PATH="$scratch/bin" "$vlockrun" "$@"
    echo "$output $stderr" >&2
}

@test "--plot draws an SVG of several policies, whatever they and the file are called" {
    cp "$TOP/lua/backoff/full_jitter.lua" 'a_b{1}&<x> $(touch ran) `touch ran` %d.lua'
    cp "$TOP/lua/backoff/none.lua" "it's \"b\".lua"
    file='out of "the" way; touch ran; it'"'"'s $HOME.svg'
    lab compare -n 500 --runs 2 --plot "$file" a_b*.lua it*.lua full_jitter
    [ "$status" -eq 0 ]
    [[ $stderr == *"wrote $file"* ]]
    [ ! -e ran ]
    check "$file" <<'END'
texts = texts_of(words[0])
for label in "a_b{1}&<x> $(touch ran) `touch ran` %d"[:33], "it's \"b\"", "full_jitter":
    assert sum(text.startswith(label) for text in texts) == 4, (label, texts)  # in each of the charts
for title in "Commits per second", "Attempts per commit", "Latency of an update by percentile", "Work against time":
    assert title in texts, texts
assert {"50%", "90%", "99%"} <= set(texts)
END
}

@test "a policy whose name is not UTF-8 or holds a line break spoils no picture and no page" {
    cp "$TOP/lua/backoff/none.lua" $'bad\xff\nname.lua'
    lab compare -n 200 --runs 1 --plot out.svg --report out.html $'bad\xff\nname.lua' fixed
    [ "$status" -eq 0 ]
    check <<'END'
assert r"bad\xff\x0aname" in texts_of("out.svg") and r"bad\xff\x0aname" in Page("out.html").text()
END
}

@test "--plot draws a PNG, and a text with letters" {
    lab -n 500 --plot out.png "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    [ "$(head -c 8 out.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
    lab compare -n 500 --runs 1 --plot out.txt full_jitter none
    [ "$status" -eq 0 ]
    cat out.txt
    grep -q '^50 workers on 1 key' out.txt
    grep -qE '^ *full_jitter \|-+ *[0-9,]+' out.txt
    grep -qE '^ *none \|-+ *[0-9]+\.[0-9]' out.txt
    grep -qE '50% +90% +99%' out.txt
    no grep -q $'\f' out.txt
}

@test "one policy's picture has its percentiles and how often each latency was" {
    lab -n 500 --plot out.svg "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    check <<'END'
assert {"Latency of an update by percentile", "How long updates took", "50%", "99%"} <= set(texts_of("out.svg"))
END
}

@test "a sweep is drawn as lines over its values, of the second one a line each" {
    lab compare -n 100 --runs 2 --sweep workers=1,4,30 --plot out.svg full_jitter none
    [ "$status" -eq 0 ]
    check <<'END'
root, texts = xml.parse("out.svg").getroot(), texts_of("out.svg")
plots = [group for group in root.iter(SVG + "g") if "_plot_" in group.get("id", "")]
assert len(plots) == 16, len(plots)  # in each of four charts two lines, and the whiskers of each
assert all(texts.count(name) == 4 for name in ("workers", "none", "full_jitter")), texts
below = [group for group in root.iter(SVG + "g") if group.get("text-anchor") == "middle"]
at = {}
for name in "1", "4", "30":
    places = [float(re.search(r"translate\(([\d.]+)", group.get("transform")).group(1)) for group in below if group[0].text == name]
    assert len(places) == 4, (name, places)
    at[name] = min(places)
# more than a decade: an axis with logarithms, on which 4 stands a bit before the middle of 1 and 30
assert 0.39 < (at["4"] - at["1"]) / (at["30"] - at["1"]) < 0.43, at
END
    lab compare -n 60 --runs 1 --sweep base=1ms,2ms --sweep cap=20ms,40ms --plot out.svg full_jitter
    [ "$status" -eq 0 ]
    check <<'END'
texts = texts_of("out.svg")
assert texts.count("cap=20ms") == 4 and texts.count("cap=40ms") == 4 and "Work against time" in texts, texts
END
    lab compare -n 60 --runs 1 -k 9 --sweep dist=own,uniform --plot out.txt full_jitter
    [ "$status" -eq 0 ]
    grep -qE 'own +uniform' out.txt
}

@test "a policy that starves others says so beside its figures, and is the best of nothing" {
    cat >selfish.lua <<'END'
return { backoff = function(p, c) return c.worker == 1 and 0 or 1 end }
END
    lab compare -d 1s -w 20 --runs 1 --plot out.svg --report out.html selfish.lua none
    [ "$status" -eq 0 ]
    check <<'END'
texts = texts_of("out.svg")
assert {"selfish (starves)", "none"} <= set(texts) and sum(text.endswith(" (starves others)") for text in texts) == 2, texts
assert "STARVES others" in Page("out.html").text()
def row(name):
    return re.search(r'<tr data-entry="%s">.*?</tr>' % name, read("out.html"), re.S).group()
assert "best" not in row("selfish") and "best" in row("none")
END
}

@test "a store that cheats is broken in the picture and on the page, and what was required is there" {
    cp "$TOP/tests/fixtures/stores/blind.lua" blind.lua
    lab compare -n 500 --runs 1 -w 10 --require 'commits>=1M' --plot out.svg --report out.html \
        full_jitter full_jitter@blind.lua
    [ "$status" -eq 4 ]
    check <<'END'
assert {"full_jitter@blind.lua (BROKEN)", "full_jitter"} <= set(texts_of("out.svg")), texts_of("out.svg")
page = Page("out.html")
assert "%s lost update" % page.runs[1][1]["lost_updates"][1] in page.text() and "BROKEN: full_jitter@blind.lua: " in page.text()
assert "whole:" not in page.text()
assert page.runs[0][1]["verified"] == ["true", "yes"] and page.runs[1][1]["verified"] == ["false", "NO"]
assert int(page.runs[1][1]["lost_updates"][0]) + int(page.runs[1][1]["missing"][0]) > 0
assert page.text().count("NOT MET") == 2 and "commits>=1M" in page.text()
END
}

@test "where gnuplot is not installed --plot says before the run what to install" {
    with_only "${VLOCK_SERVER:-redis-server}" -- -n 100 --plot out.svg "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 2 ]
    [[ $stderr == *"--plot out.svg: pictures are drawn by gnuplot, which is not installed (Debian and Ubuntu: apt install gnuplot-nox"* ]]
    [[ $stderr != *"private empty server"* ]]
    [ -z "$output" ]
    [ ! -e out.svg ]
}

@test "where gnuplot is not installed the page has its tables, and says what pictures need" {
    with_only "${VLOCK_SERVER:-redis-server}" -- -n 100 --report out.html \
        "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 0 ]
    check <<'END'
page = Page("out.html")
assert "apt install gnuplot-nox" in page.text() and page.runs[0][1]["commits"] == ["100", "100"]
assert "<svg" not in read("out.html")
END
}

@test "a gnuplot that fails is reported; what was measured is printed all the same" {
    mkdir -p bin
    cat >bin/gnuplot <<'END'
#!/bin/sh
# A gnuplot that has every terminal and draws nothing.
grep -q plot "$2" || exit 0
echo '"x" line 7: out of ink' >&2
exit 1
END
    chmod +x bin/gnuplot
    with_only "${VLOCK_SERVER:-redis-server}" grep -- -n 100 --plot out.svg \
        "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 1 ]
    [[ $output == *"commits      100 in "* ]]
    [[ $stderr == *"vlockrun: gnuplot failed: out of ink"* ]]
    with_only "${VLOCK_SERVER:-redis-server}" grep -- -n 100 --report out.html \
        "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 0 ]
    grep -q 'None: gnuplot failed: out of ink' out.html
}

@test "a gnuplot that ends well and has drawn nothing, or half a picture, has failed" {
    mkdir -p bin
    for half in '' '<svg><g>' $'\x89PNG'; do
        printf '#!/bin/sh\nprintf "%%s" "%s"\n' "$half" >bin/gnuplot
        chmod +x bin/gnuplot
        for kind in svg png txt; do
            [ "$kind" = txt ] && [ "$half" ] && continue # any letters are a picture in letters
            with_only "${VLOCK_SERVER:-redis-server}" -- -n 100 --plot "out.$kind" \
                "$TOP/lua/backoff/none.lua"
            [ "$status" -eq 1 ]
            [[ $stderr == *"vlockrun: gnuplot failed: it drew no whole picture; it says nothing"* ]]
            [[ $stderr != *wrote* ]]
            [ ! -e "out.$kind" ]
        done
    done
}

@test "an ending that names no kind of picture is refused before the run" {
    for bad in out.jpg out .svg/out out.svgz; do
        lab -n 100 --plot "$bad" "$TOP/lua/backoff/none.lua"
        [ "$status" -eq 2 ]
        [[ $stderr == *"--plot $bad: "*".svg, .png or .txt"* ]]
        [[ $stderr != *"private empty server"* ]]
    done
}

@test "a file that cannot be written is refused before the run, and what stands in others is kept" {
    echo mine >kept.svg
    mkdir folder.svg
    for option in "--report missing/out.html" "--hgrm missing/out.hgrm" "--report folder.svg"; do
        lab -n 100 --plot kept.svg $option "$TOP/lua/backoff/none.lua"
        [ "$status" -eq 2 ]
        [[ $stderr == *"${option%% *}: cannot write ${option##* }"* ]]
        [[ $stderr != *"private empty server"* ]]
    done
    lab -n 100 --plot missing/out.svg "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 2 ]
    [[ $stderr == *"--plot: cannot write missing/out.svg"* ]]
    [ "$(cat kept.svg)" = mine ]
    lab -n 100 --plot out.svg --report out.svg "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 2 ]
    [[ $stderr == *"--report: out.svg is what --plot is to write"* ]]
    [ ! -e out.svg ]
}

@test "a disk that is full loses no result" {
    [ -w /dev/full ] || skip "there is no /dev/full here"
    lab -n 100 --report /dev/full --hgrm out.hgrm "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 1 ]
    [[ $output == *"commits      100 in "* ]]
    [[ $stderr == *"cannot write /dev/full: No space left on device"* ]]
    [ -s out.hgrm ]
    lab -n 3 --hgrm /dev/full "$TOP/lua/backoff/none.lua" # so little that only closing it tells
    [ "$status" -eq 1 ]
    [[ $stderr == *"cannot write /dev/full: No space left on device"* ]]
}

@test "--hgrm holds the percentiles of the run in HdrHistogram's columns" {
    lab --json -n 5k --hgrm out.hgrm "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    check "$output" <<'END'
result, lines = json.loads(words[0]), read("out.hgrm").splitlines()
assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"] and lines[1] == ""
rows = [[float(cell) for cell in line.split()] for line in lines[2:] if not line.startswith("#")]
assert len(rows) > 50 and all(len(row) == 4 for row in rows)
for a, b in zip(rows, rows[1:]):
    assert a[0] <= b[0] and a[1] < b[1] and a[2] <= b[2] and a[3] < b[3], (a, b)
for value, part, count, inverse in rows[:-1]:
    assert abs(inverse * (1 - part) - 1) < 0.01 and count >= part * 5000 - 1e-6, (part, count, inverse)
assert rows[0][1] == 0 and rows[-1][1] == 1 and rows[-1][2] == 5000 == result["commits"]
def near(a, b):
    return abs(a / b - 1) < 0.005
latency, at = result["latency_ms"], {row[1]: row[0] for row in rows}
assert near(at[0.5], latency["p50"]) and near(at[0.9], latency["p90"]) and near(rows[-1][0], latency["max"]), at
below, above = max(part for part in at if part <= 0.99), min(part for part in at if part >= 0.99)
assert at[below] <= latency["p99"] <= at[above]
def named(name):
    return float(re.search(r"[\[ ]%s *= *([\d.]+)" % name, "\n".join(lines)).group(1))
assert near(named("Mean"), latency["mean"]) and near(named("Max"), latency["max"]) and named("Total count") == 5000
assert named("StdDeviation") > 0 and named("Buckets") == 40 and named("SubBuckets") == 256
assert lines[-1].startswith("# Unit: milliseconds. full_jitter")
END
}

@test "--hgrm of several policies and values is a file each, of all its runs" {
    lab compare --json -n 200 --runs 2 --sweep workers=1,5 --hgrm 'my lat.hgrm' none \
        full_jitter@watch
    [ "$status" -eq 0 ]
    for name in none full_jitter@watch; do
        for workers in 1 5; do
            grep -q 'Total count    =          400]' "my lat.$name.workers=$workers.hgrm"
        done
    done
    mkdir a b
    cp "$TOP/lua/backoff/none.lua" a/x:y.lua
    cp "$TOP/lua/backoff/fixed.lua" b/x_y.lua
    lab compare -n 100 --runs 1 --hgrm lat a/x:y.lua b/x_y.lua
    [ "$status" -eq 0 ]
    grep -q 'x:y' lat.x_y
    grep -q 'x_y' lat.x_y.2
}

@test "the page stands alone: well formed, no script, nothing fetched, safe from what policies are called" {
    mkdir "<script>alert('x')<"
    name="<script>alert('x')</script>&amp;\" onload=\"x.lua"
    cp "$TOP/lua/backoff/none.lua" "$name"
    lab compare -n 300 --runs 2 --report out.html "$name" fixed
    [ "$status" -eq 0 ]
    check <<'END'
page, source = Page("out.html"), read("out.html")
assert not re.search(r"//[a-z]|https?:", source.replace("unix:///", "")), re.search(r".{20}(//[a-z]|https?:).{20}", source)
for tag, name, value in page.attributes:
    assert tag not in ("script", "img", "iframe", "object", "embed", "base") and not name.startswith("on"), (tag, name)
    assert name not in ("src", "srcset", "action", "xlink:href"), (tag, name)
    assert name != "href" or value.startswith(("#", "data:")), (tag, value)
assert not re.search(r"url\((?!['\"]?(#|data:))|@import", source)
svgs = re.findall(r"<svg.*?</svg>", source, re.S)
assert len(svgs) == 4
for svg in svgs:
    assert "viewBox" in xml.fromstring(svg).keys() and "width" not in xml.fromstring(svg).keys()
ids = [value for _, name, value in page.attributes if name == "id"]
assert len(ids) == len(set(ids)), "a name stands there twice"
assert {value[1:] for _, name, value in page.attributes if name == "href" and value[0] == "#"} <= set(ids)
assert "prefers-color-scheme: dark" in source and 'name="viewport"' in source
assert 'script>&amp;" onload="x' in page.text() and "<script>alert('" in page.text()
END
}

@test "the figures of the page are those of the JSON" {
    lab compare --json -n 400 --runs 3 -w 8 --seed 5 --report out.html full_jitter none@watch
    [ "$status" -eq 0 ]
    check "$output" <<'END'
document, page = json.loads(words[0]), Page("out.html")
assert [name for name, _ in page.entries] == [run["label"] for run in document["runs"]]
compared = {"commits_per_second", "attempts_per_commit", "commands_per_commit", "latency_ms.p50", "latency_ms.p99", "fairness.jain"}
for (_, row), run in zip(page.entries, document["runs"]):
    assert set(row) == compared
    for path, (value, shown) in row.items():
        assert json.loads(value) == field(run, path), (path, value)
    assert row["commits_per_second"][1].split(" ")[0].replace(",", "") == "%.0f" % run["commits_per_second"]
    assert row["attempts_per_commit"][1] == "%.2f" % run["attempts_per_commit"]
assert [name for name, _ in page.runs] == ["full_jitter"] * 3 + ["none@watch"] * 3
for i, run in enumerate(document["runs"]):
    rows = [row for _, row in page.runs[3 * i:3 * i + 3]]
    assert [int(row["seed"][0]) for row in rows] == [5, 6, 7]
    assert all(row["verified"] == ["true", "yes"] and row["commits"] == ["400", "400"] for row in rows)
    for path, stat in [("attempts", "attempts"), ("latency_ms.p99", "p99"), ("fairness.jain", "jain"), ("seconds", "seconds")]:
        assert [float(row[path][0]) for row in rows] == run["stats"][stat]["values"], path
END
    lab --json -n 400 --report out.html "$TOP/lua/backoff/none.lua"
    check "$output" <<'END'
result, page = json.loads(words[0]), Page("out.html")
assert len(page.runs) == 1 and not page.entries
counted = {name for name, value in result.items() if type(value) in (int, bool)} - {"interrupted", "starved", "calls"}
counted -= {"attempts_per_commit", "commands_per_commit", "commits_per_second", "seconds"} # may be whole
assert counted | {"verified", "latency_ms.p999", "fairness.min"} <= set(page.runs[0][1]), counted - set(page.runs[0][1])
for path, (value, shown) in page.runs[0][1].items():
    expected = field(result, path)
    assert json.loads(value) == expected, (path, value)
END
}

@test "the page tells how to measure it again: command, seed, versions, never a password" {
    start_server s --requirepass 'pa:s3@cret'
    lab --json -n 50 --seed 77 -p cap=9ms -u "unix://:pa:s3@cret@$scratch/s.sock" --report \
        out.html "$TOP/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    [[ $output == *'unix://:***@/'* && $output != *s3* && $output != *cret@* ]]
    check "$("$vlockrun" --version)" "$(cli -a 'pa:s3@cret' --no-auth-warning INFO server)" "$TOP" \
        <<'END'
text, source = Page("out.html").text(), read("out.html")
assert "s3" not in source and "cret@" not in source
assert "vlockrun --json --commits 50 --seed 77 --param cap=9ms --url 'unix://:***@" in text
assert "--report out.html " + words[2] + "/lua/backoff/full_jitter.lua" in text
version, libraries = re.match(r"vlockrun (\S+) \((.*)\)", words[0]).groups()
server = (re.search(r"valkey_version:(\S+)", words[1]) or re.search(r"redis_version:(\S+)", words[1])).group(1)
assert version in text and libraries in text and server in text
assert re.search(r"seed\s*77\s*date\s*20\d\d-\d\d-\d\d \d\d:\d\d", text), text
END
}

@test "--json with all three prints exactly one document" {
    lab compare --json -n 100 --runs 1 --plot out.txt --report out.html --hgrm out.hgrm none fixed
    [ "$status" -eq 0 ]
    check "$output" <<'END'
assert len(json.loads(words[0])["runs"]) == 2
END
    for file in out.txt out.html out.none.hgrm out.fixed.hgrm; do
        [ -s "$file" ]
        [[ $stderr == *"vlockrun: wrote $file"* ]]
    done
}

@test "where nothing was committed the picture says so, the others are written" {
    lab -n 0 --plot out.svg --report out.html --hgrm out.hgrm "$TOP/lua/backoff/none.lua"
    [ "$status" -eq 1 ]
    [[ $stderr == *"nothing was committed: there is nothing to draw"* ]]
    grep -q 'Total count    =            0]' out.hgrm
    check <<'END'
assert "None: nothing was committed." in Page("out.html").text()
END
}

@test "a script that is no policy is told that nothing was written" {
    lab --plot out.svg -e 'return 1'
    [ "$status" -eq 0 ]
    [[ $stderr == *"--plot is for policies under contention"* ]]
    [ ! -e out.svg ]
}
