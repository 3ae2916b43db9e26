"""What all faults on links measure: round trips over a connection opened before the fault, and over fresh
ones."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Literal

from experiment.controls import Controls, Effect, LinkProbe, Reach

Existing = Literal["affected", "not affected", "unknown", "no connections"]
QUIET_DEADLINE_S = 0.5  # a link that gives no answer for so long gives none


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Several probes of one link, the deadline of each in seconds."""

    probes: tuple[LinkProbe, ...]
    deadline_s: float

    @property
    def fresh(self) -> tuple[Reach, ...]:
        return tuple(probe.fresh for probe in self.probes)

    @property
    def existing(self) -> tuple[Reach, ...]:
        return tuple(probe.existing for probe in self.probes)


def measure_link(controls: Controls, link: str, deadline_s: float, rounds: int = 1) -> RoundTrips:
    """Probe a link `rounds` times; it ends early when a probe has no answer, which takes the whole
    deadline."""
    control = controls.link(link)
    probes: list[LinkProbe] = []
    for _ in range(rounds):
        probes.append(control.probe(deadline_s))
        existing = probes[-1].existing
        if probes[-1].fresh.seconds is None or (existing.asked and existing.seconds is None):
            break
    return RoundTrips(tuple(probes), deadline_s)


def typical(reaches: tuple[Reach, ...]) -> float | None:
    """The median round trip in seconds; None when any of them had no answer."""
    seconds = [reach.seconds for reach in reaches if reach.seconds is not None]
    return median(seconds) if seconds and len(seconds) == len(reaches) else None


def answers(trips: RoundTrips) -> bool:
    """Whether the fresh connection was answered in every round, and the older one wherever it was asked."""
    asked = tuple(reach for reach in trips.existing if reach.asked)
    return typical(trips.fresh) is not None and (not asked or typical(asked) is not None)


def shown(reaches: tuple[Reach, ...], deadline_s: float) -> str:
    """A round trip for people: 2.1 ms, no answer within 500 ms, or the error of the connection."""
    seconds = typical(reaches)
    if seconds is not None:
        return f"{seconds * 1e3:.1f} ms"
    if not reaches:
        return "not measured"
    last = reaches[-1]
    if not last.connected:
        return last.error or "no connection"
    return last.error or f"no answer within {deadline_s * 1e3:.0f} ms"


def figures(before: RoundTrips, now: RoundTrips) -> dict[str, float | str | bool | None]:
    """The measurement behind an Effect, in seconds."""
    return {
        "before_s": typical(before.fresh),
        "now_s": typical(now.fresh),
        "before_existing_s": typical(before.existing),
        "now_existing_s": typical(now.existing),
        "rounds": float(len(now.probes)),
        "error": now.fresh[-1].error if now.fresh else "",
    }


def touch(before: RoundTrips, hit: bool | None) -> Existing:
    """What became of the older connection: nothing can be said where there was none before the fault, or
    where it is not known whether the fault hit it."""
    if typical(before.existing) is None or hit is None:
        return "unknown"
    return "affected" if hit else "not affected"


def change(before: RoundTrips, during: RoundTrips) -> str:
    """A fresh round trip before the fault and under it, for people."""
    return f"round trip {shown(before.fresh, before.deadline_s)} -> {shown(during.fresh, during.deadline_s)}"


def answered_again(before: RoundTrips, after: RoundTrips) -> Effect:
    """Both kinds of connection are answered."""
    statement = f"round trip {shown(after.fresh, after.deadline_s)}"
    return Effect(answers(after), statement, figures(before, after))
