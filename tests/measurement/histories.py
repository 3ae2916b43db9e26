"""Hand-written histories for the tests: a small system, and rows with sensible defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from experiment.errors import Location
from experiment.history import (
    End,
    FaultEvent,
    Header,
    History,
    LoadReport,
    Operation,
    PhaseEvent,
    Record,
    Row,
    Sample,
    build,
)
from experiment.rows import RECORDS_READ
from experiment.scenario import Arrivals, Expect, FaultSpec, Load, Phases, Scenario
from experiment.topology import Journey, Link, Service, System, load_system
from experiment.verdict import CheckResult
from measurement.properties import KINDS

REFERENCE = load_system(Path(__file__).parents[2] / "reference_system" / "system.yaml", KINDS)
SYSTEM = System(
    "clinic",
    {name: Service() for name in ("checkin", "billing", "payments", "payer", "prescriptions", "pharmacy")}
    | {name: Service() for name in ("lab", "notify", "sms", "pager")},
    (Link("billing", "payments"), Link("billing", "payer"), Link("pharmacy", "prescriptions"))
    + (Link("notify", "sms"), Link("notify", "pager")),
    {
        "check_in": Journey("checkin", deadline=1.5, p95=1.0),
        "claim": Journey("billing", ("billing -> payer",)),
        "pay": Journey("billing", ("billing -> payments",), criticality=2.0),
        "prescribe": Journey("prescriptions"),
        "change_dose": Journey("prescriptions"),
        "stop": Journey("prescriptions"),
        "view_dose": Journey("pharmacy", ("pharmacy -> prescriptions",), writes=False),
        "dispense": Journey("pharmacy", ("pharmacy -> prescriptions",)),
        "notify_critical": Journey("notify", ("notify -> sms", "notify -> pager")),
        "report_critical": Journey("lab", ("lab -> bus",)),
        "open_session": Journey("notify"),
    },
    {"visit": ()},
    properties=REFERENCE.properties,
)
PHASES = Phases(baseline=10.0, warm_up=1.0, fault=10.0, recovery=15.0, settle=5.0)
STARTS = {"warm_up": 0.0, "baseline": 1.0, "fault": 11.0, "recovery": 21.0, "settle": 36.0}
ENDS = {"warm_up": 1.0, "baseline": 11.0, "fault": 21.0, "recovery": 36.0, "settle": 41.0}
HEADER = Header(1, "r-1", "processes", "s", "d", "clinic", 1, "2026-03-01T10:00:00+00:00", 1_772_359_200.0)
# An answer that goes with each outcome.
ANSWERS: dict[str, dict[str, Any]] = {
    "acknowledged": {"status": 200},
    "rejected": {"status": 400, "error": "bad_request"},
    "indeterminate": {"error": "timeout"},
}
UNSENT = {"error": "prerequisite"}
NO_LOAD = Load(Arrivals(rate=10.0), {"visit": 1.0})


@dataclass(frozen=True, slots=True)
class _Latency:
    kind: str = "latency"
    target_kind: Literal["link", "node", "behaviour"] = "link"
    requires: str = "delay"
    fault_class: str = "slow"

    def inject(self, controls: Any, target: str, fault: str) -> None: ...
    def heal(self, controls: Any, target: str, fault: str) -> None: ...
    def measure(self, controls: Any, target: str) -> object: ...
    def ready(self, before: object) -> Any: ...
    def judge(self, before: object, during: object) -> Any: ...
    def gone(self, before: object, after: object) -> Any: ...
    def look(self, controls: Any, target: str, fault: str) -> Any: ...
    def met(self, target: str, start: Any, now: Any) -> Any: ...


FAULT = FaultSpec(_Latency(), "billing -> payments", "fault", None, None, None, Location("s.yaml"))


def judged_by(name: str, system: System = SYSTEM) -> Callable[[History, Scenario, System], CheckResult]:
    """The judgement of one property of the system, as reports show it."""
    stated = system.properties[name]

    def check(history: History, scenario: Scenario, system: System) -> CheckResult:
        return stated.result(name, stated.binding.find(history, scenario, system))

    return check


def scenario(*, faults: tuple[FaultSpec, ...] = (FAULT,), **changes: Any) -> Scenario:
    """A scenario with one latency fault; `expect` may be given as keywords of Expect."""
    expect = changes.pop("expect", {})
    base = Scenario("s", "A scenario", NO_LOAD, PHASES, faults, Expect(**expect))
    return replace(base, **changes)


def op(
    number: int,
    journey: str,
    key: str,
    at: float,
    took: float = 0.05,
    outcome: Literal["acknowledged", "rejected", "indeterminate"] = "acknowledged",
    **more: Any,
) -> Operation:
    """An operation intended and sent at `at`, answered as its outcome says unless told otherwise."""
    fields: dict[str, Any] = {"intended": at, "sent": at, "ended": at + took, **more}
    if not {"status", "error"} & more.keys():
        unsent = fields["sent"] is None
        fields |= UNSENT if unsent else ANSWERS[outcome]
    return Operation(number, journey, key, outcome=outcome, **fields)


def record(store: str, kind: str, key: str, **more: Any) -> Record:
    return Record(store, kind, key, **more)


def frame(*, with_fault: bool = True, end: End | None = None) -> list[Row]:
    """Header, phases, one observed and healed fault, a load report and a clean end."""
    rows: list[Row] = [HEADER]
    rows += [PhaseEvent(name, STARTS[name], ENDS[name]) for name in STARTS]
    rows.append(LoadReport(1.0, 0, 100, 100, 0.001, 0.002, 0.003))
    rows.append(sample(40.0, "load", "lag_p99", 0.002))
    if with_fault:
        rows += fault_events()
    rows.append(end or End(41.0, "completed", True))
    return rows


def fault_events(*, looks: int = 10, met: int = 900, carried: int | None = 700) -> list[FaultEvent]:
    """One latency fault from 11 s to 21 s, looked at `looks` times while it lasts."""

    def event(name: str, t: float, planned: float, **more: Any) -> FaultEvent:
        more = {"statement": "2 ms -> 500 ms", **more}
        return FaultEvent("f1", "latency", FAULT.target, name, t, planned, **more)  # type: ignore[arg-type]

    lasts = [
        event(
            "still_active",
            11.0 + number * 9.9 / looks,
            21.0,
            statement="500 bytes",
            measured={"met": met * number // looks, "looks": number},
        )
        for number in range(1, looks + 1)
    ]
    return [
        event("inject", 11.0, 11.0, measured={"carried": carried}),
        event("active", 11.1, 11.0),
        *lasts,
        event("heal", 21.0, 21.0, measured={"looks": looks}),
        event("healed", 21.1, 21.0),
    ]


def steady(journey: str = "check_in", rate: int = 10, start: int = 0, stop: int = 36) -> list[Row]:
    """Acknowledged operations at a constant rate over the whole load."""
    count = (stop - start) * rate
    return [op(i, journey, f"{journey}-{i}", start + i / rate) for i in range(count)]


def stored(operations: list[Row]) -> list[Row]:
    """The Encounters that steady check-ins leave."""
    return [
        record("checkin", "encounter", row.key, id=f"id-{row.id}", t=row.ended)
        for row in operations
        if isinstance(row, Operation) and row.journey == "check_in"
    ]


def history(*rows: Row, with_fault: bool = True) -> History:
    return build([*frame(with_fault=with_fault), *rows])


def read(**counts: int) -> list[Row]:
    """The systems of record that were read in the end, and how many records each gave."""
    return [sample(41.0, store, RECORDS_READ, float(count)) for store, count in counts.items()]


def sample(t: float, source: str, name: str, value: float, about: str = "") -> Sample:
    return Sample(t, source, name, value, about)
