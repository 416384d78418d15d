#!/usr/bin/env bats
# Connections that end or fall silent while nobody looks at them.

load ../cli/environment

@test "a connection that the server closed while the program was elsewhere is noticed before anything is written" {
    port=$(python3 -c \
        'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    start_server s --timeout 1 --port "$port"
    # The pause is the program's own: no loop turns meanwhile.
    run "$vlockrun" -u "redis://127.0.0.1:$port" -e '
        local results = {}
        for i = 1, 2 do
          results[#results + 1] = (vlock.update("n", function(v) return (v or 0) + 1 end))
          os.execute("sleep 3")
        end
        results[#results + 1] = redis.call("GET", "n")
        return results'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(echo "$output" | xargs)" = "1 2 2" ]
}

@test "replies that have arrived count, however long the program was elsewhere" {
    cat >own.c <<'END'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vlock.h"
int main(int count, char **words)
{
    struct vlock_error error = {.message = ""};
    const char *source = "local replies = redis.pipeline { { 'INCR', 'n' }, { 'GET', 'big' } } assert(replies[1] == 1 and #replies[2] == 150000)";
    vlock_engine *engine = vlock_open(&(struct vlock_options){.url = words[1], .command_timeout = 0.2}, &error);
    if (vlock_run_string(engine, "redis.call('SET', 'big', ('x'):rep(150000))", 43, "=s", NULL, NULL, NULL, &error) != 0)
        return puts(error.message), 1;
    if (vlock_start(engine, source, strlen(source), "=s", NULL, NULL, NULL, &error) != 0)
        return 1;
    int result = 1;
    kill(atoi(words[count - 1]), SIGSTOP);
    for (int i = 0; i < 5 && result == 1; i++)
        result = vlock_step(engine, &error); /* sends */
    kill(atoi(words[count - 1]), SIGCONT);
    usleep(400000);
    while (result == 1)
        result = vlock_step(engine, &error);
    puts(result == 0 ? "fine" : error.message);
    vlock_close(engine);
    return result != 0;
}
END
    start_server s
    build_c own
    run ./own "$url" "$server"
    echo "$output"
    [ "$output" = fine ]
}

@test "a connection that stays silent through a time-out is given up and made anew" {
    start_server s
    cat >script.lua <<'END'
local before = redis.call("CLIENT", "ID")
redis.call("CLIENT", "NO-EVICT", "on")
os.execute("kill -STOP " .. ARGV[1])
local first = redis.pcall("INCR", "n")
os.execute("kill -CONT " .. ARGV[1])
local after = redis.call("CLIENT", "ID")
return { first.outcome, after > before and "another connection" or "the same" }
END
    run --separate-stderr "$vlockrun" --timeout 30s -u "$url" script.lua , "$server"
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    [ "$(echo "$output" | xargs)" = "unknown another connection" ]
}

@test "a Unix socket whose queue is full is tried again" {
    cat >full.py <<'END'
import socket, threading, time
def answer(client):
    asked = client.recv(1000)
    client.sendall(b"$16\r\n" + asked.split(b"\r\n")[4] + b"\r\n")
    client.recv(1000)
    client.sendall(b"+PONG\r\n")
server = socket.socket(socket.AF_UNIX)
server.bind("q.sock")
server.listen(1)
others = [socket.socket(socket.AF_UNIX) for _ in range(2)]
for one in others:
    one.connect("q.sock")
open("ready", "w").close()
time.sleep(0.5)
while True:
    client, _ = server.accept()
    threading.Thread(target=lambda c=client: answer(c), daemon=True).start()
END
    python3 full.py 3>&- &
    servers+=($!)
    for _ in $(seq 100); do [ -e ready ] && break; sleep 0.02; done
    run "$vlockrun" -u "unix://$PWD/q.sock" -e 'return redis.call("PING")'
    echo "$output"
    [ "$output" = PONG ]
}
