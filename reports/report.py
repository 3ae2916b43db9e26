"""What a report is made of: plain frozen values that every format renders, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiment.history import End, Header, Note, PhaseEvent
from experiment.plain_text import Plain
from experiment.units import noun
from experiment.verdict import Verdict, worst
from measurement.analysis import Analysis
from measurement.statistics import Estimate, MedianTime
from reports.cases import Case, Outcome, cases_of, having
from reports.sequences import KeySequence
from reports.system_map import SystemMap
from reports.traces import Trace
from reports.wording import headline, hint_of, score_short, score_text


@dataclass(frozen=True, slots=True)
class ScenarioFacts:
    """The scenario as readers need it. `phases` are the planned lengths in seconds, in order."""

    name: str  # what the scenario is called
    title: str = ""  # what it shows, in one sentence
    file: str = ""  # the path of its file
    load: str = ""  # the load in words: poisson arrivals, 8/s, mix visit
    phases: tuple[tuple[str, float], ...] = ()  # the planned length of each phase, in seconds
    faults: tuple[str, ...] = ()  # each fault in words, with its link or service and its times
    invariants: tuple[str, ...] = ()  # the properties that must hold
    causes: tuple[int, ...] = ()  # the causes of failure that it shows, by number
    principles: tuple[int, ...] = ()  # the principles of design that it puts to the test, by number


@dataclass(frozen=True, slots=True)
class DesignFacts:
    """The design and the switches in which it differs from `compared_to` (empty: from no other design)."""

    name: str  # what the design is called
    title: str = ""  # what it does otherwise, in one sentence
    file: str = ""  # the path of its file
    compared_to: str = ""  # the design whose differences are listed; empty: none
    differences: tuple[str, ...] = ()  # the patterns and switches in which it differs from that design


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run folder keeps beside history and analysis, as `facts.json`."""

    scenario: ScenarioFacts  # the scenario as readers need it
    design: DesignFacts  # the design as readers need it
    machine: Mapping[str, str] = field(default_factory=dict)  # the machine and its software, by name


@dataclass(frozen=True, slots=True)
class RunReport(Plain):
    """Everything a page about one run says."""

    header: Header  # what was run, where and with what
    facts: RunFacts  # the scenario, the design and the machine, in words
    analysis: Analysis  # the judgement of the run
    phases: tuple[PhaseEvent, ...]  # the phases as they were played
    notes: tuple[Note, ...]  # what a reader must know besides
    end: End | None  # how the run ended; none: the history was cut off
    traces: tuple[Trace, ...] = ()  # the violating ones first, then the slowest
    sequences: tuple[KeySequence, ...] = ()  # what happened to the keys of the first violations
    map: SystemMap | None = None  # the system as a graph; none: the run does not say what it played

    @property
    def cases(self) -> tuple[Case, ...]:
        """What was judged."""
        return cases_of(self.analysis)


@dataclass(frozen=True, slots=True)
class RunSummary(Plain):
    """One run in one row of a suite. `recovery_s`: None when it never recovered or nobody asked."""

    run_id: str  # the name of the run and of its folder
    scenario: str  # the name of the scenario
    title: str  # what the scenario shows
    design: str  # the name of the design
    seed: int  # the seed of the run
    source: str  # the runtime: processes, containers or simulation
    verdict: Verdict  # the verdict of the run
    vetoed: bool  # whether a safety property was violated
    headline: str  # the verdict with its first reason, in one sentence
    score: float | None  # the score from 0 to 100; none: the run is invalid
    score_text: str  # the score in words, with a veto and what it would have been
    recovery_s: float | None  # seconds until quality was back; none: never, or nobody asked
    recovery_censored: bool  # whether the run ended before quality was back
    violations: Mapping[str, int]  # property to how many, of those that were violated
    file: str = ""  # the scenario file
    failures: tuple[str, ...] = ()  # what failed or makes the run invalid, one sentence each
    missed: tuple[str, ...] = ()  # objectives that were not met, such as `pay p95 in fault`
    score_short: str = ""  # the score in few words, for where the violations stand beside it
    hint: str = ""  # of an invalid run: what to do about it
    not_modelled: tuple[str, ...] = ()  # properties that were asked for and that the twin knows nothing of


@dataclass(frozen=True, slots=True)
class SuiteEntry:
    """One run of a suite: the verdict the suite expects of it (pass, unless it says otherwise), and its own.

    `link` leads from the suite's page to the run's page. `summary` is None when the entry was not run.
    """

    scenario: str  # the name of the scenario
    design: str  # the name of the design
    expected: Verdict  # the verdict that the suite expects
    summary: RunSummary | None  # the run; none: it was not run
    weight: float = 1.0  # its weight: impact times likelihood
    link: str = ""  # where the page of the run is
    violates: tuple[
        str, ...
    ] = ()  # properties that must have been violated, for a failure for the right reason
    misses: tuple[str, ...] = ()  # objectives that must not have been met, likewise

    @property
    def met(self) -> bool:
        run = self.summary
        if run is None or run.verdict is not self.expected:
            return False
        return set(self.violates) <= set(run.violations) and set(self.misses) <= set(run.missed)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The properties that its expectation is about and that the twin does not model: what the run shows
        neither meets the expectation nor contradicts it."""
        run = self.summary
        if run is None or self.met or not set(self.misses) <= set(run.missed):
            return ()
        if self.violates and run.verdict is not Verdict.INVALID:
            return tuple(name for name in self.violates if name in run.not_modelled)
        return run.not_modelled if run.verdict is Verdict.INCONCLUSIVE else ()

    @property
    def wanted(self) -> str:
        """`pass`, or `pass; not modelled: no_lost_write` where the run cannot tell."""
        unknown = f"; not modelled: {', '.join(self.unanswered)}" if self.unanswered else ""
        return f"{self.expected.value}{unknown}"


@dataclass(frozen=True, slots=True)
class FourNumbers:
    """A design over a suite: four numbers, never one. `mean` and `worst` are scores from 0 to 100, `worst`
    that of the runs that have one."""

    design: str  # the name of the design
    mean: float | None  # the mean score, from 0 to 100
    worst: float | None  # the lowest score
    worst_scenario: str  # the scenario with the lowest score
    covered: int  # pairs of link and fault class that were exercised
    coverable: int  # pairs of link and fault class that could be exercised
    vetoes: int  # runs with a violated safety property
    interval: tuple[float, float] | None = None  # 95% interval of the mean
    unscored: int = 0  # runs that are missing or have no score: the worst may be among them


@dataclass(frozen=True, slots=True)
class RepeatedEntry:
    """One scenario on one design over all its runs, every figure with its interval. `met`: runs that came out
    as expected; latencies are those of all journeys, merged over runs."""

    scenario: str  # the name of the scenario
    design: str  # the name of the design
    runs: int  # how many runs there are
    met: int  # how many came out as expected
    vetoes: int  # how many violated a safety property
    invalid: int  # how many are invalid
    score: Estimate | None  # the mean score with its interval
    recovery: MedianTime | None  # the median time to recover, in seconds
    baseline_p95: Estimate | None  # the p95 of all journeys before the fault, in seconds
    load_p95: Estimate | None  # the p95 of all journeys from the fault on, in seconds


@dataclass(frozen=True, slots=True)
class SuiteReport(Plain):
    """Everything a page about one suite says."""

    name: str  # what the suite is called
    started_at: str  # when it started, as ISO 8601
    command: str  # the command that runs it again
    entries: tuple[SuiteEntry, ...]  # its runs, in order
    title: str = ""  # what the suite is for
    numbers: tuple[FourNumbers, ...] = ()  # the four numbers of each design
    repeated: tuple[RepeatedEntry, ...] = ()  # empty when every entry ran once
    machine: Mapping[str, str] = field(default_factory=dict)  # the machine and its software, by name
    versions: Mapping[str, str] = field(default_factory=dict)  # the versions of the libraries
    git: str = ""  # the commit of the project

    @property
    def verdict(self) -> Verdict:
        """Pass when every entry came out as expected, fail when one that could be judged did not. An entry
        that was not run, that is invalid or inconclusive against its expectation, or that expects what is
        not modelled, has shown nothing: it leaves the suite inconclusive."""
        return worst(_entry_verdict(entry) for entry in self.entries)

    @property
    def headline(self) -> str:
        """`8 of 8 runs came out as expected`, or the first that did not."""
        met = sum(entry.met for entry in self.entries)
        text = f"{met} of {noun(len(self.entries), 'run')} came out as expected"
        unknown = [entry for entry in self.entries if entry.unanswered]
        if unknown:
            names = ", ".join(dict.fromkeys(name for entry in unknown for name in entry.unanswered))
            text += (
                f"; {len(unknown)} cannot be answered by a twin without models ({names}): play them live, or "
                "give the system twin models"
            )
        odd = next((entry for entry in self.entries if not entry.met and not entry.unanswered), None)
        if odd is None:
            return text
        found = "not run" if odd.summary is None else f"{odd.summary.verdict.value} ({odd.summary.headline})"
        return f"{text}; {odd.scenario} on {odd.design}: expected {odd.expected.value}, found {found}"

    @property
    def hint(self) -> str:
        """What to do about runs that are invalid and were not expected to be; each cause once."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.summary is not None and entry.summary.hint and not entry.met:
                found.setdefault(entry.summary.hint, []).append(f"{entry.scenario} on {entry.design}")
        told = []
        for what, runs in found.items():
            more = f" and {noun(len(runs) - 1, 'more', 'more')}" if len(runs) > 1 else ""
            told.append(f"{runs[0]}{more}: {what}")
        return "; ".join(told)

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS


def _entry_verdict(entry: SuiteEntry) -> Verdict:
    if entry.met:
        return Verdict.PASS
    if (
        entry.unanswered
        or entry.summary is None
        or entry.summary.verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID)
    ):
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
        hint=hint_of(analysis),
        not_modelled=tuple(c.checker for c in analysis.checks if not c.modelled and (c.judged or c.safety)),
    )
