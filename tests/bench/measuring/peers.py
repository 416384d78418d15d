"""What users would use instead: which of it is here, how it is built, and how it is installed.

Not to be had from Debian or npm, and so not here: go-redis 9 and rueidis, whose Go modules need
Go's own proxy, and a newer Go than Debian 12 has.
"""
import os
import subprocess
import sys
from collections import namedtuple

from measuring.machine import said_by
from measuring.process import BUILT, TOP, compiled, is_older
from measuring.programs import Peer

SOURCES = os.path.join(TOP, "tests", "bench", "peers")
GO_LIBRARIES = "/usr/share/gocode"
NODE_FOLDER = os.path.join(BUILT, "node")
NODE_REDIS = os.path.join(NODE_FOLDER, "node_modules", "redis")

# The jitter that a loop of one's own is given where no other is asked
# for: base and cap, in microseconds.
JITTER = (50, 20000)

# A client: signs, commands and files, that it is installed; how its program is called; its version.
Client = namedtuple("Client", "signs command version")


def package_version(*names):
    return said_by("dpkg-query", "-W", "-f", "${Version}", *names)


def go_program(name):
    sources = [source(name + ".go"), source("crowd.go")]
    made = os.path.join(BUILT, name)
    if any(is_older(made, one) for one in sources):
        os.makedirs(BUILT, exist_ok=True)
        settings = {"GO111MODULE": "off", "GOPATH": GO_LIBRARIES, "GOFLAGS": ""}
        settings["GOCACHE"] = os.path.join(BUILT, "go-cache")
        build = ["go", "build", "-o", made, *sources]
        subprocess.run(build, env={**os.environ, **settings}, check=True)
    return [made]


def source(name):
    return os.path.join(SOURCES, name)


CLIENTS = {
    "redigo": Client(
        ["go", GO_LIBRARIES + "/src/github.com/gomodule/redigo/redis"],
        lambda: go_program("redigo"),
        lambda: package_version("golang-github-gomodule-redigo-dev")
        + ", "
        + said_by("go", "version").split()[2],
    ),
    "go-redis": Client(
        ["go", GO_LIBRARIES + "/src/gopkg.in/redis.v5"],
        lambda: go_program("go_redis"),
        lambda: package_version("golang-gopkg-redis.v5-dev"),
    ),
    "redis-py": Client(
        ["/usr/lib/python3/dist-packages/redis"],
        lambda: ["/usr/bin/python3", source("redis_py.py")],
        lambda: package_version("python3-redis") + ", " + said_by("/usr/bin/python3", "-V"),
    ),
    "node-redis": Client(
        ["node", NODE_REDIS],
        lambda: ["node", source("node_redis.js")],
        lambda: said_by("node", "-p", "require('%s/package.json').version" % NODE_REDIS)
        + ", Node "
        + said_by("node", "-v"),
    ),
    "redis-lua": Client(
        ["lua5.1", "/usr/share/lua/5.1/redis.lua", "/usr/share/lua/5.1/socket.lua"],
        lambda: ["lua5.1", source("redis_lua.lua")],
        lambda: package_version("lua-redis"),
    ),
}


def is_there(sign):
    if sign.startswith("/"):
        return os.path.exists(sign)
    return any(
        os.access(os.path.join(folder, sign), os.X_OK)
        for folder in os.environ["PATH"].split(os.pathsep)
    )


def what_is_missing(name):
    return [sign for sign in CLIENTS[name].signs if not is_there(sign)]


def described():
    """A line for each: its version, or that it is not here."""
    for name, client in CLIENTS.items():
        missing = what_is_missing(name)
        yield "%s: %s" % (
            name,
            "skipped, there is no " + " and no ".join(missing) + " (make bench PEERS=install)"
            if missing
            else client.version(),
        )


def install():
    """Each by itself, so that one that cannot be had keeps away no other."""
    for name in CLIENTS:
        if subprocess.run(["scripts/deps", name], cwd=TOP).returncode != 0:
            print("%s: not all of it could be installed" % name, file=sys.stderr)
    if what_is_missing("node-redis") == [NODE_REDIS]:
        os.makedirs(NODE_FOLDER, exist_ok=True)
        subprocess.run(
            [
                "npm",
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--prefix",
                NODE_FOLDER,
                "redis@5",
            ],
            cwd=NODE_FOLDER,
        )


def bare(**settings):
    """The bare sender in C, on one connection unless the key is hot. It needs no client that we do
    not have ourselves."""
    return Peer("bare C sender", [compiled(source("bare.c"), "hiredis")], shared=1, **settings)


def peer(name, client, **settings):
    """A list of one program, or, where the client is not installed, of none. settings: as Peer has
    them."""
    return [] if what_is_missing(client) else [Peer(name, CLIENTS[client].command(), **settings)]
