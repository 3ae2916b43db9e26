"""What a report is made of: plain frozen values that every format renders, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiment.history import End, Header, Note, PhaseEvent
from experiment.units import noun
from experiment.verdict import Verdict, worst
from measurement.analysis import Analysis
from measurement.statistics import Estimate, MedianTime
from reports.cases import Case, Outcome, cases_of, having
from reports.traces import Trace
from reports.wording import headline, score_short, score_text


@dataclass(frozen=True, slots=True)
class ScenarioFacts:
    """The scenario as readers need it. `phases` are the planned lengths in seconds, in order."""

    name: str
    title: str = ""
    file: str = ""
    load: str = ""  # "poisson arrivals, 8/s, mix visit"
    phases: tuple[tuple[str, float], ...] = ()
    faults: tuple[str, ...] = ()  # "lost_response on front -> back, 13 s to 28 s"
    invariants: tuple[str, ...] = ()
    causes: tuple[int, ...] = ()
    principles: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DesignFacts:
    """The design and the switches in which it differs from `compared_to` (empty: from no other design)."""

    name: str
    title: str = ""
    file: str = ""
    compared_to: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run folder keeps beside history and analysis, as `facts.json`."""

    scenario: ScenarioFacts
    design: DesignFacts
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything a page about one run says."""

    header: Header
    facts: RunFacts
    analysis: Analysis
    phases: tuple[PhaseEvent, ...]
    notes: tuple[Note, ...]
    end: End | None  # None: the history was cut off
    traces: tuple[Trace, ...] = ()  # the violating ones first, then the slowest

    @property
    def cases(self) -> tuple[Case, ...]:
        """What was judged."""
        return cases_of(self.analysis)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in one row of a suite. `recovery_s`: None when it never recovered or nobody asked."""

    run_id: str
    scenario: str
    title: str
    design: str
    seed: int
    source: str
    verdict: Verdict
    vetoed: bool
    headline: str
    score: float | None
    score_text: str  # "0 (vetoed: 3 duplicate orders; would have been 91)"
    recovery_s: float | None
    recovery_censored: bool
    violations: Mapping[str, int]  # property to how many, of those that were violated
    file: str = ""  # the scenario file
    failures: tuple[str, ...] = ()  # what failed or makes the run invalid, one sentence each
    missed: tuple[str, ...] = ()  # objectives that were not met: "pay p95 in fault"
    score_short: str = ""  # "0, vetoed; would have been 91", for where the violations stand beside it


@dataclass(frozen=True, slots=True)
class SuiteEntry:
    """One run of a suite: the verdict the suite expects of it (pass, unless it says otherwise), and its own.

    `link` leads from the suite's page to the run's page. `summary` is None when the entry was not run.
    """

    scenario: str
    design: str
    expected: Verdict
    summary: RunSummary | None
    weight: float = 1.0
    link: str = ""
    violates: tuple[
        str, ...
    ] = ()  # checkers that must have found something, for a failure for the right reason
    misses: tuple[str, ...] = ()  # objectives that must not have been met, likewise

    @property
    def met(self) -> bool:
        run = self.summary
        if run is None or run.verdict is not self.expected:
            return False
        return set(self.violates) <= set(run.violations) and set(self.misses) <= set(run.missed)


@dataclass(frozen=True, slots=True)
class FourNumbers:
    """A design over a suite: four numbers, never one. `mean` and `worst` are scores from 0 to 100, `worst`
    that of the runs that have one."""

    design: str
    mean: float | None
    worst: float | None
    worst_scenario: str
    covered: int  # pairs of link and fault class that were exercised
    coverable: int
    vetoes: int
    interval: tuple[float, float] | None = None  # 95% interval of the mean
    unscored: int = 0  # runs that are missing or have no score: the worst may be among them


@dataclass(frozen=True, slots=True)
class RepeatedEntry:
    """One scenario on one design over all its runs, every figure with its interval. `met`: runs that came out
    as expected; latencies are those of all journeys, merged over runs."""

    scenario: str
    design: str
    runs: int
    met: int
    vetoes: int
    invalid: int
    score: Estimate | None
    recovery: MedianTime | None
    baseline_p95: Estimate | None
    load_p95: Estimate | None


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """Everything a page about one suite says."""

    name: str
    started_at: str  # ISO 8601
    command: str
    entries: tuple[SuiteEntry, ...]
    title: str = ""
    numbers: tuple[FourNumbers, ...] = ()
    repeated: tuple[RepeatedEntry, ...] = ()  # empty when every entry ran once
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git: str = ""

    @property
    def verdict(self) -> Verdict:
        """Pass when every entry came out as expected, fail when one that could be judged did not. An entry
        that was not run, or that is invalid or inconclusive against its expectation, has shown nothing:
        it leaves the suite inconclusive."""
        return worst(_entry_verdict(entry) for entry in self.entries)

    @property
    def headline(self) -> str:
        """`8 of 8 runs came out as expected`, or the first that did not."""
        met = sum(entry.met for entry in self.entries)
        text = f"{met} of {noun(len(self.entries), 'run')} came out as expected"
        odd = next((entry for entry in self.entries if not entry.met), None)
        if odd is None:
            return text
        found = "not run" if odd.summary is None else f"{odd.summary.verdict.value} ({odd.summary.headline})"
        return f"{text}; {odd.scenario} on {odd.design}: expected {odd.expected.value}, found {found}"

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS


def _entry_verdict(entry: SuiteEntry) -> Verdict:
    if entry.met:
        return Verdict.PASS
    if entry.summary is None or entry.summary.verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID):
        return Verdict.INCONCLUSIVE
    return Verdict.FAIL


def summarise(report: RunReport) -> RunSummary:
    """One run in one row."""
    return summary_of(report.header, report.facts, report.analysis)


def summary_of(header: Header, facts: RunFacts, analysis: Analysis) -> RunSummary:
    """As `summarise`, of the parts that it takes."""
    recovery = analysis.recovery
    return RunSummary(
        run_id=header.run_id,
        scenario=facts.scenario.name,
        title=facts.scenario.title,
        design=facts.design.name,
        seed=header.seed,
        source=header.source,
        verdict=analysis.verdict,
        vetoed=analysis.vetoed,
        headline=headline(analysis),
        score=analysis.score.value,
        score_text=score_text(analysis.score),
        recovery_s=recovery.seconds if recovery else None,
        recovery_censored=recovery.censored if recovery else False,
        violations={c.checker: c.violation_count for c in analysis.checks if c.violation_count},
        file=facts.scenario.file,
        failures=tuple(case.statement for case in having(cases_of(analysis), Outcome.ERROR, Outcome.FAILED)),
        missed=tuple(result.name for result in analysis.expectations if result.status == "not met"),
        score_short=score_short(analysis.score),
    )
