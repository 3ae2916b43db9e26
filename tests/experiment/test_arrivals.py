"""Arrival schedules: seeded, within the load, and with the statistics that their names promise."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiment.arrivals import arrival_times, rate_at
from experiment.errors import ConfigError
from experiment.scenario import Arrivals

HERE = Path()
BURST = Arrivals("burst", 5.0, burst_rate=50.0, burst_every=10.0, burst_for=2.0)
RAMP = Arrivals("ramp", 2.0, to=20.0)
SEEDS = (1, 2, 3, 4, 5)


def times(arrivals: Arrivals, length_s: float, seed: int = 1) -> tuple[float, ...]:
    return arrival_times(arrivals, length_s, random.Random(seed), HERE)


@pytest.mark.parametrize("arrivals", [Arrivals("poisson", 20.0), BURST, RAMP], ids=lambda a: a.process)
def test_the_seed_fixes_the_schedule(arrivals: Arrivals) -> None:
    """The same seed gives the same times, another seed others."""
    assert times(arrivals, 60.0, 7) == times(arrivals, 60.0, 7)
    assert times(arrivals, 60.0, 7) != times(arrivals, 60.0, 8)


@pytest.mark.parametrize(
    "arrivals", [Arrivals("poisson", 20.0), Arrivals("constant", 20.0), BURST, RAMP], ids=lambda a: a.process
)
def test_times_ascend_within_the_load(arrivals: Arrivals) -> None:
    """Never before zero, never at or after the end."""
    found = times(arrivals, 30.0)
    assert found
    assert list(found) == sorted(found)
    assert found[0] >= 0
    assert found[-1] < 30.0


@pytest.mark.parametrize("seed", SEEDS)
def test_poisson_gaps_are_exponential(seed: int) -> None:
    """Kolmogorov-Smirnov of the gaps against the exponential law of the rate; fails by chance once in
    10,000."""
    gaps = np.diff(times(Arrivals("poisson", 20.0), 500.0, seed))
    assert stats.kstest(gaps, "expon", args=(0, 1 / 20.0)).pvalue > 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_poisson_counts_are_poisson(seed: int) -> None:
    """Counts in 1 s windows: chi-squared against the Poisson law; a constant or bunched stream would fail."""
    found = times(Arrivals("poisson", 10.0), 1000.0, seed)
    counts = np.histogram(found, bins=1000, range=(0.0, 1000.0))[0]
    edges = [0, 6, 8, 9, 10, 11, 12, 14, 1000]
    observed = [int(((counts >= low) & (counts < high)).sum()) for low, high in pairwise(edges)]
    law = stats.poisson(10.0)
    expected = [1000 * (law.cdf(high - 1) - law.cdf(low - 1)) for low, high in pairwise(edges)]
    scaled = np.array(expected) * sum(observed) / sum(expected)
    assert stats.chisquare(observed, scaled).pvalue > 1e-4


def test_constant_spacing_is_exact() -> None:
    """Arrival n is at n divided by the rate, without drift."""
    found = times(Arrivals("constant", 30.0), 100.0)
    assert len(found) == 3000
    assert all(t == index / 30.0 for index, t in enumerate(found))


@pytest.mark.parametrize(
    ("rate", "length_s", "count"), [(3.0, 0.7, 3), (10.0, 1.0, 10), (1.0, 0.5, 1), (4.0, 2.0, 8)]
)
def test_constant_arrivals_fill_the_load(rate: float, length_s: float, count: int) -> None:
    """Also when the load is no whole number of intervals: the last one within it is there."""
    assert len(times(Arrivals("constant", rate), length_s)) == count


@pytest.mark.parametrize("seed", SEEDS)
def test_bursts_come_when_and_as_strong_as_they_should(seed: int) -> None:
    """50/s in the first 2 s of every 10 s, 5/s in between; each count within 4 standard deviations."""
    found = np.array(times(BURST, 400.0, seed))
    inside = int((found % 10.0 < 2.0).sum())
    outside = len(found) - inside
    assert abs(inside - 50.0 * 80) < 4 * (50.0 * 80) ** 0.5
    assert abs(outside - 5.0 * 320) < 4 * (5.0 * 320) ** 0.5


def test_bursts_may_begin_later_than_the_load() -> None:
    """At the usual rate until then; from then on as ever."""
    late = replace(BURST, burst_at=9.0)
    rates = [rate_at(late, t, 100.0) for t in (0.0, 8.9, 9.0, 10.9, 11.0, 18.9, 19.0)]
    assert rates == [5.0, 5.0, 50.0, 50.0, 5.0, 5.0, 50.0]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ramp_rises_linearly(seed: int) -> None:
    """Under the time change by the integrated intensity a ramp is uniform (Kolmogorov-Smirnov)."""
    length = 300.0
    found = np.array(times(RAMP, length, seed))
    integral = (2.0 * found + 9.0 * found**2 / length) / (11.0 * length)
    assert stats.kstest(integral, "uniform").pvalue > 1e-4
    assert abs(len(found) - 11.0 * length) < 4 * (11.0 * length) ** 0.5


def test_the_intensity_is_what_was_asked_for() -> None:
    """Rates at the corners of each schedule, in visits per second."""
    assert [rate_at(RAMP, t, 10.0) for t in (0.0, 5.0, 10.0)] == [2.0, 11.0, 20.0]
    assert [rate_at(BURST, t, 60.0) for t in (0.0, 1.99, 2.0, 9.99, 10.0)] == [50.0, 50.0, 5.0, 5.0, 50.0]
    assert rate_at(Arrivals("poisson", 8.0), 3.0, 10.0) == 8.0


def replay(folder: Path, text: str | bytes, length_s: float = 10.0) -> tuple[float, ...]:
    path = folder / "times.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return arrival_times(Arrivals("replay", file="times.txt"), length_s, random.Random(1), folder)


def test_a_replay_is_what_the_file_says(tmp_path: Path) -> None:
    """In order, without comments, empty lines and what lies beyond the load; Windows line ends are fine."""
    assert replay(tmp_path, "# seconds\n2.5\r\n\n0\n  1.25 \n10\n99\n") == (0.0, 1.25, 2.5)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("1\n2\nlater\n", 3, '"later"'),
        ("1\n-2\n", 2, '"-2"'),
        ("nan\n", 1, '"nan"'),
        ("1\ninf\n", 2, '"inf"'),
        ("1,5\n", 1, '"1,5"'),
        (b"\xff\xfe1\n", 1, "a file that is not text"),
        ("", 1, "0 arrival times, none of them below 10 s"),
        ("12\n13\n", 1, "2 arrival times, none of them below 10 s"),
    ],
)
def test_a_mistake_in_a_replay_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, found: str
) -> None:
    """File, line, what was found and what was expected."""
    with pytest.raises(ConfigError) as caught:
        replay(tmp_path, text)
    problem = caught.value.problems[0]
    assert (problem.where.file, problem.where.line) == (str(tmp_path / "times.txt"), line)
    assert problem.found == found
    assert problem.expected


def test_a_replay_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(ConfigError, match=r"missing\.txt:1:1: found no readable file \(No such file"):
        arrival_times(Arrivals("replay", file="missing.txt"), 1.0, random.Random(1), tmp_path)
