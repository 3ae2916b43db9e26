"""The command line, held at a moment: `python -m tests.live.held_command VAR MOMENT WORDS...`.

It stops by SIGSTOP, all threads at once, so that a test may look at it and then kill or signal it there. A
moment is `journal:N` (the Nth line of journals is on the disk), `engine:N` (before the Nth call of the Docker
engine), `call:MODULE:NAME` (a function is about to be called for the first time) or `never`. Instances are
kept in VAR.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from execution import places


def hold() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_at_line(wanted: int) -> None:
    from runtimes.leftovers import Journal

    count = itertools.count(1)
    write = Journal.write

    def counted(self: Journal, event: str, **details: str | int | float) -> None:
        write(self, event, **details)
        if next(count) == wanted:
            hold()

    Journal.write = counted  # type: ignore[method-assign]


def hold_at_engine_call(wanted: int) -> None:
    from runtimes.docker_engine import Door

    count = itertools.count(1)
    calling = Door.calling

    def counted(self: Door, what: str) -> Any:
        if next(count) == wanted:
            hold()
        return calling(self, what)

    Door.calling = counted  # type: ignore[method-assign]


def hold_at_call(module: str, name: str) -> None:
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function: Callable[..., Any] = getattr(owner, last)

    first = iter([True])

    @functools.wraps(function)
    def held(*arguments: Any, **more: Any) -> Any:
        if next(first, False):
            hold()
        return function(*arguments, **more)

    setattr(owner, last, held)


def main(var: str, moment: str, *words: str) -> None:
    places.INSTANCES = Path(var)
    kind, _, where = moment.partition(":")
    if kind == "journal":
        hold_at_line(int(where))
    elif kind == "engine":
        hold_at_engine_call(int(where))
    elif kind == "call":
        hold_at_call(*where.split(":"))
    sys.argv = ["harness.py", *words]
    from execution.commands.command_line import main as command

    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
