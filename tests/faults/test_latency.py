"""Latency is judged by round trips, against what they were before."""

from __future__ import annotations

import pytest

from faults.latency import Latency
from tests.faults.link_probes import QUICK, REFUSED, SILENT, answered, trips


def test_a_round_trip_longer_by_the_delay_is_an_effect() -> None:
    """The statement has both figures, the measurement the time that was added."""
    effect = Latency(0.5).judge(QUICK, trips(answered(0.503)))
    assert effect.seen
    assert effect.statement == "round trip 2.0 ms -> 503.0 ms"
    assert effect.measured["added_s"] == pytest.approx(0.501)
    assert effect.existing_connections == "affected"


def test_an_unchanged_round_trip_is_no_effect() -> None:
    """A fault that was injected and does nothing is not claimed."""
    effect = Latency(0.5).judge(QUICK, QUICK)
    assert not effect.seen
    assert effect.existing_connections == "not affected"


def test_an_older_connection_that_is_spared_is_said_so() -> None:
    """Fresh connections are slow, the older one is not: the fault acts, but not on it."""
    effect = Latency(0.5).judge(QUICK, trips(answered(0.503), existing=answered(0.002)))
    assert effect.seen
    assert effect.existing_connections == "not affected"


def test_the_median_of_short_round_trips_counts() -> None:
    """One slow round trip among quick ones is noise, not latency."""
    noisy = trips(answered(0.002), answered(0.05), answered(0.002))
    assert not Latency(0.02).judge(QUICK, noisy).seen
    assert Latency(0.02).judge(QUICK, trips(answered(0.022), answered(0.05), answered(0.023))).seen


def test_jitter_lowers_what_must_be_seen() -> None:
    """With 100 ms give or take 50 ms, 60 ms more is within the fault, 10 ms more is not."""
    fault = Latency(0.1, jitter=0.05)
    assert fault.judge(QUICK, trips(answered(0.062))).seen
    assert not fault.judge(QUICK, trips(answered(0.012))).seen


def test_a_delay_longer_than_a_probe_is_seen_as_silence() -> None:
    """A probe waits a second at most; what is sure is that it takes longer than that."""
    effect = Latency(8.0, jitter=4.0).judge(QUICK, trips(SILENT, deadline_s=1.0))
    assert effect.seen
    assert effect.statement == "round trip 2.0 ms -> more than 1000 ms"


def test_a_link_that_refuses_is_not_slow() -> None:
    """No connection is another fault than a slow one."""
    assert not Latency(0.5).judge(QUICK, trips(REFUSED)).seen


def test_without_a_round_trip_before_nothing_is_claimed() -> None:
    """A link that gave no answer before the fault cannot show that the fault acts."""
    effect = Latency(0.5).judge(trips(SILENT), trips(SILENT))
    assert not effect.seen
    assert effect.existing_connections == "unknown"


def test_gone_means_near_what_it_was() -> None:
    """After healing the round trip is short again; half of a long delay is not gone."""
    fault = Latency(0.5)
    assert fault.gone(QUICK, trips(answered(0.004))).seen
    assert not fault.gone(QUICK, trips(answered(0.3))).seen
    assert not fault.gone(QUICK, trips(SILENT)).seen


@pytest.mark.parametrize(
    ("delay", "jitter", "message"),
    [(0.0, 0.0, "expected at least 1ms"), (0.1, 0.2, "expected a jitter that is not longer than the delay")],
)
def test_impossible_parameters_are_refused(delay: float, jitter: float, message: str) -> None:
    """The message has what was found and what was expected."""
    with pytest.raises(ValueError, match=message):
        Latency(delay, jitter)
