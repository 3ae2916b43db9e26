"""What a user may choose for a live run, whatever the command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from execution.places import RUNS


@dataclass(frozen=True, slots=True)
class Options:
    """`population` is a folder of FHIR bundles; None: the seeded generator. `out` is where run folders
    land."""

    runtime: str = "processes"
    time_scale: float = 1.0
    population: Path | None = None
    patients: int = 200
    out: Path = RUNS
    system: Path | None = None

    def words(self) -> str:
        """The options that differ from the defaults, as they are typed."""
        default = Options()
        words = []
        if self.runtime != default.runtime:
            words.append(f"--runtime {self.runtime}")
        if self.time_scale != default.time_scale:
            words.append(f"--time-scale {self.time_scale:g}")
        if self.population is not None:
            words.append(f"--population {self.population}")
        if self.system is not None:
            words.append(f"--system {self.system}")
        return " ".join(words)
