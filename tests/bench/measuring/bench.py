"""What every benchmark begins with: its options, the machine, and a server."""
import argparse
import os

from measuring import machine
from measuring.server import Server


class Bench:
    """with Bench(__doc__) as bench: bench.server is a private server, bench.is_quick whether the
    option --quick was given. pick(quick, full) is the one or the other."""

    def __init__(self, doc, add_options=None, has_server=True):
        parser = argparse.ArgumentParser(
            description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument(
            "--quick", action="store_true", help="a few short rounds: for a first look"
        )
        if add_options:
            add_options(parser)
        self.options = parser.parse_args()
        self.is_quick = self.options.quick
        self.server = Server() if has_server else None
        self.is_alone = (
            "VLOCK_BENCH_RUN" not in os.environ
        )  # else tests/bench/run has said what it runs on

    def __enter__(self):
        if self.server:
            self.server.__enter__()
        if self.is_alone:
            print(machine.described() + "\n", flush=True)
        return self

    def __exit__(self, *problem):
        if self.server:
            self.server.__exit__(*problem)

    def pick(self, quick, full):
        return quick if self.is_quick else full
