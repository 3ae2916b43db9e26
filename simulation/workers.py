"""Processes for pure work. Whoever started them ends them: at once, in order, and also when interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, forkserver, get_context, resource_tracker
from signal import SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGHUP, SIGINT, SIGTERM, pthread_sigmask, signal
from threading import Event
from typing import TypeVar

from experiment.children import end_with_parent
from experiment.libraries import pl

SIGNALS = (SIGINT, SIGTERM, SIGHUP)
NEVER = Event()
T = TypeVar("T")


@contextmanager
def workers(
    count: int, stop: Event = NEVER, first: Callable[[], object] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """`count` processes for the length of the `with` block, each of which does `first` once before its work;
    what nobody has begun by its end is dropped, and what was begun is cut short when the block ends by a
    signal, or `stop` is set by then."""
    _start_server()
    pool = ProcessPoolExecutor(count, get_context("forkserver"), _begin, (first,))
    cut = False
    try:
        yield pool
    except KeyboardInterrupt:
        cut = True
        raise
    finally:
        if cut or stop.is_set():
            for worker in active_children():
                worker.kill()
        pool.shutdown(cancel_futures=True)


def _start_server() -> None:
    """Ctrl-C, a terminal that was closed, and `timeout` reach every process of the group; the first one asks
    the others to end. So the server that forks workers is started with these signals blocked, as which it
    stays: its end would be that of all workers, in the middle of what they do."""
    resource_tracker.ensure_running()  # which lets them through again: before they are blocked
    before = pthread_sigmask(SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _begin(first: Callable[[], object] | None) -> None:
    """When the first process is killed, the server ends, and the kernel ends the workers. There is one of
    them for a core, so that threads of Polars would only stand in each other's way."""
    for number in SIGNALS:
        signal(number, SIG_IGN)
    end_with_parent()
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    if first is not None:
        first()


def undivided(work: Callable[[], T]) -> T:
    """What `work` returns or raises, with every query of it done by this thread alone. Polars gives each step
    of a query to threads of its own, which costs more than the step itself where frames are small; what it
    calls back from within a query it does not divide any further. For workers only: Polars answers Ctrl-C
    itself as long as a query is under way."""
    results: list[T] = []
    errors: list[BaseException] = []

    def called(frame: pl.DataFrame) -> pl.DataFrame:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  # raised below; Polars would make another one of it
            errors.append(error)
        return frame

    pl.LazyFrame({"once": [0]}).map_batches(called).collect()
    if errors:
        raise errors[0]
    return results[0]
