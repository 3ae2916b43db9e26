"""When each fault acted, as measured, and the spans of the run that are judged from it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from experiment.history import FaultEvent, History
from experiment.libraries import pl
from experiment.scenario import Scenario, phase_starts
from measurement.analysis import FaultWindow


def fault_windows(history: History) -> tuple[FaultWindow, ...]:
    """One window per activation, in time order: from the injection to the verified heal.

    Observed needs an `active` event and no `no_effect` or `failed`; healed needs a `healed` and no
    `not_healed`. A fault on a link is observed only when it met its caller's traffic, in one of its
    activations at least.
    """
    events: dict[str, list[FaultEvent]] = defaultdict(list)
    for event in history.faults:
        events[event.fault].append(event)
    windows = [_window(own) for own in events.values()]
    met = {window.fault.partition(".")[0] for window in windows if window.met}
    idle = [w for w in windows if w.of_link and w.looks and w.fault.partition(".")[0] not in met]
    found = [replace(w, observed=False) if w in idle else w for w in windows]
    return tuple(sorted(found, key=lambda w: (w.planned_start, w.fault)))


def _window(events: list[FaultEvent]) -> FaultWindow:
    first: dict[str, FaultEvent] = {}
    for event in events:
        first.setdefault(event.event, event)
    said = [e for e in (first.get(name) for name in ("failed", "no_effect", "active")) if e is not None]
    inject, heal, healed = first.get("inject"), first.get("heal"), first.get("healed")
    end = healed or heal
    looks = [event for event in events if event.event in ("still_active", "faded")]
    last = first.get("faded") or (looks[-1] if looks else None)
    target = events[0].target
    return FaultWindow(
        fault=events[0].fault,
        kind=events[0].kind,
        target=target,
        planned_start=(inject or events[0]).planned,
        planned_end=(heal or end or events[-1]).planned,
        start=inject.t if inject else None,
        end=end.t if end else None,
        observed="active" in first and "no_effect" not in first and "failed" not in first,
        healed="healed" in first and "not_healed" not in first,
        statement=said[0].statement if said else "its effect was never measured",
        existing_connections=said[0].existing_connections if said else "",
        end_statement=last.statement if last else "",
        lasted=last.event == "still_active" if last else None,
        looks=len(looks),
        unwatched_s=_unwatched(first.get("active"), looks, heal),
        healed_at=heal.t if heal else None,
        carried_before=_number(inject.measured.get("carried", 0.0)) if inject else 0.0,
        met=_met(looks) if " -> " in target else None,
    )


def _unwatched(active: FaultEvent | None, looks: list[FaultEvent], heal: FaultEvent | None) -> float | None:
    """The longest time between two looks. The heal ends it; before it was seen nothing is said of it."""
    if active is None or heal is None or not looks:
        return None
    times = [active.t, *(event.t for event in looks if event.t > active.t), heal.t]
    return max(later - earlier for earlier, later in pairwise(times))


def _met(looks: list[FaultEvent]) -> float:
    """As the last look that says it; 0 where none does."""
    counts = [_number(event.measured.get("met")) for event in looks]
    return next((count for count in reversed(counts) if count is not None), 0.0)


def _number(value: object) -> float | None:
    """None also of what is no number: a row that somebody wrote by hand."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


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
    last = history.lazy_operations.select(pl.col("intended").max()).collect().item()
    return float(last) if isinstance(last, (int, float)) else 0.0
