#!/usr/bin/env bats
# The help, the man pages and the completions: all from one table.

load environment

# fields KIND FIELD: of the table, as help --json tells it.
fields() {
    "$vlockrun" help --json | python3 -c 'import json, sys
for entry in json.load(sys.stdin)[sys.argv[1]]: print(entry[sys.argv[2]])' "$1" "$2"
}

# The files that `make manual` writes; what is there already is left as it is.
manual() {
    make -s -C "$TOP" build/manual/vlockrun.1 >/dev/null
    echo "$TOP/build/manual"
}

@test "help tells of everything, of a verb, of an option" {
    [ "$("$vlockrun" help)" = "$("$vlockrun" --help)" ]
    [ "$("$vlockrun" help)" = "$("$vlockrun" -h)" ]
    for verb in $(fields verbs name); do
        run -0 "$vlockrun" help "$verb"
        [[ $output == "vlockrun "*"$verb"*" - "* ]]
        [ "$verb" = help ] || run -0 "$vlockrun" "$verb" --help
        [[ $output == *vlockrun* ]]
    done
    [ "$("$vlockrun" compare --help)" = "$("$vlockrun" help compare)" ]
    [[ $("$vlockrun" help compare) == *--workers* ]]
    [[ $("$vlockrun" help compare) != *--eval* ]]
    for option in workers --workers -w; do
        run -0 "$vlockrun" help "$option"
        [[ $output == "  -w, --workers N "*"clients that update"* ]]
    done
    run -2 "$vlockrun" help worker
    [[ $output == *"no help about 'worker': did you mean workers?"* ]]
    run -2 "$vlockrun" help compare verify
    [[ $output == *"help takes one verb or option"* ]]
}

@test "no line of the help is wider than 100 columns" {
    for topic in "" $(fields verbs name); do
        # shellcheck disable=SC2086 # none, or one
        no grep -E '.{101}' <<<"$("$vlockrun" help $topic | tail -n +9)"
    done
}

@test "every option stands in the help, the man page and the completions" {
    folder=$(manual)
    [ "$(fields options name | wc -l)" -ge 30 ]
    fields options name | while read -r option; do
        grep -qE -- "--$option( |$|\[=)" <<<"$("$vlockrun" help)"
        grep -qF -- "--${option}" <<<"$(sed 's/\\-/-/g' "$folder/vlockrun.1")"
        grep -q -- "--$option" "$folder/vlockrun.bash"
        grep -q -- "--$option" "$folder/_vlockrun"
        grep -q -- "-l $option " "$folder/vlockrun.fish"
    done
    fields verbs name | while read -r verb; do
        grep -q "$verb" "$folder/vlockrun.1"
        grep -q "$verb:" "$folder/_vlockrun"
        grep -q -- "-a $verb " "$folder/vlockrun.fish"
    done
}

@test "the lab's README has the options as the help has them" {
    "$vlockrun" help | sed -n '/^What to run:/,/^Options end/p' | sed '$d' | grep . >help
    sed -n 's/^    //p' "$TOP/lua/vlock/lab/README.md" \
        | sed -n '/^What to run:/,/--version/p' >readme
    [ "$(wc -l <help)" -gt 40 ]
    diff readme help
}

@test "the man pages are well formed, and vlock(3) has every public function" {
    folder=$(manual)
    no grep -rE '@[A-Z]+@' "$folder"
    for function in $(grep -oE '\bvlock_[a-z_]+\(' "$TOP/src/vlock.h" | tr -d '(' | sort -u); do
        case $function in vlock_reply_callback | vlock_update_callback) continue ;; esac
        grep -q "^VLOCK_API.*\b$function(" "$TOP/src/vlock.h" || continue
        grep -q "$function(" "$folder/vlock.3" || { echo "$function"; return 1; }
    done
    command -v man >/dev/null || skip "man is not installed"
    for page in vlockrun.1 vlock.3 vlock-policy.5; do
        run --separate-stderr man --warnings -l -P cat "$folder/$page"
        echo "$page: $stderr"
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [ "${#lines[@]}" -gt 20 ]
    done
}

@test "bash completes options, verbs, policies and files" {
    folder=$(manual)
    touch mine.lua
    cat >asked.bash <<'.'
PATH=$(dirname "$2"):$PATH
. "$1/vlockrun.bash"
complete_words() {
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _vlockrun
    echo "${COMPREPLY[@]}"
}
complete_words vlockrun --wor
complete_words vlockrun comp
complete_words vlockrun compare full
complete_words vlockrun min
complete_words vlockrun --report mi
complete_words vlockrun --store w
complete_words vlockrun --workers ""
.
    run -0 bash asked.bash "$folder" "$vlockrun"
    echo "$output"
    [ "$output" = $'--workers\ncompare\nfull_jitter\nmin mine.lua\nmine.lua\nwatch' ]
}

@test "zsh and fish read their completions" {
    folder=$(manual)
    command -v zsh >/dev/null || command -v fish >/dev/null || skip "neither is installed"
    if command -v zsh >/dev/null; then zsh -n "$folder/_vlockrun"; fi
    if command -v fish >/dev/null; then fish -n "$folder/vlockrun.fish"; fi
}
