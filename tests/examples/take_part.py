"""A client in another language that takes part safely: increments a counter beside vlock, by the wire
contract of lua/README.md.

usage: take_part.py SOCKET KEY UPDATES
"""
import os
import random
import sys
import time

import redis


def version_key(key):
    start = key.find("{")
    end = key.find("}", start + 1) if start >= 0 else -1
    return key + ":v" if end > start + 1 else "{" + key + "}:v"


class Client:
    def __init__(self, connection, folder):
        self.redis = connection
        self.cas = connection.register_script(open(os.path.join(folder, "cas.lua")).read())
        self.read = connection.register_script(open(os.path.join(folder, "read.lua")).read())
        self.writer = os.urandom(8).hex()
        self.sequence = 0

    def write(self, keys, args):
        """The reply to a write; where one is lost, to the same write sent again: it says what became of it."""
        started = time.monotonic()
        try:
            return self.cas(keys=keys, args=args)
        except redis.ConnectionError:
            pass
        while time.monotonic() - started < 60:
            try:
                reply = self.cas(keys=keys, args=args + ["AGAIN"])
            except redis.ConnectionError:
                time.sleep(0.05)
                continue
            if isinstance(reply, bytes) or reply[0] == -1 and time.monotonic() - started < 60:
                return reply
            raise RuntimeError("the server cannot tell any more what became of it: %r" % reply)
        raise RuntimeError("nobody knows what became of the write: the server was away for too long")

    def update(self, key, compute):
        keys = [key, version_key(key)]
        value, version, stamp = self.read(keys=keys)
        attempt = 0
        while True:
            self.sequence += 1
            token = "%s.%d" % (self.writer, self.sequence)
            reply = self.write(keys, [compute(value), version + 1, 0, token, stamp, "RECEIPT", 60000])
            if isinstance(reply, bytes):  # "OK STAMP": committed; the stamp ends with our token
                if not (reply.startswith(b"OK ") and reply.endswith(token.encode())):
                    raise RuntimeError("a reply that answers another command: %r" % reply)
                return attempt
            if reply[0] != -1 or reply[4] != token.encode():
                raise RuntimeError("a reply that answers another command: %r" % reply)
            attempt += 1
            time.sleep(random.random() * min(0.25, 0.001 * 2**attempt))
            value, version, stamp = self.read(keys=keys)


def main():
    socket, key, updates = sys.argv[1], sys.argv[2], int(sys.argv[3])
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lua")
    client = Client(redis.Redis(unix_socket_path=socket), folder)
    conflicts = sum(client.update(key, lambda value: int(value or 0) + 1) for _ in range(updates))
    print("conflicts", conflicts)


if __name__ == "__main__":
    main()
