"""Open-loop arrival schedules: when visits start, decided before the run and never by how the system does."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

from experiment.errors import ConfigError, Location, Problem
from experiment.regular_files import read_regular
from experiment.scenario import Arrivals

MOST_BYTES = 50_000_000  # of a file of arrival times


def arrival_times(arrivals: Arrivals, length_s: float, rng: random.Random, folder: Path) -> tuple[float, ...]:
    """Seconds since the run's zero, ascending, below `length_s`. A replay file is looked for in `folder`."""
    if arrivals.process == "constant":
        times = (index / arrivals.rate for index in itertools.count())
        return tuple(itertools.takewhile(lambda t: t < length_s, times))
    if arrivals.process == "replay":
        return _replay(folder / (arrivals.file or ""), length_s)
    return _thinned(arrivals, length_s, rng)


def rate_at(arrivals: Arrivals, t: float, length_s: float) -> float:
    """Intensity in visits per second at time t of Poisson, burst and ramp schedules."""
    if arrivals.process == "ramp":
        end = arrivals.rate if arrivals.to is None else arrivals.to
        return arrivals.rate + (end - arrivals.rate) * t / length_s
    if arrivals.process == "burst":
        every = arrivals.burst_every or length_s
        since = t - arrivals.burst_at
        inside = since >= 0 and (since % every) < (arrivals.burst_for or 0.0)
        return (arrivals.burst_rate or arrivals.rate) if inside else arrivals.rate
    return arrivals.rate


def _thinned(arrivals: Arrivals, length_s: float, rng: random.Random) -> tuple[float, ...]:
    """A Poisson process with varying intensity, by thinning (Lewis and Shedler 1979)."""
    ceiling = max(arrivals.rate, arrivals.to or 0.0, arrivals.burst_rate or 0.0)
    times: list[float] = []
    t = rng.expovariate(ceiling)
    while t < length_s:
        if rng.random() * ceiling < rate_at(arrivals, t, length_s):
            times.append(t)
        t += rng.expovariate(ceiling)
    return tuple(times)


def _replay(path: Path, length_s: float) -> tuple[float, ...]:
    """Times beyond the load are left out; a file without any inside it is a mistake, not an idle run."""

    def mistake(line: int, found: str, expected: str = "one arrival time in seconds a line") -> ConfigError:
        return ConfigError([Problem(Location(str(path), line), found, expected)])

    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8").split("\n")
    except OSError as error:
        raise mistake(1, f"no readable file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise mistake(1, "a file that is not text") from None
    times: list[float] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            t = float(line)
        except ValueError:
            t = math.nan
        if not 0 <= t < math.inf:
            raise mistake(number, f'"{line.strip()[:40]}"')
        times.append(t)
    inside = tuple(sorted(t for t in times if t < length_s))
    if not inside:
        found = f"{len(times)} arrival times, none of them below {length_s:g} s"
        raise mistake(1, found, "an arrival within the load, which ends then")
    return inside
