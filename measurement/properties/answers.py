"""Answers to operations of some journeys, as a property binds them."""

from __future__ import annotations

from dataclasses import dataclass

from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.rows import Outcome
from measurement.properties.selection import performed, was_sent


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to operations that were sent; a key that is left out leaves the choice open."""

    operations: tuple[JourneyName, ...]  # the journeys that are answered
    outcome: Outcome = "acknowledged"
    """The outcome that the answers have."""
    value: tuple[str, ...] = ()  # only answers with one of these values
    label: tuple[str, ...] = ()  # only answers with one of these labels
    status: tuple[int, ...] = ()  # only answers with one of these HTTP status codes

    def __post_init__(self) -> None:
        if not self.operations:
            raise ValueError("operations without an entry; expected one or more")

    @property
    def words(self) -> str:
        """`an answer with the label cached`."""
        said = {"value": self.value, "label": self.label, "status": self.status}
        parts = [f"the {name} {' or '.join(map(str, chosen))}" for name, chosen in said.items() if chosen]
        article = "a" if self.outcome == "rejected" else "an"
        return f"{article} {self.outcome} answer" + (f" with {' and '.join(parts)}" if parts else "")

    def found(self, history: History) -> pl.LazyFrame:
        """The operations that were answered so."""
        seen = performed(history, self.operations).filter(was_sent() & (pl.col("outcome") == self.outcome))
        for name in ("value", "label"):
            if wanted := getattr(self, name):
                seen = seen.filter(pl.col(name).cast(pl.String).is_in(list(wanted)))
        return seen.filter(pl.col("status").is_in(list(self.status))) if self.status else seen
