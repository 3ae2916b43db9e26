"""Runs to be played, as plain values, and the orders in which a slow drift of the machine favours none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do. `entry` is its place in the suite; `side` tells the two of a gate apart."""

    entry: int
    scenario: str
    design: str
    seed: int
    side: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is: a design, and in a gate the side it plays for."""

    design: str
    side: str = ""


def seeds_of(first: int, repeats: int) -> tuple[int, ...]:
    """A new seed for each repeat."""
    return tuple(range(first, first + repeats))


def shuffled(jobs: Sequence[Job], seed: int) -> tuple[Job, ...]:
    """The jobs in random order."""
    order = list(jobs)
    random.Random(f"order-{seed}").shuffle(order)
    return tuple(order)


def interleaved(scenarios: Sequence[str], turns: Sequence[Turn], seeds: Sequence[int]) -> tuple[Job, ...]:
    """A, B, B, A for every scenario and seed: scenarios in random order, designs forth and back."""
    rng = random.Random(f"comparison-{seeds[0]}")
    jobs: list[Job] = []
    forth = True
    for seed in seeds:
        order = list(enumerate(scenarios))
        rng.shuffle(order)
        for index, scenario in order:
            ordered = turns if forth else tuple(reversed(turns))
            jobs.extend(Job(index, scenario, turn.design, seed, turn.side) for turn in ordered)
            forth = not forth
    return tuple(jobs)
