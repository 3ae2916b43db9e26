"""Whether anything that is judged looked at the system while its faults acted: a run in which nothing did may
have lost every request of that time and show no violation."""

from __future__ import annotations

from collections.abc import Sequence

from experiment.history import History
from experiment.libraries import pl
from experiment.names import JOURNEY
from experiment.needs import mentioned
from experiment.topology import System
from experiment.verdict import CheckResult, Verdict
from measurement.analysis import ExpectationResult, ValidityCheck
from measurement.properties.recovers import Recovers
from measurement.windows import fault_span

NAME = "faulted_phase_judged"
JUDGED = (Verdict.PASS, Verdict.FAIL)


def faulted_phase_is_judged(
    history: History,
    system: System,
    checks: Sequence[CheckResult],
    expectations: Sequence[ExpectationResult],
) -> tuple[ValidityCheck, ...]:
    """Nothing of a run without faults. Else: an objective with data, or a judged property of whose journeys
    something may have happened then. Of one that names no journeys (it judges calls, or waiting) any
    operation that was sent will do."""
    span = fault_span(history)
    if span is None:
        return ()
    names = [
        f"{result.journey} {result.figure}"
        for result in expectations
        if result.phase == "fault" and result.measured is not None
    ]
    during = (
        history.lazy_operations.filter(pl.col("sent").is_between(*span, closed="left"))
        .group_by(pl.col("journey").cast(pl.String))
        .agg(acted=(pl.col("outcome") != "rejected").any())
        .collect()
    )
    sent, acted = set(during["journey"]), set(during.filter("acted")["journey"])
    for check in checks:
        stated = system.properties[check.checker]
        if not check.judged or check.verdict not in JUDGED or isinstance(stated.binding, Recovers):
            continue
        journeys = mentioned(stated, JOURNEY)
        if (journeys & acted) or (not journeys and sent):
            names.append(check.checker)
    good = f"judged while the faults acted: {', '.join(names)}"
    bad = "no objective and no property judged the time in which the faults acted"
    return (ValidityCheck(NAME, bool(names), good if names else bad, Verdict.INCONCLUSIVE),)
