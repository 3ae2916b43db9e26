"""Which things are read once more in the end, as ordinary operations, when the system has settled."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

from experiment.rows import Outcome

JOURNEY = "final_read"
SAMPLE = 100  # things of certain outcome that a live run reads once more
ABSENT = "absent"  # the value of a thing that the system says it does not have


def prefix_of(key: str) -> str:
    """The part of a business key that says what kind of thing it names."""
    return key.partition("-")[0]


def keys_to_read(
    sent: Iterable[tuple[str, Outcome]], prefixes: Collection[str], seed: int, sample: int | None = None
) -> tuple[str, ...]:
    """Of the keys of operations that were sent, with their outcomes, those to read: each with an
    indeterminate operation, then a seeded sample of those with an acknowledged one. Without a `sample` each
    key in the order of sending: where time is virtual, reading costs nothing."""
    known = [(key, outcome) for key, outcome in sent if prefix_of(key) in prefixes]
    if sample is None:
        return tuple(dict.fromkeys(key for key, _ in known))
    unsure = {key for key, outcome in known if outcome == "indeterminate"}
    sure = {key for key, outcome in known if outcome == "acknowledged"} - unsure
    chosen = random.Random(f"final-reads-{seed}").sample(sorted(sure), min(sample, len(sure)))
    return (*sorted(unsure), *sorted(chosen))
