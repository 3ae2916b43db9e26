"""Processes for pure work. Whoever started them ends them: at once, in order, and also when interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, forkserver, get_context, resource_tracker
from signal import SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGHUP, SIGINT, SIGTERM, pthread_sigmask, signal
from threading import Event

from experiment.children import end_with_parent

SIGNALS = (SIGINT, SIGTERM, SIGHUP)
NEVER = Event()


@contextmanager
def workers(count: int, stop: Event = NEVER) -> Iterator[ProcessPoolExecutor]:
    """`count` processes for the length of the `with` block; what nobody has begun by its end is dropped, and
    what was begun is cut short when the block ends by a signal, or `stop` is set by then."""
    _start_server()
    pool = ProcessPoolExecutor(count, get_context("forkserver"), _begin)
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


def _begin() -> None:
    """When the first process is killed, the server ends, and the kernel ends the workers."""
    for number in SIGNALS:
        signal(number, SIG_IGN)
    end_with_parent()
