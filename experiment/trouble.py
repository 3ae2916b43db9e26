"""What ends a run at once: a part died, was stopped, or fell silent, and no fault of the plan did it."""

from __future__ import annotations

from dataclasses import dataclass

SILENT = "has not answered"
SILENT_AFTER_S = 3.0  # without any answer; a busy machine answers within it


@dataclass(frozen=True, slots=True)
class Trouble:
    """`postgres`, `died`, and when: `at_s` is on CLOCK_MONOTONIC, of the last answer where it fell silent."""

    part: str
    what: str
    at_s: float
    more: str = ""  # how it ended, as far as that is known

    def told(self, zero_s: float) -> str:
        """`postgres died at 4.1 s (ended by SIGKILL)`; `zero_s` is the run's zero on the same clock, 0 where
        there is none yet."""
        since = self.what == SILENT
        if not zero_s or self.at_s < zero_s:
            when = "since before the load began" if since else "before the load began"
        else:
            when = f"{'since' if since else 'at'} {self.at_s - zero_s:.1f} s"
        return f"{self.part} {self.what} {when}" + (f" ({self.more})" if self.more else "")


def silent(part: str, since_s: float, now_s: float) -> Trouble | None:
    """The trouble of a part that answered last at `since_s`; None while that is not long ago."""
    return Trouble(part, SILENT, since_s) if now_s - since_s > SILENT_AFTER_S else None
