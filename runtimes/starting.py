"""Starting a system: again when something else was quicker to take an address, and never by halves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from experiment.errors import StartError

STARTS_TRIED = 3


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
