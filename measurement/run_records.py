"""One finished run in the figures that repeats, comparisons and gates are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from experiment.errors import HistoryError
from experiment.history import History, Sample
from experiment.jobs import Job
from experiment.obeyed import digest_of_rows
from experiment.regular_files import read_regular
from experiment.values import decoded
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.histogram import Histogram, merge
from measurement.pressure import machine_alone, spoilt
from measurement.properties.bounded_staleness import LARGEST_LAG
from measurement.properties.selection import how_many

# What a record that was kept may say; msgspec refuses another one when it is read.
Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0.0)]


@dataclass(frozen=True, slots=True)
class PropertyFigures:
    """What one property showed in one run: how many of `exposed` things violated it."""

    name: str
    safety: bool
    exposed: Count
    violations: Count


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A line of a campaign. Times in seconds; `score` is None when the run is invalid; `recovery_s` is None
    with `censored_s` set when it was looked for that long and never came, and both are None when there was no
    fault.

    Costs: `calls` between services and `cpu_ms` of all services for each client operation,
    `baseline_latency` of all journeys together before any fault, as counts, so that runs can be merged.
    """

    entry: int
    scenario: str
    design: str
    seed: int
    folder: str
    verdict: Verdict
    vetoed: bool
    violated: tuple[str, ...]  # every property that was violated
    safety: tuple[str, ...]  # those of them whose violation is a veto and not waived
    score: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] | None
    recovery_s: Amount | None
    censored_s: Amount | None
    stale_s: float | None  # largest lag of an unlabelled read, where a property bounds staleness
    calls: Amount | None
    cpu_ms: Amount | None
    baseline_latency: Histogram
    exercised: tuple[tuple[str, str], ...]  # (target, fault kind) whose effect was seen
    headline: str = ""
    clean: bool = True
    side: str = ""  # "baseline" or "candidate" of a gate
    source: str = ""  # the runtime
    formula: str = ""  # of the score
    load_latency: Histogram = ()  # as `baseline_latency`, from the baseline to the end of the load
    offered: Count = 0  # operations from the baseline to the end of the load
    good: Count = 0  # those of them that were good
    broken: tuple[str, ...] = ()  # conditions of validity that did not hold
    statements: tuple[tuple[str, str], ...] = ()  # of every violated property, what was found
    time_scale: float | None = None
    population: str = ""
    scenario_hash: str = ""  # of the scenario's file
    missed: tuple[str, ...] = ()  # objectives that were not met
    # Those that something was exposed to or that the scenario asked for. Records of before these were kept
    # have none; whatever else they hold is good for a gate and a trend.
    properties: tuple[PropertyFigures, ...] = ()
    pressed: Amount = 0.0  # share of the load under pressure from outside
    spoilt: bool = False  # invalid for no other reason than its machine
    obeyed: str = ""  # digests of what its services showed that they obey, and of its system's files
    system: str = ""  # its name; empty in records of before it was kept: the reference system
    scores_before: Mapping[str, float | None] = field(default_factory=dict)  # of earlier formulas, by version
    seconds: Amount | None = None  # from the first phase to the end of the run
    repair_s: float | None = None  # of an operator who follows telemetry, where one link was faulted

    @property
    def job(self) -> Job:
        """What was asked for."""
        return Job(self.entry, self.scenario, self.design, self.seed, self.side)

    @property
    def machine_failed(self) -> bool:
        """Invalid for no other reason than its machine; so are those that came late alone, in records of
        before it was kept."""
        return self.score is None and (self.spoilt or machine_alone(self.broken, 0.0))

    def statement(self, name: str) -> str:
        """What was found of that property, or the reason of the verdict where it is not known."""
        return dict(self.statements).get(name, self.headline)


def file_hash(path: Path) -> str:
    """Tells files of different content apart."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


LOAD_PHASES = ("baseline", "fault", "recovery")


def record_of(
    entry: int,
    scenario: str,
    folder: Path,
    history: History,
    analysis: Analysis,
    clean: bool,
    code: str = "",
) -> RunRecord:
    """The figures of one judged run; `code` is the digest of its system's files."""
    found = {check.checker: check for check in analysis.checks if check.violation_count}
    recovery = analysis.recovery if analysis.faults else None
    censored = recovery is not None and recovery.seconds is None
    operations = max(1, how_many(history.lazy_operations))
    lags = [check.measures.get(LARGEST_LAG) for check in analysis.checks]
    loaded = [row for row in analysis.journeys if row.phase in LOAD_PHASES]
    waived = {waiver.invariant for waiver in analysis.waivers if waiver.lifts}
    return RunRecord(
        entry=entry,
        scenario=scenario,
        design=history.header.design,
        seed=history.header.seed,
        folder=str(folder),
        verdict=analysis.verdict,
        vetoed=analysis.vetoed,
        violated=tuple(found),
        safety=tuple(name for name, check in found.items() if check.safety and name not in waived),
        score=analysis.score.value,
        recovery_s=recovery.seconds if recovery else None,
        censored_s=_observed_after_heal(analysis, history) if censored else None,
        properties=tuple(
            PropertyFigures(check.checker, check.safety, check.exposed, check.violation_count)
            for check in analysis.checks
            if check.exposed or check.judged
        ),
        stale_s=max((float(lag) for lag in lags if isinstance(lag, int | float)), default=None),
        obeyed=_obeyed(history, code),
        calls=_total(history.samples, "attempts", operations),
        cpu_ms=_total(history.samples, "cpu_s", operations, 1000.0),
        baseline_latency=merge(row.histogram for row in analysis.journeys if row.phase == "baseline"),
        exercised=tuple(sorted({(f.target, f.kind) for f in analysis.faults if f.observed})),
        headline=analysis.reasons[0] if analysis.reasons else "",
        clean=clean,
        source=history.header.source,
        formula=analysis.score.formula,
        scores_before=analysis.score.before,
        seconds=max(0.0, history.end.t) if history.end is not None else None,
        load_latency=merge(row.histogram for row in loaded),
        offered=sum(row.offered for row in loaded),
        good=sum(row.good for row in loaded),
        broken=tuple(check.name for check in analysis.validity if not check.ok),
        statements=tuple((name, check.statement) for name, check in found.items()),
        population=history.header.population,
        pressed=analysis.machine.pressed if analysis.machine is not None else 0.0,
        spoilt=spoilt(analysis),
        repair_s=analysis.localisation.repair_s if analysis.localisation is not None else None,
        missed=tuple(result.name for result in analysis.expectations if result.status == "not met"),
    )


def _obeyed(history: History, code: str) -> str:
    """Empty where the services showed nothing: then nothing is known."""
    shown = digest_of_rows(history.designs)
    return f"{shown} {code}".strip() if shown else ""


def _observed_after_heal(analysis: Analysis, history: History) -> float:
    ends = [window.end for window in analysis.faults if window.end is not None]
    recovery = history.phase("recovery")
    until = recovery.end if recovery is not None and recovery.end is not None else max(ends, default=0.0)
    return max(0.0, until - max(ends, default=until))


def _total(samples: Sequence[Sample], name: str, operations: int, factor: float = 1.0) -> float | None:
    """A counter summed over its sources, growth by growth (a crash starts it anew), for each operation."""
    last: dict[tuple[str, str], float] = {}
    total, seen = 0.0, False
    for sample in samples:
        if sample.name != name:
            continue
        key = (sample.source, sample.about)
        before = last.get(key)
        if before is not None:
            seen = True
            total += sample.value - before if sample.value >= before else sample.value
        last[key] = sample.value
    return factor * total / operations if seen else None


class FinishedRuns:
    """finished.jsonl of a campaign folder: appended as runs finish, read again by `--resume`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "finished.jsonl"

    def append(self, record: RunRecord) -> None:
        """A last line that was cut off is taken away first: the new one would become part of it."""
        with self.path.open("ab+") as file:
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            file.write(msgspec.json.encode(record) + b"\n")

    def read(self) -> list[RunRecord]:
        """Records in the order of finishing; a last line that was cut off is left out. Raises
        HistoryError."""
        if not self.path.exists():
            return []
        try:
            lines = read_regular(self.path).split(b"\n")[:-1]
            return [decoded(line, RunRecord) for line in lines]
        except OSError as error:
            raise HistoryError(f"{self.path}: found no readable file ({error.strerror})") from None
        except ValueError as error:
            raise HistoryError(
                f"{self.path}: found a line that is not a finished run ({error}), expected one that a "
                "campaign wrote; start it again without --resume"
            ) from None
