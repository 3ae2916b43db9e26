"""Starting a system: again when something else was quicker to take an address, and never by halves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
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


class GivenUp(Stop):
    """Set when the wish to end is, or when one of several starts failed: the others need not go on."""

    def __init__(self, whole: Stop) -> None:
        super().__init__()
        self._whole = whole

    def is_set(self) -> bool:
        return self._whole.is_set() or super().is_set()

    def check(self) -> None:
        """Raises Interrupted once somebody asked for the end, or one start failed."""
        self._whole.check()
        super().check()


class Starts(ThreadPoolExecutor):
    """Threads for what may be started at the same time; every start looks at `stop` where it waits."""

    def __init__(self, count: int, whole: Stop) -> None:
        super().__init__(count, thread_name_prefix="start")
        self.stop = GivenUp(whole)


@contextmanager
def at_once(count: int, stop: Stop | None = None) -> Iterator[Starts]:
    """Starts at the same time. When one fails, what nobody has begun yet is not begun any more; what goes on
    is told so by `Starts.stop`, and waited for, so that it can be stopped."""
    pool = Starts(count, stop or Stop())
    try:
        yield pool
    except BaseException:
        pool.stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def all_or_none(starts: Iterable[Future[None]]) -> None:
    """Wait for starts. Raises what the first one that fails raises, as soon as it does."""
    begun = list(starts)
    ended = wait(begun, return_when=FIRST_EXCEPTION).done
    for one in begun:
        if one in ended:
            one.result()


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
