"""What a user may choose for a live run, whatever the command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from execution.places import RUNS
from experiment.variants import images_in

PROCESSES, CONTAINERS, SIMULATION, ATTACH = "processes", "containers", "simulation", "attach"
RUNTIMES = (PROCESSES, CONTAINERS, SIMULATION, ATTACH)


@dataclass(frozen=True, slots=True)
class Options:
    """`population` is a folder for the system's workload; None: it makes its own. `out` is where run folders
    land. `service_image` is the image of the services for `containers`, or SERVICE=IMAGE of single services;
    empty: that of the system's checkout.
    `calibration` is a file of magnitudes for the twin; None: the uncalibrated ones. `feeds` are folders of
    data for the system's workload, each with the name that the system gives it.
    """

    runtime: str = PROCESSES
    time_scale: float = 1.0
    population: Path | None = None
    out: Path = RUNS
    system: Path | None = None
    service_image: str = ""
    calibration: Path | None = None
    feeds: tuple[tuple[str, Path], ...] = ()
    allow: Path | None = None  # with ATTACH: the file that says what may be touched
    yes: str = ""  # with ATTACH: the hash of the list of all that will be touched

    @property
    def images(self) -> dict[str, str]:
        """The images of single services that `service_image` names. Raises UsageError."""
        return images_in(self.service_image)

    @property
    def common_image(self) -> str:
        """The one image of all modules; empty where none is named, or those of single services are."""
        return "" if self.images else self.service_image

    def words(self) -> list[str]:
        """The options that differ from the defaults, word by word as they are typed. Left out are the system,
        which the files say, and where run folders land, which changes nothing of a run."""
        default = Options()
        words = []
        if self.runtime != default.runtime:
            words += ["--runtime", self.runtime]
        if self.time_scale != default.time_scale:
            words += ["--time-scale", f"{self.time_scale:g}"]
        if self.population is not None:
            words += ["--population", str(self.population)]
        for name, folder in self.feeds:
            words += [f"--{name}-feed", str(folder)]
        if self.service_image:
            words += ["--service-image", self.service_image]
        if self.allow is not None:  # the hash is asked for again: other processes may run by then
            words += ["--allow", str(self.allow)]
        if self.calibration is not None:
            words += ["--calibration", str(self.calibration)]
        return words
