"""Starting a system: again when something else was quicker to take an address, and never by halves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from experiment.errors import StartError
from experiment.stop import Stop

STARTS_TRIED = 3
LOOK_EVERY_S = 0.05


def start_or_stop(
    start: Callable[[], None], stop: Callable[[], None], taken: type[Exception], var: Path
) -> None:
    """Start; whatever goes wrong, stop all of it again. `taken` is the error of an address that was free when
    it was chosen: then others are chosen, three times in all. Raises StartError."""
    for trial in range(1, STARTS_TRIED + 1):
        try:
            start()
            return
        except taken as error:
            stop()
            if trial == STARTS_TRIED:
                raise StartError(f"{STARTS_TRIED} times an address was taken: {error}") from None
        except OSError as error:
            stop()
            where = error.filename or f"below {var}"
            raise StartError(f"the system could not be started: {error.strerror} ({where})") from None
        except BaseException:
            stop()
            raise


@contextmanager
def at_once(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for what may be started at the same time. When one start fails, what nobody has begun yet is
    not begun any more; what goes on is waited for, so that it can be stopped."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="start")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def beside(stop: Stop, work: Callable[[], None]) -> None:
    """Do something that waits for answers, in a thread beside this one. Raises what it raises; Interrupted as
    soon as somebody asks for the end. The thread is left then: it ends with the parts that it talks to."""
    done, failed = threading.Event(), list[BaseException]()

    def worked() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits for it
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=worked, daemon=True, name="beside").start()
    while not done.wait(LOOK_EVERY_S):
        stop.check()
    if failed:
        raise failed[0]
