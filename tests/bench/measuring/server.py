"""A private server for a benchmark, gone when the benchmark is, and a client for it that needs no
library."""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

IN_FLIGHT = 1000


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Client:
    """A connection. An error of the server is returned as it stands on the wire, as bytes that
    begin with "-"."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def reply(self):
        line = self.file.readline()[:-2]
        if line[:1] == b"$":
            size = int(line[1:])
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if line[:1] == b"*":
            return [self.reply() for _ in range(int(line[1:]))]
        return line

    def call(self, *words):
        self.socket.sendall(encode(words))
        return self.reply()

    def replies(self, commands):
        """Those to commands that are encoded already, a window of them in flight."""
        for start in range(0, len(commands), IN_FLIGHT):
            batch = commands[start : start + IN_FLIGHT]
            self.socket.sendall(b"".join(batch))
            for _ in batch:
                yield self.reply()


def dies_with_us():
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def interrupted(*_):
    sys.exit(130)


class Server:
    """with Server() as server: an empty one, without persistence, on a Unix socket. VLOCK_SERVER:
    another program."""

    def __enter__(self):
        signal.signal(signal.SIGTERM, interrupted)
        signal.signal(signal.SIGINT, interrupted)
        self.folder = tempfile.mkdtemp(prefix="vlock-bench.")
        self.path = os.path.join(self.folder, "socket")
        self.url = "unix://" + self.path
        self.process = None
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        program = os.environ.get("VLOCK_SERVER", "redis-server")
        self.process = subprocess.Popen(
            [
                program,
                "--port",
                "0",
                "--unixsocket",
                self.path,
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                self.folder,
                "--maxclients",
                "10000",
            ],
            stdout=subprocess.DEVNULL,
            preexec_fn=dies_with_us,
        )
        until = time.monotonic() + 10
        while True:
            try:
                self.client = Client(self.path)
                return
            except (FileNotFoundError, ConnectionRefusedError):  # its socket is there first
                if self.process.poll() is not None or time.monotonic() > until:
                    sys.exit("%s does not start" % program)
                time.sleep(0.01)

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def info(self, section):
        return dict(re.findall(r"(\w+):([^\r\n]*)", self.client.call("INFO", section).decode()))

    def name(self):
        about = self.info("server")
        return (
            "Valkey " + about["valkey_version"]
            if "valkey_version" in about
            else "Redis " + about["redis_version"]
        )

    def empty(self):
        self.client.call("FLUSHALL")

    def cpu_seconds(self):
        used = self.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
