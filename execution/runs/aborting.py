"""A live run looks, each second, at whether a condition of its scenario ends it.

What has ended is read from the history, which the processes of the load write as it happens: what is judged
here is what everybody can read there later.
"""

from __future__ import annotations

from collections.abc import Callable

from experiment.aborting import AbortWatch, EndedOperation
from experiment.history import History
from experiment.libraries import pl
from experiment.plan import Plan

WRITTEN_S = 0.4  # after it has ended an operation stands in the history within this time


class AbortLooks:
    """The watch of one run, fed from its history. Without conditions nothing is read."""

    def __init__(self, plan: Plan, read: Callable[[], History]) -> None:
        journeys = plan.system.journeys
        refused = {name: one.refused for name, one in journeys.items()}
        self._watch = AbortWatch(plan.scenario.abort, refused) if plan.scenario.abort else None
        self._read = read
        self.why = ""
        """The sentence why the run ends; empty while it goes on."""

    def look(self, now: float) -> str:
        """Judge every whole second that is over and written by `now`. Returns `why`."""
        watch = self._watch
        if watch is None or self.why or now < watch.second + 1.0 + WRITTEN_S:
            return self.why
        rows = self._read().operations.filter(pl.col("sent").is_not_null() & (pl.col("ended") > watch.second))
        names = pl.col("journey", "outcome").cast(pl.String)
        table = rows.select("ended", names, "status", latency=pl.col("ended") - pl.col("intended"))
        seen = [(ended, EndedOperation(*rest)) for ended, *rest in table.iter_rows()]
        while not self.why and now >= watch.second + 1.0 + WRITTEN_S:
            until = watch.second + 1.0
            mine = [one for ended, one in seen if until - 1.0 < ended <= until]
            self.why = watch.judge(until, mine)
        return self.why
