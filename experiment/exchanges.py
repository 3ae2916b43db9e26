"""How long the questions of a link's caller took until their answers, and how long they take without a
fault."""

from __future__ import annotations

from statistics import median

RECENT = 1000  # as many exchanges say what is usual


class Exchanges:
    """`took` grows (seconds); `usual_s` is the median of those that were seen in this run before its first
    fault on the link, None where there were none. Later faults are compared with it too: between two of them
    answers arrive that the first one held up."""

    def __init__(self, took: list[float] | None = None) -> None:
        """`took` is a list that somebody else appends to."""
        self.took = [] if took is None else took
        self.usual_s: float | None = None
        self._begun = 0
        self._disturbed = False

    def begin(self) -> None:
        """Another run begins."""
        self._begun, self._disturbed, self.usual_s = len(self.took), False, None

    def disturb(self) -> None:
        """A fault begins."""
        fresh = self.took[max(self._begun, len(self.took) - RECENT) :]
        if fresh and not self._disturbed:
            self.usual_s = median(fresh)
        self._disturbed = True
