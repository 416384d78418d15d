"""redis-py's RedisCluster: increments of one key by the core script, as clients without tokens do
it: read value and version in one step, send both plus one, read again where they have moved. An
exception is an update that failed, as its caller would be told; then the next one.

port=, key=, version_key=, script=FILE, read=FILE, workers=, seconds=; prints what it was told.
"""
import json
import sys
import threading
import time

from redis.cluster import RedisCluster

settings = dict(word.split("=", 1) for word in sys.argv[1:])
client = RedisCluster(host="127.0.0.1", port=int(settings["port"]), socket_timeout=1)
with open(settings["script"]) as file:
    script = file.read()
with open(settings["read"]) as file:
    read = file.read()
key, version_key = settings["key"], settings["version_key"]
deadline = time.monotonic() + float(settings["seconds"])
told = {"committed": 0, "failed": 0}
lock = threading.Lock()


def increment():
    while True:
        value, version, _ = client.eval(read, 2, key, version_key)
        reply = client.eval(script, 2, key, version_key, int(value or 0) + 1, int(version) + 1)
        if reply == b"OK":
            return


def work():
    while time.monotonic() < deadline:
        try:
            increment()
            outcome = "committed"
        except Exception:  # whatever it is, the update was not reported as made
            outcome = "failed"
            time.sleep(0.05)
        with lock:
            told[outcome] += 1


threads = [threading.Thread(target=work) for _ in range(int(settings["workers"]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(told))
