"""What a release gate found, as its renderers take it, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiment.errors import ConfigError, ExitCode, Location
from experiment.plain_text import Plain
from experiment.verdict import Verdict
from experiment.yaml_source import Mapping as YamlMapping
from experiment.yaml_source import Node, Scalar, read_yaml
from experiment.yaml_source import Sequence as YamlSequence
from gate.decide import MARGIN, Decision, GateResult, Unknown
from measurement.run_records import RunRecord
from measurement.statistics import Estimate
from reports.repeats import share_text


@dataclass(frozen=True, slots=True)
class GateViolation:
    """One violated safety invariant of the candidate, with the scenario's file and line."""

    invariant: str  # the name of the property
    scenario: str  # the name of the scenario
    seed: int  # the first seed with which it was violated
    statement: str  # what happened, in one sentence
    file: str  # the scenario file
    line: int = 1  # the line of the file that names the property


@dataclass(frozen=True, slots=True)
class GateRun:
    """One run of a side."""

    side: str  # baseline or candidate
    scenario: str  # the name of the scenario
    seed: int  # its seed
    verdict: Verdict  # how it came out
    vetoed: bool  # whether a safety property was violated
    score: float | None  # its score; none: it is invalid
    link: str  # where its page is, beside the gate's
    seconds: float | None  # how long it was, from its first phase to its end; none: not known


def run_of(side: str, record: RunRecord) -> GateRun:
    """Run folders lie beside the gate's folder."""
    link = f"../{Path(record.folder).name}/report.html" if record.folder else ""
    return GateRun(
        side, record.scenario, record.seed, record.verdict, record.vetoed, record.score, link, record.seconds
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of the runs; the share has an exact interval."""

    what: str  # what is counted
    events: int  # how many runs have it
    runs: int  # of how many runs

    @property
    def text(self) -> str:
        """`candidate vetoed: 0 of 12 runs (95%: 0% to 26%)`."""
        return f"{self.what}: {share_text(self.events, self.runs, '95%: ')}"


@dataclass(frozen=True, slots=True)
class GateReport(Plain):
    """`score` is the candidate's mean; `refusals` are broken floors such as --min-score."""

    baseline: str  # what is compared with
    candidate: str  # what is judged
    suite: str  # the suite that was played
    result: GateResult  # the decision with its evidence
    pairs: int  # how many pairs were played
    score: Estimate | None  # the candidate's mean score
    refusals: tuple[str, ...]  # floors that were broken, such as --min-score
    violations: tuple[GateViolation, ...]  # violated safety properties of the candidate
    warnings: tuple[str, ...]  # what a reader must know besides
    command: str  # the command that runs it again
    started_at: str  # when it started, as ISO 8601
    rates: tuple[Rate, ...] = ()  # how often runs of each side are valid, pass or are vetoed
    on_inconclusive: str = "fail"  # what an inconclusive answer does: fail or warn
    unclean: tuple[str, ...] = ()  # folders of runs after which something was left injected
    runs: tuple[GateRun, ...] = ()  # every run of both sides
    margin: float = MARGIN  # points that the candidate may lose
    version: str = ""  # of the tool

    def seconds(self, scenario: str | None = None) -> float:
        """How long the runs of that scenario (none: of all) were together, as far as it is known."""
        return sum(one.seconds or 0.0 for one in self.runs if scenario in (None, one.scenario))

    @property
    def decision(self) -> Decision:
        """A broken floor is a regression whatever the pairs say; without clean-up nothing passes."""
        if self.refusals:
            return Decision.REGRESSION
        if self.unclean and self.result.decision is Decision.PASS:
            return Decision.INCONCLUSIVE
        return self.result.decision

    @property
    def sentence(self) -> str:
        """The gravest reason of the decision."""
        return self._reasons[0]

    @property
    def evidence(self) -> tuple[str, ...]:
        """Every other reason."""
        return self._reasons[1:]

    @property
    def _reasons(self) -> tuple[str, ...]:
        """As the exit codes are graded: clean-up, new vetoes, floors, what the pairs say."""
        unclean = [f"clean-up was not complete after {', '.join(self.unclean)}"] if self.unclean else []
        pairs = (self.result.sentence, *self.result.evidence)
        vetoes_first = (*pairs, *self.refusals) if self.result.new_vetoes else (*self.refusals, *pairs)
        return (*unclean, *vetoes_first)

    @property
    def tolerated(self) -> bool:
        """Inconclusive for want of pairs alone, where the policy is to warn."""
        unknown = self.decision is Decision.INCONCLUSIVE and self.result.unknown is Unknown.STATISTICS
        return unknown and self.on_inconclusive == "warn" and not self.unclean


def gate_exit_code(report: GateReport) -> ExitCode:
    """0 pass, 1 regression, 4 a new veto, 2 inconclusive, 3 when invalid runs are why, 5 when something was
    left injected. The policy to warn makes 0 of what only more pairs would tell."""
    if report.unclean:
        return ExitCode.CLEANUP_INCOMPLETE
    if report.decision is Decision.PASS or report.tolerated:
        return ExitCode.PASS
    if report.decision is Decision.REGRESSION:
        return ExitCode.SAFETY_VETO if report.result.new_vetoes else ExitCode.FAIL
    return ExitCode.INVALID if report.result.unknown is Unknown.INVALID else ExitCode.INCONCLUSIVE


def violations_of(records: Sequence[RunRecord], scenarios: Mapping[str, Path]) -> tuple[GateViolation, ...]:
    """One for every run and invariant; `scenarios` are files by the names of the records."""
    found = []
    for record in records:
        path = scenarios.get(record.scenario) or Path(record.scenario)
        for name in record.safety:
            statement = record.statement(name)
            place = below(path), line_of(path, name)
            found.append(GateViolation(name, record.scenario, record.seed, statement, *place))
    return tuple(found)


def below(path: Path) -> str:
    """Relative to the working directory, where pipelines look for files; absolute outside of it."""
    absolute, here = path.resolve(), Path.cwd().resolve()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def line_of(path: Path, invariant: str) -> int:
    """Where the scenario lists the invariant; its first line when it does not, or is gone."""
    try:
        root = read_yaml(path)
    except (ConfigError, OSError):
        return 1
    expect = root.get("expect") if isinstance(root, YamlMapping) else None
    listed = expect.get("invariants") if isinstance(expect, YamlMapping) else None
    return next((where.line for where, text in _scalars(listed) if text == invariant), 1)


def _scalars(node: Node | None) -> Iterator[tuple[Location, str]]:
    if isinstance(node, Scalar):
        yield node.where, node.text
    elif isinstance(node, YamlSequence):
        for item in node.items:
            yield from _scalars(item)
    elif isinstance(node, YamlMapping):
        for key, value in node.items:
            yield key.where, key.text
            yield from _scalars(value)
