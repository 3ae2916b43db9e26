"""What every command that runs a system shares: the suite as asked for, and a start and an end in order."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from execution.catalogue import Catalogue
from execution.commands.interrupts import Interruption, interruptible
from execution.commands.saying import tell
from execution.options import CONTAINERS
from execution.places import INSTANCES
from execution.runs.preflight import check_suite
from execution.runs.runtime_choice import sweep_containers, sweep_unjournaled_containers
from experiment.suite import Suite, load_suite
from runtimes.leftovers import sweep


def typed() -> str:
    """The command as it was typed."""
    return shlex.join(["python", "harness.py", *sys.argv[1:]])


def suite_of(name: str, seed: int | None, catalogue: Catalogue) -> Suite:
    """A suite whose scenarios and designs were all read and checked; `seed` takes the place of its own."""
    suite = load_suite(catalogue.suite_path(name))
    check_suite(suite, catalogue)
    return suite if seed is None else replace(suite, seed=seed)


@contextmanager
def live_session(runtime: str) -> Iterator[Interruption]:
    """Remove what a killed command left, and say so; from then on signals end the session in order. A command
    that will need the engine asks it, too, for what has lost its journal."""
    with interruptible() as interruption:
        swept = sweep(INSTANCES, sweep_containers)
        if runtime == CONTAINERS:
            swept += sweep_unjournaled_containers()
        for text in swept.lines():
            tell(text)
        yield interruption
