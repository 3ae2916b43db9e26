"""A suite: scenarios with the designs they run on, the verdict each must give, and their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from experiment.decoding import Decoder
from experiment.errors import ConfigError, Problem, UsageError
from experiment.names import PropertyName, require_name
from experiment.scenario import Covers
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
    not_on: tuple[Literal["processes", "containers", "simulation"], ...] = ()
    """Runtimes that cannot play it, such as simulation for what happens to single bytes: there the suite is
    without it, and says so."""

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
    """`entries` in the order of the file; names of scenarios and designs are resolved by the catalogue.

    A suite has entries of its own, or is a part of another one: `part_of: full` with
    `covers: {causes: [1]}` has those entries of `full` whose scenarios cover cause 1.
    """

    name: str
    """What the suite is called; best as its file."""
    entries: tuple[Entry, ...] = ()
    """Its runs, in order."""
    part_of: str | None = None
    """Another suite, by its name in the system: the entries are those of it whose scenarios are as in
    `covers`."""
    covers: Covers = field(default_factory=Covers)
    """With part_of: the scenarios meant cover one of these causes and one of these principles; where one of
    the two is not named, whatever they cover of it."""
    title: str = ""
    """What the suite is for, in one sentence."""
    seed: int = 1
    """The seed of its first repeat."""
    source: str = field(default="", metadata={"internal": True})
    left_out: tuple[Entry, ...] = field(default=(), metadata={"internal": True})  # of `entries`, by `on`

    def on(self, *runtimes: str) -> Suite:
        """The suite as all of these runtimes can play it. Raises UsageError when no entry is left."""
        kept = tuple(entry for entry in self.entries if not set(entry.not_on) & set(runtimes))
        if not kept:
            found = f"{self.source}: found no entry that {' and '.join(runtimes)} can play"
            raise UsageError(f"{found}, expected another --runtime")
        return replace(self, entries=kept, left_out=tuple(one for one in self.entries if one not in kept))

    def __post_init__(self) -> None:
        require_name(self.name)
        chosen = self.covers != Covers()
        if self.part_of is None and chosen:
            raise ValueError("covers in a suite that is not part_of another; expected part_of beside it")
        if self.part_of is not None and not chosen:
            raise ValueError(
                "part_of without what its scenarios cover; expected covers: {causes: [1]} or "
                "{principles: [1]} beside it"
            )
        if self.part_of is not None and self.entries:
            raise ValueError("entries beside part_of; expected one of the two")
        if self.part_of is None and not self.entries:
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
    return replace(suite, source=str(path))


def part_of_suite(part: Suite, whole: Suite, covers: Callable[[str], Covers]) -> Suite:
    """The suite that `part` means: its name, title and seed, with entries of the `whole`; `covers` says what
    a scenario covers. `source` is where the entries stand. Raises ConfigError when no entry is left."""
    where = place(read_yaml(Path(part.source)), "part_of")
    if whole.part_of is not None:
        found = f'"{part.part_of}", which is a part of "{whole.part_of}"'
        raise ConfigError([Problem(where, found, "a suite with entries of its own")])
    entries: list[Entry] = []
    for index, entry in enumerate(whole.entries):
        try:
            met = _meets(covers(entry.scenario), part.covers)
        except UsageError:
            unknown = place(read_yaml(Path(whole.source)), "entries", index, "scenario")
            found = f'the unknown scenario "{entry.scenario}"'
            raise ConfigError([Problem(unknown, found, "a scenario or its file")]) from None
        if met:
            entries.append(entry)
    if not entries:
        where = place(read_yaml(Path(part.source)), "covers")
        found = f"no entry of {part.part_of} whose scenario covers that"
        raise ConfigError([Problem(where, found, "one at least: a suite of nothing would pass")])
    return replace(part, entries=tuple(entries), part_of=None, covers=Covers(), source=whole.source)


def _meets(given: Covers, wanted: Covers) -> bool:
    """One of the causes and one of the principles that are wanted."""
    pairs = ((given.causes, wanted.causes), (given.principles, wanted.principles))
    return all(not wished or set(wished) & set(had) for had, wished in pairs)
