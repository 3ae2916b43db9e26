"""Whoever looks at telemetry alone is alarmed in time, and looks at the right link first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from experiment.findings import Finding, conclude, not_exercised, unread
from experiment.history import History
from experiment.names import StoreName
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import Duration
from experiment.verdict import Violation
from measurement.localisation import Localisation, localise

SHOWN_SUSPECTS = 5


@dataclass(frozen=True, slots=True)
class Localised:
    """The link that was faulted is the first suspect, and the alarm came in time."""

    kind: ClassVar[str] = "localised"
    safety: ClassVar[bool] = False

    spans: StoreName
    """The service that keeps the spans as records: request, call and delivery."""
    within: Duration = 30.0
    """The longest time from the fault's injection to the alarm."""

    @property
    def sentence(self) -> str:
        return (
            f"Telemetry alone raises an alarm within {self.within:g} s and names the link that is at fault."
        )

    def find(self, history: History, _scenario: Scenario, system: System) -> Finding:
        """Exposed is the one link that a run faults; with none, or several, there is nothing to name."""
        if missing := unread(history, self.spans):
            return not_exercised(missing)
        found = localise(history, system, self.spans)
        if not found.injected:
            return not_exercised("the faults of the run are not on one link alone")
        wrong = list(self._wrong(found))
        said = f"{found.told}; the fault was on {found.injected}"
        if found.detected_s is not None:
            said += f", alarm after {found.detected_s:.1f} s"
        return conclude(
            1,
            wrong,
            len(wrong),
            said,
            "; ".join([said, *(one.statement for one in wrong)]),
            {
                "place": found.place,
                "links": found.links,
                "detected_s": found.detected_s,
                "suspect": found.suspect,
            },
        )

    def _wrong(self, found: Localisation) -> list[Violation]:
        evidence = tuple({"type": "suspect", **asdict(one)} for one in found.suspects[:SHOWN_SUSPECTS])
        link, said = found.injected, []
        if found.alarm_s is not None and found.detected_s is None:
            said.append("the alarm came before the fault")
        elif found.detected_s is None or found.detected_s > self.within:
            said.append(f"no alarm within {self.within:g} s")
        if not found.found:
            where = "nowhere" if found.place is None else f"at place {found.place:g}"
            said.append(f"the ranking of {found.links} links has it {where}")
        return [Violation(text, link, found.alarm_s, evidence) for text in said]
