"""The operating figures of the gate as Markdown, with exact intervals."""

from __future__ import annotations

from dataclasses import dataclass

from experiment.plain_text import Plain
from experiment.units import noun
from measurement.statistics import proportion
from reports.markdown import table, text
from reports.wording import percent

MOST_FALSE_ALARMS = 0.05
LEAST_DETECTED = 0.95
MOST_WRONG_PASSES = 0.05


@dataclass(frozen=True, slots=True)
class Bug:
    """One kind of trial: how many ended as a regression, how many without an answer."""

    name: str
    safety: bool
    trials: int
    regressions: int
    inconclusive: int
    most_pairs: int
    mean_pairs: float
    sentence: str = ""  # the first reason given
    must_be_found: bool = False  # nearly every time
    passes: int = 0
    must_not_pass: bool = False  # lost exactly the margin: a pass is wrong

    @property
    def share(self) -> str:
        """`98.0% (95%: 95.0% to 99.5%)`."""
        low, high = proportion(self.regressions, self.trials)
        return f"{percent(self.regressions / self.trials)} (95%: {percent(low)} to {percent(high)})"

    @property
    def passed_share(self) -> str:
        """The same of passes."""
        low, high = proportion(self.passes, self.trials)
        return f"{percent(self.passes / self.trials)} (95%: {percent(low)} to {percent(high)})"

    @property
    def text(self) -> str:
        """One line for a terminal."""
        return f"{self.name}: regression in {self.regressions} of {noun(self.trials, 'trial')}, {self.share}"


@dataclass(frozen=True, slots=True)
class GateFigures(Plain):
    """All trials; `same` is the baseline against itself."""

    bugs: tuple[Bug, ...]
    same: Bug
    n_max: int
    scenarios: tuple[str, ...]
    source: str = ""
    command: str = ""

    @property
    def missed(self) -> tuple[str, ...]:
        """Bars that were not met: false alarms, safety bugs, what must be found nearly always."""
        found = []
        if self.same.regressions > MOST_FALSE_ALARMS * self.same.trials:
            found.append(f"false alarms {self.same.share}, expected at most {percent(MOST_FALSE_ALARMS)}")
        for bug in self.bugs:
            if bug.must_not_pass:
                if bug.passes > MOST_WRONG_PASSES * bug.trials:
                    most = percent(MOST_WRONG_PASSES)
                    found.append(f"{bug.name} passed in {bug.passed_share}, expected at most {most}")
                continue
            least = 1.0 if bug.safety else LEAST_DETECTED if bug.must_be_found else 0.0
            if bug.regressions < least * bug.trials:
                found.append(f"{bug.name} found in {bug.share}, expected at least {percent(least)}")
        return tuple(found)


def render_markdown(figures: GateFigures) -> str:
    """A section for docs/gate.md."""
    same = figures.same
    lines = [
        f"At most {noun(figures.n_max, 'pair')} a gate; runtime {text(figures.source)}; scenarios "
        f"{', '.join(map(text, figures.scenarios))}.",
        "",
        f"**False alarms** ({text(same.name)}): {same.regressions} of {noun(same.trials, 'trial')}, "
        f"{same.share}. No answer: {same.inconclusive}. Mean pairs: {same.mean_pairs:.1f}.",
        "",
        *(
            f"**Wrong passes** ({text(bug.name)}): {bug.passes} of {noun(bug.trials, 'trial')}, "
            f"{bug.passed_share}.\n"
            for bug in figures.bugs
            if bug.must_not_pass
        ),
        *table(
            ("seeded bug", "found", "rate (95%)", "no answer", "pairs (mean, most)", "first reason"),
            [
                (
                    text(bug.name) + (" (safety)" if bug.safety else ""),
                    f"{bug.regressions} of {bug.trials}",
                    bug.share,
                    str(bug.inconclusive),
                    f"{bug.mean_pairs:.1f}, {bug.most_pairs}",
                    text(bug.sentence[:110]),
                )
                for bug in figures.bugs
                if not bug.must_not_pass
            ],
        ),
        "",
        f"Again: `{figures.command}`",
        "",
    ]
    return "\n".join(lines)
