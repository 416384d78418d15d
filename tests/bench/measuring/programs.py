"""The programs that take part: vlockrun and its peers. Each does the same task, verified, on the
same server.

A peer is called with NAME=VALUE words: socket, kind (own: worker i increments bench:i; hot: all
increment bench:0), way (watch or script, as it says itself), workers, connections, share (updates
of each worker), base_us and cap_us (of the pause after a conflict; 0: none). It prints one object
of JSON: attempts, of all workers, and seconds, a list of when each worker had made its share,
counted from a common start at which the connections were there.
"""
import json
import re
import sys
from collections import namedtuple

from measuring.process import ended

# kind: own, each worker increments a key of its own; hot, all increment one, by a connection each.
# Of vlockrun any other kind is many workers on one connection, and of the bare sender "open" is an
# open loop. options: further ones of vlockrun, by their names without the dashes; of them a peer
# knows value-size and rate.
Task = namedtuple("Task", "kind workers options", defaults=[{}])

# What a program says of itself, and what it took.
Run = namedtuple("Run", "commits rate attempts jain said ended")

# Commits a second until the last worker has made its share; attempts per commit; Jain's index over
# the workers' rates until each had made its own; microseconds of processor time per commit, here
# and of the server; bytes at most here.
Result = namedtuple("Result", "rate attempts jain cpu_us server_us peak")


def jain(rates):
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))


def hot_window_us(result):
    """W, the mean time from a worker's read to its write, both at the server: X commits a second by
    others in W make an attempt succeed with a probability of 1/w = 1 - X W."""
    return (1 - 1 / result.attempts) / result.rate * 1e6


class Vlock:
    """vlockrun with a policy; the lab verifies that the commits form one chain, and what stands at
    its end."""

    def __init__(self, name="vlock", policy="full_jitter", *options):
        self.name, self.policy, self.more = name, policy, options

    def connections(self, task):
        return task.workers if task.kind == "hot" else 1

    def run(self, server, task, share):
        words = ["./vlockrun", "--json", "-u", server.url]
        words += ["-w", task.workers, "-c", self.connections(task)]
        if task.kind == "own":
            words += ["-k", task.workers, "--dist", "own"]
        if "duration" not in task.options:
            words += ["--per-worker", share]
        for name, value in task.options.items():
            words += ["--" + name] + ([] if value is True else [value])
        done = ended([str(word) for word in [*words, *self.more, self.policy]])
        said = json.loads(done.output)
        if said["verified"] is not True or said["lost_updates"] or said["duplicated"]:
            sys.exit("%s: not verified: %s" % (self.name, done.output))
        if "duration" not in task.options and said["commits"] != task.workers * share:
            sys.exit("%s: %d commits of %d" % (self.name, said["commits"], task.workers * share))
        rate, attempts = said["commits_per_second"], said["attempts_per_commit"]
        return Run(said["commits"], rate, attempts, said["fairness"]["jain"], said, done)


class Peer:
    """Another client, by its program under tests/bench/peers. way: how it locks, as its program
    says. backoff: base and cap of a full jitter, in microseconds; none: it tries again at once.
    more: further settings, which it alone knows."""

    def __init__(self, name, command, way="script", backoff=None, shared=None, more=None):
        self.name, self.command, self.way, self.more = name, command, way, more or {}
        self.backoff, self.shared = backoff, shared

    def connections(self, task):
        """A hot key's workers have one each; others share so many, where the client can."""
        if task.kind == "hot" or not self.shared:
            return task.workers
        return min(self.shared, task.workers)

    def run(self, server, task, share):
        base_us, cap_us = self.backoff or (0, 0)
        settings = {
            "socket": server.path,
            "kind": task.kind,
            "way": self.way,
            "workers": task.workers,
            "connections": self.connections(task),
            "share": share,
            "base_us": base_us,
            "cap_us": cap_us,
            **self.more,
        }
        if "value-size" in task.options:
            settings["size"] = task.options["value-size"]
        if "rate" in task.options:
            settings["rate"] = task.options["rate"]
        done = ended(self.command + ["%s=%s" % pair for pair in settings.items()])
        said = json.loads(done.output)
        self.verify(server, task, share)
        commits, seconds = task.workers * share, said["seconds"]
        rate, attempts = commits / max(seconds), said["attempts"] / commits
        return Run(commits, rate, attempts, jain([1 / time for time in seconds]), said, done)

    def verify(self, server, task, share):
        """What stands on the server, read by a client of our own, must be what the workers were
        told to make."""
        is_sum = task.kind != "own"  # in an open loop any worker takes any update
        wanted = task.workers * share if is_sum else share
        keys = 1 if task.kind == "hot" else task.workers
        found = []
        for start in range(0, keys, 100):
            found += server.client.call(
                "MGET", *["bench:%d" % key for key in range(start, min(start + 100, keys))]
            )
        found = [int(re.match(rb"\d*", value or b"").group() or 0) for value in found]
        for value in [sum(found)] if is_sum else found:
            if value != wanted:
                sys.exit(
                    "%s: LOST UPDATE: %d increments were reported, the value is %d"
                    % (self.name, wanted, value)
                )


def measured(program, server, task, share):
    """One run on an empty server, verified."""
    server.empty()
    before = server.cpu_seconds()
    run = program.run(server, task, share)
    cpu_us = run.ended.cpu_seconds / run.commits * 1e6
    server_us = (server.cpu_seconds() - before) / run.commits * 1e6
    return Result(run.rate, run.attempts, run.jain, cpu_us, server_us, run.ended.peak_bytes)
