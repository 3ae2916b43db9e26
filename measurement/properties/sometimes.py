"""Something must have been seen, so that a run shows what it was made to show: a fallback was used, a breaker
refused. Without it the run has not failed: it has shown nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import Finding, conclude, not_exercised, unread
from experiment.history import History
from experiment.properties import Noun, Records
from experiment.scenario import Scenario
from experiment.topology import System
from measurement.properties.answers import Answers
from measurement.properties.selection import performed, recorded, was_sent


@dataclass(frozen=True, slots=True)
class Sometimes:
    """Such an answer or record is seen at least so many times: a cached price was shown."""

    kind: ClassVar[str] = "sometimes"
    safety: ClassVar[bool] = False

    answer: Answers | None = None  # answers that must be seen
    record: Records | None = None  # records that must be seen
    at_least: int = 1
    """How often it must be seen in a run."""
    called: Noun | None = None  # what one of them is: a cached price

    def __post_init__(self) -> None:
        if (self.record is None) == (self.answer is None):
            found = "neither record nor answer" if self.record is None else "both record and answer"
            raise ValueError(f"{found}; expected one of them")
        if self.at_least < 1:
            raise ValueError(f"at_least {self.at_least}; expected 1 or more")

    @property
    def sentence(self) -> str:
        return f"Seen at least {self._noun.count(self.at_least)}."

    @property
    def _noun(self) -> Noun:
        if self.called is not None:
            return self.called
        if self.record is not None:
            word = self.record.noun
            state = " or ".join(self.record.status)
            return Noun(f"{word.singular} {state}".strip(), f"{word.plural} {state}".strip())
        assert self.answer is not None
        one = self.answer.words.partition(" ")[2]
        return Noun(one, one.replace("answer", "answers", 1))

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are those that were seen; too few of them are inconclusive."""
        if self.record is not None:
            seen = recorded(history, self.record).collect().height
            if seen < self.at_least and (missing := unread(history, self.record.store)):
                return not_exercised(missing)
            among = ""
        else:
            assert self.answer is not None
            seen = self.answer.found(history).collect().height
            sent = performed(history, self.answer.operations).filter(was_sent()).collect().height
            among = f" in {Noun.of('operation').count(sent)}"
        if seen < self.at_least:
            return not_exercised(f"{self._noun.count(seen)}{among}, {self.at_least:,} needed", {"seen": seen})
        return conclude(seen, (), 0, f"{self._noun.count(seen)}{among}", "", {"seen": seen})
