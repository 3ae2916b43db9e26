"""Bandwidth is judged by how long a known number of bytes takes, there and back."""

from __future__ import annotations

import pytest

from experiment.controls import Direction, LinkProbe, Reach
from faults.bandwidth import Bandwidth
from tests.faults.link_probes import REFUSED, SILENT, answered


def carried(reach: Reach, existing: Reach | None = None) -> LinkProbe:
    """25 kB each way."""
    return LinkProbe(existing or reach, reach, 25_000)


FAST = carried(answered(0.005))


def test_bytes_at_the_rate_asked_for_are_the_effect() -> None:
    """25 kB there and back in half a second are 100 kB/s."""
    effect = Bandwidth(100_000.0).judge(FAST, carried(answered(0.5)))
    assert effect.seen
    assert effect.statement == "25000 bytes there and back at 10000 KB/s -> 100 KB/s"
    assert effect.measured["now_bytes_per_s"] == 100_000
    assert effect.existing_connections == "affected"


@pytest.mark.parametrize(("direction", "seconds"), [("both", 0.5), ("to_callee", 0.25), ("to_caller", 0.25)])
def test_one_limited_direction_takes_half_as_long(direction: Direction, seconds: float) -> None:
    """The rate is that of the limited direction, not of the whole round trip."""
    effect = Bandwidth(100_000.0, direction).judge(FAST, carried(answered(seconds)))
    assert effect.measured["now_bytes_per_s"] == 100_000


def test_bytes_that_do_not_arrive_in_time_are_limited() -> None:
    """A very low rate is seen as bytes that are still on their way."""
    assert Bandwidth(1000.0).judge(FAST, carried(SILENT)).seen


def test_a_rate_above_what_the_link_carries_has_no_effect() -> None:
    """What was slower than the limit before is not limited by it."""
    slow = carried(answered(0.5))
    assert not Bandwidth(1_000_000.0).judge(slow, slow).seen


def test_no_connection_is_not_a_thin_one() -> None:
    """A refused connection is another fault."""
    assert not Bandwidth(100_000.0).judge(FAST, carried(REFUSED)).seen


def test_gone_means_faster_than_the_limit_allows() -> None:
    """Or as fast as it was before."""
    fault = Bandwidth(100_000.0)
    assert fault.gone(FAST, FAST).seen
    assert not fault.gone(FAST, carried(answered(0.5))).seen
    assert not fault.gone(FAST, carried(SILENT)).seen


def test_a_probe_is_as_long_as_a_quarter_of_a_second_carries() -> None:
    """Within limits, so that it neither floods a link nor proves nothing."""
    assert Bandwidth(100_000.0).probe_bytes == 25_000
    assert Bandwidth(1000.0).probe_bytes == 1000
    assert Bandwidth(100_000_000.0).probe_bytes == 256_000


@pytest.mark.parametrize("rate", [0.0, 999.0, 1500.0])
def test_a_rate_that_cannot_be_set_exactly_is_refused(rate: float) -> None:
    """Toxiproxy knows whole KB/s: another rate would silently become one."""
    with pytest.raises(ValueError, match="expected a whole number of KB/s"):
        Bandwidth(rate)
