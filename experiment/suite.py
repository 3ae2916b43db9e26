"""A suite: scenarios with the designs they run on, the verdict each must give, and their weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiment.decoding import Decoder
from experiment.names import PropertyName, require_name
from experiment.units import LARGEST_SEED
from experiment.yaml_source import place, read_yaml


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario on one design. The suite passes when the verdict is the expected one; `violates` also
    names the properties that a failing run must break, and `misses` the objectives that it must not meet
    (`pay p95 in fault`, `recovers`), so that it fails for the right reason. weight = impact x
    likelihood."""

    scenario: str
    """The scenario, by its name in the system."""
    design: str
    """The design, by its name in the system."""
    expect: Literal["pass", "fail", "inconclusive"] = "pass"
    """The verdict that the run must have."""
    violates: tuple[PropertyName, ...] = ()
    """Properties that a failing run must break."""
    misses: tuple[str, ...] = ()
    """Objectives that a failing run must not meet, such as `order p95 in fault` or `recovers`."""
    impact: float = 1.0
    """How bad the failure would be; the weight is impact times likelihood."""
    likelihood: float = 1.0
    """How likely the failure is; the weight is impact times likelihood."""

    def __post_init__(self) -> None:
        if self.impact <= 0 or self.likelihood <= 0:
            raise ValueError("a weight of 0; expected impact and likelihood above 0")
        for name in ("violates", "misses"):
            if getattr(self, name) and self.expect != "fail":
                raise ValueError(f"{name} with expect {self.expect}; expected `expect: fail` beside it")

    @property
    def weight(self) -> float:
        return self.impact * self.likelihood


@dataclass(frozen=True, slots=True)
class Suite:
    """`entries` in the order of the file; names of scenarios and designs are resolved by the catalogue."""

    name: str
    """What the suite is called; best as its file."""
    entries: tuple[Entry, ...]
    """Its runs, in order."""
    title: str = ""
    """What the suite is for, in one sentence."""
    seed: int = 1
    """The seed of its first repeat."""
    source: str = field(default="", metadata={"internal": True})

    def __post_init__(self) -> None:
        require_name(self.name)
        if not self.entries:
            raise ValueError("a suite without entries; expected at least one scenario with a design")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"seed {self.seed}; expected a whole number from 0 to {LARGEST_SEED}")


def load_suite(path: Path) -> Suite:
    """Read a suite file; scenarios and designs are not looked up here. Raises ConfigError."""
    node, decoder = read_yaml(path), Decoder()
    suite = decoder.root(node, Suite)
    asked: set[tuple[str, str]] = set()
    for index, entry in enumerate(suite.entries):
        if (entry.scenario, entry.design) in asked:
            found = f"{entry.scenario} on {entry.design} a second time"
            decoder.fail(place(node, "entries", index), found, "each once; --repeats plays them again")
        asked.add((entry.scenario, entry.design))
    decoder.finish()
    return Suite(suite.name, suite.entries, suite.title, suite.seed, str(path))
