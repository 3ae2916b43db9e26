"""The sizes of the twin's parts: service times, delays and message sizes, from one calibration file.

Nothing in the model has a magnitude of its own. `uncalibrated.json` holds figures measured once, on one
machine, so that the twin runs before anything was calibrated; a report of a simulated run names the file and
its age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from experiment.errors import ConfigError, Location, Problem
from experiment.regular_files import read_regular
from experiment.values import decoded
from simulation.engine.randomness import (
    Constant,
    Distribution,
    Exponential,
    Gamma,
    LogNormal,
    Mixture,
    Quantiles,
    Uniform,
)

UNCALIBRATED = Path(__file__).parent / "uncalibrated.json"
FAMILIES: dict[str, type[Any]] = {
    "constant": Constant,
    "uniform": Uniform,
    "exponential": Exponential,
    "lognormal": LogNormal,
    "gamma": Gamma,
    "quantiles": Quantiles,
}

RESTART = "restart_s"  # a constant; `restart_s/SERVICE` where a crash of the service was seen
MOST_BYTES = 10_000_000  # of a calibration file
SHAPES = ("sigma", "cv2")  # parameters of a family that are not times
GROUPS = ("service", "one_way", "processing", "work")


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a fitted distribution describes its sample: the Kolmogorov-Smirnov distance and its size."""

    samples: int
    distance: float
    family: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call that an operation makes, `count` times a request on average, one after the other.

    `operation` is what the callee does for it; of a store or a bus it says nothing.
    """

    callee: str
    operation: str
    count: float = 1.0


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """All times in seconds, sizes in bytes.

    `service` is a service's own work per request, by name, else by role; `one_way` a link's delay in one
    direction, by name, else by protocol; `processing` what an instrument takes before it commits, `work` what
    an operation takes beyond all that: `SERVICE/OPERATION` inside a service, `users/JOURNEY` at its user.
    `calls` are those of a system without models of its own, by `SERVICE/OPERATION`.
    """

    name: str
    made_at: str  # ISO 8601, UTC
    source: str
    service: Mapping[str, Distribution]
    one_way: Mapping[str, Distribution]
    processing: Mapping[str, Distribution]
    work: Mapping[str, Distribution]
    constants: Mapping[str, float]
    fits: Mapping[str, Fit] = field(default_factory=dict)
    calls: Mapping[str, tuple[Call, ...]] = field(default_factory=dict)
    learned: bool = False  # whether the calls were seen; else they are what the system's file says

    def words(self, when: str) -> str:
        """`NAME, made 2026-01-01T00:00:00Z from SOURCE, 3.0 days before this run`, for a run at `when`."""
        text = f"{self.name}, made {self.made_at} from {self.source}"
        try:
            days = (
                datetime.fromisoformat(when) - datetime.fromisoformat(self.made_at)
            ).total_seconds() / 86400
        except (ValueError, TypeError):
            return f"{text}, of unknown age"
        return f"{text}, {days:.1f} days before this run"

    def slowed(self, factor: float) -> Magnitudes:
        """Everything that takes time takes `factor` times as long; waits that the services choose do not."""

        def longer(group: Mapping[str, Distribution]) -> dict[str, Distribution]:
            return {name: stretched(one, factor) for name, one in group.items()}

        return replace(
            self,
            name=f"{self.name} x {factor:g}",
            service=longer(self.service),
            one_way=longer(self.one_way),
            processing=longer(self.processing),
            work=longer(self.work),
        )

    def of_service(self, service: str, role: str) -> Distribution:
        return _first(self.service, service, role)

    def of_link(self, link: str, protocol: str) -> Distribution:
        return _first(self.one_way, link, protocol)


def _first(group: Mapping[str, Distribution], *names: str) -> Distribution:
    return next((group[name] for name in names if name in group), group["default"])


def distribution(plain: Any, where: Location) -> Distribution:
    """`{"family": "lognormal", "median": 0.002, "sigma": 0.3}`, or a list of [weight, distribution] pairs."""
    try:
        if isinstance(plain, list):
            return Mixture(tuple((float(weight), distribution(part, where)) for weight, part in plain))
        arguments = dict(plain)
        family = FAMILIES[str(arguments.pop("family"))]
        if unknown := arguments.keys() - set(family.__slots__):
            raise ValueError(f"unknown parameters {', '.join(sorted(unknown))}")
        made: Distribution = msgspec.convert(arguments, family)
        return made
    except (KeyError, TypeError, ValueError) as error:
        found = f"{plain} ({type(error).__name__}: {error})"
        expected = f"a distribution of the family {', '.join(FAMILIES)}, with its parameters"
        raise ConfigError([Problem(where, found, expected)]) from None


def plain_distribution(one: Distribution) -> Any:
    """The inverse of `distribution`."""
    if isinstance(one, Mixture):
        return [[weight, plain_distribution(part)] for weight, part in one.parts]
    family = next(name for name, cls in FAMILIES.items() if isinstance(one, cls))
    fields = type(one).__slots__  # type: ignore[attr-defined]  # every family is a slotted dataclass
    return {"family": family, **{name: getattr(one, name) for name in fields}}


def stretched(one: Distribution, factor: float) -> Distribution:
    """Every value `factor` times as large; the shape is kept."""
    if isinstance(one, Mixture):
        return Mixture(tuple((weight, stretched(part, factor)) for weight, part in one.parts))

    def times(value: Any) -> Any:
        return tuple(map(times, value)) if isinstance(value, tuple) else factor * value

    plain = {n: v for n, v in plain_distribution(one).items() if n != "family"}
    made: Distribution = type(one)(**{n: v if n in SHAPES else times(v) for n, v in plain.items()})
    return made


def load_magnitudes(path: Path | None = None, own: Path | None = None) -> Magnitudes:
    """Read a calibration file, by default the uncalibrated one. `own` is a system's file of what its models
    need beyond it. Raises ConfigError."""
    default = _read(UNCALIBRATED, {})
    if own is not None:
        default = _read(own, _plain(default))
    return default if path is None else _read(path, {"constants": dict(default.constants)})


def _read(path: Path, base: Mapping[str, Any]) -> Magnitudes:
    """The file over `base`, which fills in what the file does not say."""
    where = Location(str(path))
    try:
        said = decoded(read_regular(path, MOST_BYTES), dict[str, Any])
        plain = {**base, **said}
        for group in (*GROUPS, "constants"):
            plain[group] = {**base.get(group, {}), **plain[group]}
        groups = {
            group: {name: distribution(one, where) for name, one in plain[group].items()} for group in GROUPS
        }
        return Magnitudes(
            name=msgspec.convert(plain["name"], str),
            made_at=msgspec.convert(plain["made_at"], str),
            source=msgspec.convert(plain["source"], str),
            constants=msgspec.convert(plain["constants"], dict[str, float]),
            fits=msgspec.convert(plain.get("fits", {}), dict[str, Fit]),
            learned=msgspec.convert(plain.get("learned", False), bool),
            calls=msgspec.convert(plain.get("calls", {}), dict[str, tuple[Call, ...]]),
            **groups,
        )
    except OSError as error:
        expected = "a calibration file, as `codeblue calibrate RUN` writes it"
        raise ConfigError([Problem(where, f"no readable file ({error.strerror})", expected)]) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"
        raise ConfigError([Problem(where, found, "the keys of a calibration file")]) from None


def save_magnitudes(magnitudes: Magnitudes, path: Path) -> None:
    """Write a calibration file that `load_magnitudes` reads back."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_plain(magnitudes)), indent=2) + b"\n")


def _plain(magnitudes: Magnitudes) -> dict[str, Any]:
    """As a calibration file holds them."""
    return {
        "name": magnitudes.name,
        "made_at": magnitudes.made_at,
        "source": magnitudes.source,
        **{
            group: {name: plain_distribution(one) for name, one in getattr(magnitudes, group).items()}
            for group in GROUPS
        },
        "constants": dict(magnitudes.constants),
        "fits": {
            name: {"samples": fit.samples, "distance": fit.distance, "family": fit.family}
            for name, fit in magnitudes.fits.items()
        },
        "learned": magnitudes.learned,
        "calls": {name: [asdict(one) for one in calls] for name, calls in magnitudes.calls.items()},
    }
