"""What is watched of a system while a run goes on and after its load: the same live and on the twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator

DRAIN_POLL_S = 0.15
STABLE_POLLS = 3  # backlogs empty this many times running: settled
PATIENCE_MARGIN_S = 3.0  # what is in flight at the end of settling may still take this long
BACKLOGS_SAMPLED = ("baseline", "recovery")  # once a second: what is usual under load, and when it is back


def settling(
    end_s: float,
    now: Callable[[], float],
    backlog: Callable[[], float],
    load_over: Callable[[], bool],
    sure: bool = True,
) -> Iterator[float]:
    """The times until which to wait, until the load has ended and every backlog was empty a few times, or the
    phase is over. Where not every backlog can be read it is never `sure`, and takes the whole phase."""
    empty = 0
    while now() < end_s:
        over = load_over()
        empty = empty + 1 if backlog() == 0 and over else 0
        if empty >= STABLE_POLLS and sure:
            return
        yield min(end_s, now() + DRAIN_POLL_S)
