"""redis-py: https://github.com/redis/redis-py. way=watch: Redis.transaction(), which tries again at
once, by a thread for each worker; the client's pool gives each transaction a connection of its own.
Settings and what is printed: see ../measuring/programs.py.
"""
import json
import sys
import threading
import time

import redis

settings = dict(word.split("=", 1) for word in sys.argv[1:])
workers, share = int(settings["workers"]), int(settings["share"])
client = redis.Redis(unix_socket_path=settings["socket"])
client.ping()
ready, attempts, seconds = threading.Barrier(workers + 1), [0] * workers, [0.0] * workers
started = None


def work(number):
    key = "bench:%d" % (0 if settings["kind"] == "hot" else number)

    def increment(pipe):
        attempts[number] += 1
        value = int(pipe.get(key) or 0)
        pipe.multi()
        pipe.set(key, value + 1)

    ready.wait()
    for _ in range(share):
        client.transaction(increment, key)
    seconds[number] = time.monotonic() - started


threads = [threading.Thread(target=work, args=[number]) for number in range(workers)]
for thread in threads:
    thread.start()
started = time.monotonic()
ready.wait()
for thread in threads:
    thread.join()
print(json.dumps({"attempts": sum(attempts), "seconds": seconds}))
