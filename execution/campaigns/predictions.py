"""A suite on the twin alone: every entry with several seeds, as quickly as virtual time goes. Nothing is kept
but the verdicts, beside those that the suite expects of live runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event

from execution.catalogue import Catalogue
from execution.options import Options
from execution.runs.preflight import planner
from experiment.errors import ExitCode
from experiment.suite import Entry, Suite
from experiment.units import noun
from simulation.model.controls import CAPABILITIES
from simulation.model.models import magnitudes_of
from simulation.model.world import refuse_unknown
from simulation.sweep import Point, Progress, Setting, run_sweep


@dataclass(frozen=True, slots=True)
class Predicted:
    """One entry with one seed: the twin's verdict, and the properties that it saw violated."""

    entry: Entry
    seed: int
    verdict: str
    broken: frozenset[str]

    @property
    def met(self) -> bool:
        """Whether the verdict is the expected one, for the reasons that are expected."""
        return self.verdict == self.entry.expect and set(self.entry.violates) <= self.broken


def predict(
    suite: Suite,
    seeds: Sequence[int],
    catalogue: Catalogue,
    options: Options,
    progress: Progress,
    failures: list[str],
    stop: Event,
) -> list[Predicted]:
    """Every entry with every seed; those that ended until `stop` was set. What fails goes into `failures`.
    Raises ConfigError, or UnsupportedError for what the twin does not know, before any run."""
    system = catalogue.system()
    plan_of, population = planner(system, options), None
    asked: dict[tuple[str, str, int], Entry] = {}
    todo: list[Point] = []
    for entry in suite.entries:
        scenario, design = catalogue.scenario(entry.scenario, system), catalogue.design(entry.design, system)
        plan = plan_of(scenario, design, seeds[0])
        refuse_unknown(plan, CAPABILITIES)
        population = plan.population if options.population is not None else None
        todo += [Point(scenario, system, design, seed) for seed in seeds]
        asked |= {(scenario.name, design.name, seed): entry for seed in seeds}
    setting = Setting(magnitudes_of(system, options.calibration), population)
    rows = run_sweep(todo, setting, progress, failures=failures, stop=stop)
    if not len(rows):
        return []
    columns = rows.select("scenario", "design", "seed", "verdict", "broken")
    return [
        Predicted(asked[scenario, design, seed], seed, verdict, frozenset(broken.split()))
        for scenario, design, seed, verdict, broken in columns.iter_rows()
    ]


def prediction_lines(found: Sequence[Predicted]) -> Iterator[str]:
    """A line an entry: what is expected, and how often it came; then the whole."""
    entries = list(dict.fromkeys(one.entry for one in found))
    width = max((len(f"{one.scenario} on {one.design}") for one in entries), default=0)
    for entry in entries:
        own = [one for one in found if one.entry == entry]
        odd = [one for one in own if not one.met]
        told = f"{len(own) - len(odd)} of {len(own)} as expected"
        if odd:
            told += "; " + ", ".join(f"seed {one.seed}: {_told(one)}" for one in odd)
        yield f"{f'{entry.scenario} on {entry.design}':{width}}  {entry.expect:4}  {told}"
    met = sum(one.met for one in found)
    yield f"{met} of {noun(len(found), 'simulated run')} as the suite expects of live ones"


def _told(one: Predicted) -> str:
    if one.verdict != one.entry.expect:
        return one.verdict
    return f"{one.verdict} without {', '.join(sorted(set(one.entry.violates) - one.broken))}"


def prediction_exit_code(found: Sequence[Predicted], failures: Sequence[str]) -> ExitCode:
    """1 when a verdict is not the expected one."""
    if failures:
        return ExitCode.INTERNAL_ERROR
    return ExitCode.PASS if found and all(one.met for one in found) else ExitCode.FAIL
