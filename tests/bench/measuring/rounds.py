"""Rounds in turn, so that a machine's moods meet everybody alike, and their medians."""
import math
import statistics
from collections import namedtuple

from measuring.programs import Result, measured

# The median of a figure, its least and its most.
Spread = namedtuple("Spread", "median least most")


def spread(values):
    return Spread(statistics.median(values), min(values), max(values))


def in_turn(measures, rounds):
    """Calls each of the functions once a round; of each, the list of what it returned. Every second
    round goes backwards, so that none always comes after the same."""
    found = [[] for _ in measures]
    for number in range(rounds):
        order = range(len(measures))
        for i in order if number % 2 == 0 else reversed(order):
            found[i].append(measures[i]())
    return found


def share_of(program, server, task, seconds):
    """How many updates of each worker take so long; found by doing fewer of them, which also warms
    the machine up."""
    least = 10 if task.kind == "hot" else 2  # where workers compete, one more or less matters
    share = max(least, 1000 // task.workers)
    while True:
        took = task.workers * share / measured(program, server, task, share).rate
        if took >= seconds / 3:
            return max(least, round(share * seconds / took))
        share = min(share * 10, math.ceil(share * seconds / took))


def race(programs, server, task, rounds, seconds):
    """Of each program the medians of its results, and the spread of its rate. Each run takes some
    `seconds`."""
    shares = [share_of(program, server, task, seconds) for program in programs]
    found = in_turn(
        [
            lambda program=program, share=share: measured(program, server, task, share)
            for program, share in zip(programs, shares)
        ],
        rounds,
    )
    return [
        (
            Result(*[statistics.median(column) for column in zip(*results)]),
            spread([result.rate for result in results]),
        )
        for results in found
    ]
