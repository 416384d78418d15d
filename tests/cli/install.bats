#!/usr/bin/env bats
# What `make` makes again, what `make install` brings and `make uninstall` takes away, and that it
# works away from the checkout.

load environment

# copy_checkout [--built]: builds in a copy of the checkout: the one we stand in is in use by other
# tests. Built: with what was built in that one, so that make has little to do.
copy_checkout() {
    local without=(--exclude=./build --exclude=./vlockrun)
    [ $# -eq 0 ] || without=(--exclude=./build/matrix)
    unset SANITIZER WERROR CFLAGS CPPFLAGS LDFLAGS PREFIX DESTDIR
    mkdir -p "$scratch/checkout"
    tar -C "$TOP" "${without[@]}" --exclude=./.git -cf - . | tar -C "$scratch/checkout" -xf -
    cd "$scratch/checkout"
}

# A compiler that takes no time, in $quick: it finds out what depends on what, and what it makes
# holds the words that it was called with.
write_quick_compiler() {
    quick=$scratch/quick
    cat >"$quick" <<'END'
#!/bin/bash
words=()
for word; do
    case $word in
    -c | -o | *.o) ;;
    *) words+=("$word") ;;
    esac
    [ "$last" != -o ] || output=$word
    last=$word
done
needs=${output%.o}.d # it is found out once
case " $* " in
*" -c "*) [ -e "$needs" ] || cc -E "${words[@]}" -MT "$output" -MF "$needs" >/dev/null || exit 1 ;;
esac
echo "$*" >"$output"
END
    chmod +x "$quick"
}

build() {
    make --no-print-directory -j2 "$@"
}

@test "what is installed works away from the checkout: the command, both libraries, the Lua files" {
    copy_checkout --built
    build install PREFIX="$scratch/prefix"
    cd "$scratch"
    rm -rf checkout
    mkdir empty
    cd empty
    export PKG_CONFIG_PATH=$scratch/prefix/lib/pkgconfig
    run --separate-stderr "$scratch/prefix/bin/vlockrun" --version
    [ "$status" -eq 0 ]
    [[ $output == *"$(pkg-config --modversion vlock)"* ]]
    run --separate-stderr "$scratch/prefix/bin/vlockrun" -n 200 \
        "$scratch/prefix/share/vlock/lua/backoff/full_jitter.lua"
    [ "$status" -eq 0 ]
    # The installed folder is searched.
    cp "$scratch/prefix/share/vlock/lua/backoff/none.lua" \
        "$scratch/prefix/share/vlock/lua/backoff/of_this_house.lua"
    run --separate-stderr "$scratch/prefix/bin/vlockrun" -n 200 -e \
        'return { backoff = "of_this_house" }'
    [ "$status" -eq 0 ]
    cat >program.c <<'END'
#include <stdio.h>
#include <string.h>
#include <vlock.h>
static void show(void *user, const struct vlock_reply *reply)
{
    (void)user;
    printf("%s %lld\n", vlock_version(), reply->integer);
}
int main(void)
{
    struct vlock_error error;
    const char *source = "return vlock.update('k', function(v) return (v or 0) + 1 end) and 41 + tonumber(redis.call('GET', 'k'))";
    vlock_engine *engine = vlock_open(&(struct vlock_options){.private_server = true}, &error);
    int failed = !engine || vlock_run_string(engine, source, strlen(source), "=test", NULL, show, NULL, &error) != 0;
    if (failed)
        fprintf(stderr, "%s\n", error.message);
    vlock_close(engine);
    return failed;
}
END
    # shellcheck disable=SC2046 # flags
    "${CC:-cc}" -Wall -Werror -o shared program.c $(pkg-config --cflags --libs vlock) \
        -Wl,-rpath,"$scratch/prefix/lib"
    readelf -d shared | grep -q 'NEEDED.*libvlock\.so\.0'
    run ./shared
    [ "$output" = "$(pkg-config --modversion vlock) 42" ]
    rm "$scratch/prefix/lib/libvlock.so" "$scratch/prefix/lib/libvlock.so.0"
    # shellcheck disable=SC2046
    "${CC:-cc}" -Wall -Werror -o static program.c $(pkg-config --cflags vlock) $(pkg-config --libs \
        --static vlock)
    run ./static
    [ "$output" = "$(pkg-config --modversion vlock) 42" ]
}

@test "uninstall takes away what install brought, and nothing else" {
    copy_checkout --built
    build install PREFIX=/usr DESTDIR="$scratch/root"
    cd "$scratch/root/usr"
    [ "$(find . ! -type d ! -path './share/*' | sort | tr '\n' ' ')" = "./bin/vlockrun ./include/vlock.h ./include/vlock_error.h \
./include/vlock_reply.h ./lib/libvlock.a ./lib/libvlock.so ./lib/libvlock.so.0 ./lib/lua/5.4/vlock.so ./lib/pkgconfig/vlock.pc " ]
    diff -r --exclude=README.md "$TOP/lua" share/vlock/lua
    grep -qx 'prefix=/usr' lib/pkgconfig/vlock.pc
    no grep -rq "$scratch/root" lib/pkgconfig/vlock.pc bin/vlockrun
    touch share/vlock/lua/backoff/of_the_user.lua bin/other
    cd "$scratch/checkout"
    make --no-print-directory uninstall PREFIX=/usr DESTDIR="$scratch/root"
    cd "$scratch/root/usr"
    [ "$(find . ! -type d | sort | tr '\n' ' ')" = \
        "./bin/other ./share/vlock/lua/backoff/of_the_user.lua " ]
    rm share/vlock/lua/backoff/of_the_user.lua
    cd "$scratch/checkout"
    make --no-print-directory uninstall PREFIX=/usr DESTDIR="$scratch/root"
    [ ! -e "$scratch/root/usr/share/vlock" ]
}

@test "make makes again what a change touches, and only that" {
    copy_checkout
    write_quick_compiler
    build CC="$quick" DESTDIR="$scratch/root" >/dev/null
    no grep -rqF "$scratch/root" build
    [ "$(ls)" = "$( { (cd "$TOP" && ls); echo build; echo vlockrun; } | sort -u)" ]
    compiled() { build CC="$quick" "$@" | grep -o '[a-z_0-9]*\.c$' | sort -u | tr '\n' ' '; }
    [ "$(compiled)" = "" ]
    touch src/base/sha1.c
    [ "$(compiled)" = "sha1.c " ]
    [ "$(compiled PREFIX=/elsewhere)" = "lib_files.c " ]
    [ "$(compiled)" = "lib_files.c " ]
    touch src/base/histogram.h
    [[ "$(compiled)" == *"histogram.c"*"lib_lab.c"* ]]
    grep -q 'backoff/fixed\.lua' build/built_in_lua.c
    rm lua/backoff/fixed.lua
    [ "$(compiled)" = "built_in_lua.c " ]
    no grep -q 'backoff/fixed\.lua' build/built_in_lua.c
    # Other flags: everything; another kind leaves the objects of the first alone.
    [[ "$(compiled CFLAGS=-O1)" == *"buffer.c"*"vlockrun.c"* ]]
    [[ "$(compiled CFLAGS=-O1 SANITIZER=undefined)" == *"buffer.c"*"vlockrun.c"* ]]
    grep -q fsanitize=undefined vlockrun
    grep -q fsanitize=undefined build/quick-undefined/src/base/buffer.o
    [ "$(compiled CFLAGS=-O1)" = "" ]
    no grep -q fsanitize vlockrun
    make --no-print-directory clean
    [ ! -e build ]
    [ ! -e vlockrun ]
}

@test "a library that is missing is named with its package" {
    copy_checkout
    cat >"$scratch/pkg-config" <<'END'
#!/bin/sh
for word in "$@"; do
    for hidden in $HIDDEN; do
        [ "$word" != "$hidden" ] || exit 1
    done
done
exec pkg-config "$@"
END
    chmod +x "$scratch/pkg-config"
    local package hidden
    while read -r package hidden; do
        HIDDEN=$hidden run make PKG_CONFIG="$scratch/pkg-config" all unit-tests
        [ "$status" -ne 0 ]
        [[ $output == *" is missing. Debian and Ubuntu: apt install $package."* ]]
    done <<'END'
libhiredis-dev hiredis
libevent-dev libevent
libssl-dev openssl
liblua5.4-dev lua5.4 lua-5.4 lua54 lua
lua-cjson-dev lua5.4-cjson lua54-cjson lua-cjson
libcmocka-dev cmocka
END
    run make PKG_CONFIG=no-pkg-config
    [[ $output == *"apt install pkg-config"* ]]
    run make PKG_CONFIG=no-pkg-config clean
    [ "$status" -eq 0 ]
}

@test "the shared library shows the public interface and nothing else" {
    shown=$(nm -D --defined-only "$TOP/build/libvlock.so.0" | awk '{ print $3 }' \
        | grep -vE '^(_init|_fini|__asan|__ubsan|__odr_asan)' | sort)
    declared=$(sed -n 's/^VLOCK_API .*[ *]\(vlock_[a-z_]*\)(.*/\1/p' "$TOP"/src/vlock*.h | sort)
    [ "$shown" = "$declared" ]
    # The static one brings no name that could be somebody else's.
    no grep -qE ' U (el|history)_' <<<"$(nm -D "$TOP/build/libvlock.so.0")" # the line editor is the command's alone
    no grep -vE '^(vlock_|__odr_asan)' <<<"$(nm -g --defined-only "$TOP/build/libvlock.a" | awk 'NF == 3 { print $3 }')"
}
