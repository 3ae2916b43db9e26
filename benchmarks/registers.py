"""How long the register check takes on wide and on long histories of one register.

`python -m benchmarks.registers [--operations N]`
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Hashable
from dataclasses import replace

from measurement.linearizability import Function, RegisterOperation, check_register

WORDS = {True: "linearizable", False: "not linearizable", None: "not known"}
WIDE = 40
PROCESSES = 50
LOST = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    size = parser.parse_args().operations
    tell(f"{2 * WIDE} that overlap, then a read", overlapping(1))
    tell(f"{2 * WIDE} that overlap, then two reads", overlapping(2))
    history = true_register(size)
    tell(f"{len(history):,} by {PROCESSES} processes", history)
    tell("the same, a read late shows an old value", with_an_old_read(history))


def tell(name: str, operations: list[RegisterOperation]) -> None:
    verdict = check_register(operations, deadline_s=60.0)
    print(f"{name:42} {WORDS[verdict.linearizable]:18} {verdict.elapsed_s * 1000:7.1f} ms")


def overlapping(reads: int) -> list[RegisterOperation]:
    """Writes of `WIDE` values, each read while all of them are under way, then reads of two in turn."""
    operations = [RegisterOperation(value, "write", value, 0, 2) for value in range(WIDE)]
    operations += [RegisterOperation(WIDE + value, "read", value, 1, 3) for value in range(WIDE)]
    last = [RegisterOperation("last", "read", value, 4 + 2 * value, 5 + 2 * value) for value in range(reads)]
    return operations + last


def true_register(size: int) -> list[RegisterOperation]:
    """What its clients saw; some writes get no answer, and every value has one writer."""
    rng = random.Random(1)
    planned: list[tuple[float, float, float, int]] = []
    for process in range(PROCESSES):
        clock = rng.random()
        for _ in range(size // PROCESSES):
            began, ended = clock, clock + rng.random()
            planned.append((rng.uniform(began, ended), began, ended, process))
            clock = ended + rng.random() / 10
    held: Hashable = None
    operations = []
    for number, (_, began, ended, process) in enumerate(sorted(planned)):
        function: Function = rng.choice(("read", "write"))
        held = number if function == "write" else held
        lost = function == "write" and rng.random() < LOST
        operations.append(RegisterOperation(process, function, held, began, None if lost else ended))
    return operations


def with_an_old_read(operations: list[RegisterOperation]) -> list[RegisterOperation]:
    """One read, after nine tenths of them, of what the first acknowledged write left there."""
    late = len(operations) * 9 // 10
    late += next(number for number, o in enumerate(operations[late:]) if o.function == "read")
    old = next(o for o in operations if o.function == "write" and o.completed is not None)
    return [*operations[:late], replace(operations[late], value=old.value), *operations[late + 1 :]]


if __name__ == "__main__":
    main()
