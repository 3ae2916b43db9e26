"""Processes for pure work. Whoever started them ends them: at once, in order, and also when interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """`count` processes for the length of the `with` block; what nobody has begun by its end is dropped."""
    pool = ProcessPoolExecutor(count, get_context("forkserver"), _leave_interrupts)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the first one asks the others to end."""
    signal(SIGINT, SIG_IGN)
