# TAP for the checks of the house: each is a command that prints nothing where all is well.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C
tap_count=0
tap_failed=0

# silent NAME COMMAND …: passes if the command succeeds and has nothing to say.
silent() {
    local name=$1 said status=0
    shift
    said=$("$@" 2>&1) || status=$?
    tap_count=$((tap_count + 1))
    if [ "$status" -eq 0 ] && [ -z "$said" ]; then
        echo "ok $tap_count - $name"
        return
    fi
    tap_failed=1
    echo "not ok $tap_count - $name"
    [ "$status" -eq 0 ] || echo "# exit $status"
    printf '%s\n' "$said" | sed 's/^/# /'
}

# skipped NAME REASON
skipped() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

finish() {
    echo "1..$tap_count"
    exit "$tap_failed"
}

# Every text file of the project, a line each: what git knows or would add; all but what is built
# where this is no checkout. The inputs of the fuzz targets are any bytes.
texts() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git -c core.quotePath=false ls-files --cached --others --exclude-standard \
            | while read -r file; do
            [ ! -f "$file" ] || printf '%s\n' "$file"
        done
    else
        find . -type f ! -path './build/*' ! -path './.git/*' ! -path ./vlockrun | sed 's|^\./||'
    fi | grep -vE '\.(png|svg|inc)$|^tests/fuzz/corpus/'
}

# shell_files: those that a shell runs, told by their first line or their name.
shell_files() {
    # What bats runs it reads itself.
    texts | grep -vE '\.bats$|^tests/cli/' | xargs -d '\n' awk '
        FILENAME ~ /\.bash$/ || FNR == 1 && /^#!.*(\/| )(ba|da)?sh( |$)/ { print FILENAME }
        { nextfile }'
}
