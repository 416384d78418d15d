"""The machine, and the versions of what runs on it."""
import os
import platform
import re
import subprocess

from measuring.process import TOP
from measuring.server import Server


def said_by(*command):
    return subprocess.run(
        command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout.strip()


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*: (.*)", file.read(), re.M)
    return found.group(1) if found else platform.machine()


def system():
    with open("/etc/os-release", encoding="utf-8") as file:
        found = re.search(r'^PRETTY_NAME="?([^"\n]*)', file.read(), re.M)
    return found.group(1) if found else "Linux"


def described():
    with Server() as server:
        name = server.name()
    return "%d cores (%s), Linux %s, %s; %s on a Unix socket; %s; load %.1f when it began" % (
        os.cpu_count(),
        processor(),
        platform.release(),
        system(),
        name,
        said_by("./vlockrun", "-V"),
        os.getloadavg()[0],
    )
