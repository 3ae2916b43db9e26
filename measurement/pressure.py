"""Pressure from outside: CPU time that others than the run took from the machine while it was played.

The run's own processes are the system under test, the load generator and the harness. What others take makes
latencies longer, so a failure under it says so. It never excuses what is wrong: safety is judged as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from experiment.history import History
from experiment.rows import MACHINE
from experiment.units import format_duration
from experiment.verdict import CheckResult, Verdict
from measurement.analysis import Analysis, ExpectationResult, MachineUse

OTHERS_SHARE = 0.25  # of the machine's CPU time: others took as much as this,
IDLE_SHARE = 0.25  # and no more than this was left idle. Measured in docs/measurement.md
LEAST_SHARE = 0.1  # of a window's time: less of it under pressure does not touch its figures

LATE_S = 1.0  # a fault that began this much before or after its time is another experiment
GENERATOR, BASELINE, OBSERVED = "generator_kept_up", "baseline_met", "fault_observed"  # conditions

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Moment:
    """The time between two samples of the machine. `own` and `others` are cores; `waiting` is the share of it
    in which something waited for CPU, None where the kernel does not say."""

    start: float
    end: float
    cores: float
    own: float
    others: float
    waiting: float | None = None

    @property
    def pressed(self) -> bool:
        idle = self.cores - self.own - self.others
        return self.others >= OTHERS_SHARE * self.cores and idle <= IDLE_SHARE * self.cores

    def within(self, span: Span) -> float:
        """How many seconds of it lie in the span."""
        return max(0.0, min(self.end, span[1]) - max(self.start, span[0]))


def moments(history: History) -> tuple[Moment, ...]:
    """What was sampled of the machine; nothing of a run of the twin, which shares its machine with nobody."""
    found: dict[float, dict[str, float]] = {}
    for sample in history.samples:
        if sample.source == MACHINE:
            found.setdefault(sample.t, {})[f"{sample.name} {sample.about}".strip()] = sample.value
    before, kept = 0.0, []
    for t, seen in found.items():
        if {"cores", "own_cores", "other_cores"} <= seen.keys() and t > before:
            waiting = seen.get("waiting cpu")
            kept.append(Moment(before, t, seen["cores"], seen["own_cores"], seen["other_cores"], waiting))
            before = t
    return tuple(kept)


def machine_use(every: Sequence[Moment], span: Span) -> MachineUse | None:
    """What was used in a span; None when nothing of it was sampled."""
    inside = [(moment, seconds) for moment in every if (seconds := moment.within(span)) > 0]
    total = sum(seconds for _, seconds in inside)
    if not total:
        return None
    told = [(moment.waiting, seconds) for moment, seconds in inside if moment.waiting is not None]
    waited = sum(seconds for _, seconds in told)
    return MachineUse(
        cores=max(moment.cores for moment, _ in inside),
        own=sum(moment.own * seconds for moment, seconds in inside) / total,
        others=sum(moment.others * seconds for moment, seconds in inside) / total,
        most_others=max(moment.others for moment, _ in inside),
        waiting=sum(share * seconds for share, seconds in told) / waited if waited else None,
        pressed=sum(seconds for moment, seconds in inside if moment.pressed) / total,
    )


def pressure_text(every: Sequence[Moment], span: Span) -> str:
    """`under pressure from outside: others took 1.7 of 2 cores`, or nothing."""
    use = machine_use(every, span)
    if use is None or use.pressed < LEAST_SHARE:
        return ""
    pressed = [moment for moment in every if moment.pressed and moment.within(span) > 0]
    seconds = sum(moment.within(span) for moment in pressed)
    others = sum(moment.others * moment.within(span) for moment in pressed) / seconds
    length = format_duration(round(span[1] - span[0], 1))
    return (
        f"under pressure from outside: others took {others:.1f} of {use.cores:.0f} cores "
        f"for {format_duration(round(seconds, 1))} of {length}"
    )


def with_pressure(
    results: Iterable[ExpectationResult], every: Sequence[Moment], spans: Mapping[str, Span], end: float
) -> tuple[ExpectationResult, ...]:
    """Objectives that were not met say so when they were measured under pressure. What counts from a heal on
    is measured until the `end` of the load."""
    after = (spans["recovery"][0], end)
    return tuple(
        replace(result, pressure=pressure_text(every, spans.get(result.phase, after)))
        if result.status == "not met"
        else result
        for result in results
    )


def checks_with_pressure(
    checks: Iterable[CheckResult], every: Sequence[Moment], span: Span
) -> tuple[CheckResult, ...]:
    """The same of properties that are not safety: they bound times and attempts. The load is their window."""
    text = pressure_text(every, span)
    return tuple(
        replace(check, statement=f"{check.statement}; {text}")
        if text and not check.safety and check.verdict is Verdict.FAIL
        else check
        for check in checks
    )


def machine_alone(broken: Collection[str], pressed: float, late: bool = False) -> bool:
    """Whether a run says nothing for no other reason than its machine: of the conditions of validity that are
    `broken`, the load came late alone; or, under pressure from outside for the share `pressed` of its time,
    the baseline was broken or a fault was injected `late`."""
    if set(broken) == {GENERATOR}:
        return True
    return pressed >= LEAST_SHARE and (BASELINE in broken or (late and OBSERVED in broken))


def spoilt(analysis: Analysis) -> bool:
    """Whether the run is invalid for no other reason than its machine."""
    pressed = analysis.machine.pressed if analysis.machine is not None else 0.0
    late = any(
        window.start is not None and window.start - window.planned_start > LATE_S
        for window in analysis.faults
    )
    broken = [check.name for check in analysis.validity if not check.ok]
    return analysis.verdict is Verdict.INVALID and machine_alone(broken, pressed, late)
