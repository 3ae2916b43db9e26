"""When each fault acted, as measured, and the spans of the run that are judged from it."""

from __future__ import annotations

from collections import defaultdict

from experiment.history import FaultEvent, History
from experiment.scenario import Scenario, phase_starts
from measurement.analysis import FaultWindow


def fault_windows(history: History) -> tuple[FaultWindow, ...]:
    """One window per activation, in time order: from the injection to the verified heal.

    Observed needs an `active` event and no `no_effect` or `failed`; healed needs a `healed` and no
    `not_healed`.
    """
    events: dict[str, list[FaultEvent]] = defaultdict(list)
    for event in history.faults:
        events[event.fault].append(event)
    return tuple(sorted((_window(own) for own in events.values()), key=lambda w: (w.planned_start, w.fault)))


def _window(events: list[FaultEvent]) -> FaultWindow:
    first: dict[str, FaultEvent] = {}
    for event in events:
        first.setdefault(event.event, event)
    said = [e for e in (first.get(name) for name in ("failed", "no_effect", "active")) if e is not None]
    inject, heal, healed = first.get("inject"), first.get("heal"), first.get("healed")
    end, again = healed or heal, first.get("still_active") or first.get("faded")
    return FaultWindow(
        fault=events[0].fault,
        kind=events[0].kind,
        target=events[0].target,
        planned_start=(inject or events[0]).planned,
        planned_end=(heal or end or events[-1]).planned,
        start=inject.t if inject else None,
        end=end.t if end else None,
        observed="active" in first and "no_effect" not in first and "failed" not in first,
        healed="healed" in first and "not_healed" not in first,
        statement=said[0].statement if said else "its effect was never measured",
        existing_connections=said[0].existing_connections if said else "",
        end_statement=again.statement if again else "",
        lasted=again.event == "still_active" if again else None,
    )


def fault_span(history: History) -> tuple[float, float] | None:
    """From the first injection to the last order to heal, in seconds; None for a run without faults."""
    starts = [event.t for event in history.faults if event.event == "inject"]
    if not starts:
        return None
    heals = [event.t for event in history.faults if event.event == "heal"]
    healed = [event.t for event in history.faults if event.event == "healed"]
    return min(starts), max(heals or healed or [load_end(history)])


def phase_spans(history: History, scenario: Scenario) -> dict[str, tuple[float, float]]:
    """Phase name to its start and end: as measured, and as planned where it was not recorded (yet)."""
    spans: dict[str, tuple[float, float]] = {}
    for name, start in phase_starts(scenario.phases).items():
        spans[name] = (start, start + getattr(scenario.phases, name))
    for phase in history.phases:
        if phase.name in spans:
            start, end = spans[phase.name]
            spans[phase.name] = (
                phase.start,
                phase.end if phase.end is not None else phase.start + end - start,
            )
    return spans


def load_end(history: History) -> float:
    """When the load ended: the start of settling, else the last intended start."""
    settle = history.phase("settle")
    if settle is not None:
        return settle.start
    last = history.operations["intended"].max() if history.operations.height else 0.0
    return float(last) if isinstance(last, (int, float)) else 0.0
