"""Processes for pure work. Whoever started them ends them: at once, in order, and also when interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, signal

from experiment.children import end_with_parent


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """`count` processes for the length of the `with` block; what nobody has begun by its end is dropped, and
    what was begun is cut short when the block ends by a signal."""
    pool = ProcessPoolExecutor(count, get_context("forkserver"), _begin)
    try:
        yield pool
    except KeyboardInterrupt:
        for worker in active_children():
            worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Ctrl-C, or a terminal that was closed, reaches every process of it; the first one asks the others to
    end. When it is killed, the server that forks workers ends, and the kernel ends these."""
    for number in (SIGINT, SIGTERM, SIGHUP):
        signal(number, SIG_IGN)
    end_with_parent()
