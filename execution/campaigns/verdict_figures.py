"""The figures of the verdict's own check: wrong passes, with the bound that their number allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from experiment.plain_text import Plain
from experiment.units import noun
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.mutations import Answer
from measurement.statistics import proportion
from reports.markdown import code, table, text
from reports.wording import percent

SHOWN = 40  # wrong answers in a list


class Got(StrEnum):
    """What a run got, from best to worst."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ABORTED = "aborted"
    VETO = "veto"
    INVALID = "invalid"
    REFUSED = "refused"
    ERROR = "error"

    @classmethod
    def of(cls, analysis: Analysis) -> Got:
        """A veto is told apart from a plain failure."""
        if analysis.verdict is Verdict.FAIL and analysis.vetoed:
            return cls.VETO
        return cls(analysis.verdict.value)


ORDER = list(Got)


@dataclass(frozen=True, slots=True)
class Tried(Plain):
    """One mutant: `answer` is what it must get, `verdict` that of the run itself, `got` what it got with a
    new manifest, `sealed` with the run's own."""

    suite: str
    run: str
    source: str
    kind: str
    seed: str
    told: str
    answer: Answer
    verdict: Got
    got: Got
    sealed: Got
    why: str

    @property
    def right(self) -> bool:
        """Whether it got what it must."""
        if self.got is Got.ERROR or self.sealed is not Got.REFUSED:
            return False
        if self.answer is Answer.STOP:
            return self.got in (Got.INVALID, Got.REFUSED)
        if self.answer is Answer.SAME:
            return self.got is self.verdict
        return ORDER.index(self.got) >= ORDER.index(self.verdict)

    @property
    def wrong_pass(self) -> bool:
        """Passes and must not, or passes by a manifest that is not its own."""
        may = self.answer is not Answer.STOP and self.verdict is Got.PASS
        return (self.got is Got.PASS and not may) or self.sealed is Got.PASS

    @property
    def text(self) -> str:
        """One line, with the seed that draws it again."""
        return (
            f"{self.run}: {self.kind} ({self.told}): {self.got}, expected {self.answer}; "
            f"the run is {self.verdict}; {self.why}"
        )


@dataclass(frozen=True, slots=True)
class VerdictFigures(Plain):
    """All mutants of all runs."""

    tried: tuple[Tried, ...]
    command: str = ""

    @property
    def wrong_passes(self) -> tuple[Tried, ...]:
        return tuple(one for one in self.tried if one.wrong_pass)

    @property
    def other_wrong(self) -> tuple[Tried, ...]:
        return tuple(one for one in self.tried if not one.right and not one.wrong_pass)

    def suites(self) -> Iterator[tuple[str, str, list[Tried]]]:
        """Suite, runtime and their mutants."""
        for suite, source in dict.fromkeys((one.suite, one.source) for one in self.tried):
            yield suite, source, [o for o in self.tried if (o.suite, o.source) == (suite, source)]


def bound(wrong: int, of: int) -> str:
    """`0 of 300 (95%: at most 1.2%)`; Clopper-Pearson."""
    if not of:
        return "0 of 0"
    return f"{wrong} of {of:,} (95%: at most {percent(proportion(wrong, of)[1])})"


def lines(figures: VerdictFigures) -> list[str]:
    """For a terminal."""
    every = figures.tried
    stopped = [one for one in every if one.answer is Answer.STOP]
    same = [one for one in every if one.answer is Answer.SAME]
    rest = [one for one in every if one.answer is Answer.NOT_BETTER]
    runs = len({one.run for one in every})
    tried = f"{noun(len(every), 'mutant')} of {noun(runs, 'run')}"
    found = [
        f"{tried}, each with the manifest as it was and made anew",
        f"wrong passes: {bound(len(figures.wrong_passes), len(every))}",
        f"must be refused or invalid: {bound(sum(not one.right for one in stopped), len(stopped))} were not",
        f"must not be better: {bound(sum(not one.right for one in rest), len(rest))} were",
        f"must stay the same: {bound(sum(not one.right for one in same), len(same))} did not",
        f"with the run's own manifest: {sum(one.sealed is Got.REFUSED for one in every):,} of {len(every):,} "
        "refused",
    ]
    wrong = [*figures.wrong_passes, *figures.other_wrong]
    found += [f"wrong: {one.text}; seed {one.seed}" for one in wrong[:SHOWN]]
    if len(wrong) > SHOWN:
        found.append(f"{len(wrong) - SHOWN} more wrong answers")
    return found


def render_markdown(figures: VerdictFigures) -> str:
    """A section for docs/trust.md."""
    rows = []
    for suite, source, mine in figures.suites():
        stopped = [one for one in mine if one.answer is Answer.STOP]
        others = sum(not one.right and not one.wrong_pass for one in mine)
        rows.append(
            (
                text(suite),
                text(source),
                f"{len({one.run for one in mine})}",
                f"{len(mine):,}",
                bound(sum(one.wrong_pass for one in mine), len(mine)),
                f"{sum(one.right for one in stopped):,} of {len(stopped):,}",
                str(others),
            )
        )
    head = (
        "suite",
        "runtime",
        "runs",
        "mutants",
        "wrong passes",
        "refused or invalid, where it must be",
        "other wrong",
    )
    said = [
        f"- {text(one.text)}; seed {code(one.seed)}" for one in (*figures.wrong_passes, *figures.other_wrong)
    ]
    return "\n".join([*table(head, rows), "", *said[:SHOWN], "", f"Again: {code(figures.command)}", ""])
