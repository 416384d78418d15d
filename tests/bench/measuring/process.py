"""Programs that a benchmark runs, and what they took."""
import os
import shlex
import subprocess
import sys
import tempfile
from collections import namedtuple

from measuring.server import dies_with_us

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
BUILT = os.path.join(TOP, "build", "peers")
HERE = os.path.dirname(os.path.abspath(__file__))

# Of a program that has ended: what it printed; seconds, seconds of
# processor time, and bytes at most.
Ended = namedtuple("Ended", "output seconds cpu_seconds peak_bytes")


def is_older(made, source):
    return not os.path.exists(made) or os.path.getmtime(made) < os.path.getmtime(source)


def compiled(source, *libraries):
    """The path of a C program, which is built where it is older than its source."""
    made = os.path.join(BUILT, os.path.basename(source)[: -len(".c")])
    if is_older(made, source):
        os.makedirs(BUILT, exist_ok=True)
        flags = []
        if libraries:
            flags = shlex.split(
                subprocess.run(
                    ["pkg-config", "--cflags", "--libs", *libraries],
                    check=True,
                    text=True,
                    stdout=subprocess.PIPE,
                ).stdout
            )
        subprocess.run(
            [
                os.environ.get("CC", "cc"),
                "-std=gnu11",
                "-D_GNU_SOURCE",
                "-O2",
                "-Wall",
                "-Wextra",
                "-o",
                made,
                source,
                *flags,
                "-lm",
            ],
            check=True,
        )
    return made


def ended(command, limit_seconds=300):
    """Runs it at the top of the checkout. A benchmark ends where it fails, with what it said."""
    launch = compiled(os.path.join(HERE, "launch.c"))
    with tempfile.NamedTemporaryFile("r", prefix="vlock-bench.") as took:
        try:
            done = subprocess.run(
                [launch, took.name, *command],
                cwd=TOP,
                text=True,
                timeout=limit_seconds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=dies_with_us,
            )
        except subprocess.TimeoutExpired:
            sys.exit("%s: not done after %d s" % (shlex.join(command), limit_seconds))
        if done.returncode != 0:
            sys.exit(
                "%s\nended with %d: %s%s"
                % (shlex.join(command), done.returncode, done.stdout[-2000:], done.stderr[-2000:])
            )
        seconds, cpu_seconds, peak_bytes = took.read().split()
    return Ended(done.stdout, float(seconds), float(cpu_seconds), int(peak_bytes))
