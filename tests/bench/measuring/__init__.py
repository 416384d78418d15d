"""What all benchmarks share: a server of their own, programs and what they took, rounds in turn and
their medians, the programs that take part, and the machine."""
