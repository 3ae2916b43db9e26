"""Splitting is judged by the pauses between pieces, a cut by a connection that breaks on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from experiment.controls import LinkProbe, Reach
from faults.cut_short import CutShort
from faults.splitting import Splitting
from tests.faults.link_probes import REFUSED, SILENT, answered

PIECES = Splitting(40.0, 0.01)  # a probe of 1,000 bytes: 25 pauses of 10 ms, half of which must be seen
CLOSED = Reach(True, None, "closed by the other side")


def carried(reach: Reach, existing: Reach | None = None) -> LinkProbe:
    return LinkProbe(existing or reach, reach, PIECES.probe_bytes)


FAST = carried(answered(0.002))


def test_pauses_between_pieces_are_the_effect() -> None:
    """1,000 bytes in pieces of 40 take a quarter of a second longer."""
    effect = PIECES.judge(FAST, carried(answered(0.25)))
    assert effect.seen
    assert effect.existing_connections == "affected"
    assert effect.statement == "1000 bytes in 2 ms -> 250 ms"


@pytest.mark.parametrize("reach", [answered(0.1), REFUSED, CLOSED])
def test_what_is_not_slower_by_the_pauses_is_not_split(reach: Reach) -> None:
    """A little slower, refused or closed is something else."""
    assert not PIECES.judge(FAST, carried(reach)).seen


def test_bytes_that_do_not_arrive_in_time_are_split() -> None:
    """Nothing until the deadline is slower than the pauses."""
    assert PIECES.judge(FAST, carried(SILENT)).seen


def test_older_connections_are_told_apart() -> None:
    """One that is as fast as before was not touched; where there was none nothing is known."""
    assert PIECES.judge(FAST, carried(answered(0.25), answered(0.002))).existing_connections == "not affected"
    without = LinkProbe(REFUSED, answered(0.002), PIECES.probe_bytes)
    assert PIECES.judge(without, carried(answered(0.25))).existing_connections == "unknown"


def test_gone_means_fast_again() -> None:
    """Slow, silent or closed is not healed."""
    assert PIECES.gone(FAST, FAST).seen
    for reach in (answered(0.25), SILENT, CLOSED):
        assert not PIECES.gone(FAST, carried(reach)).seen


def test_a_cut_is_a_connection_that_breaks_on_the_way() -> None:
    """Closed before the answer; silence and a refusal are other faults."""
    fault = CutShort(1200.0)
    assert fault.judge(FAST, carried(CLOSED)).seen
    assert not fault.judge(FAST, carried(SILENT)).seen
    assert not fault.judge(FAST, carried(REFUSED)).seen
    assert not fault.judge(FAST, FAST).seen
    assert not fault.judge(carried(CLOSED), carried(CLOSED)).seen
    assert fault.judge(FAST, carried(CLOSED, answered(0.002))).existing_connections == "not affected"
    assert fault.gone(FAST, FAST).seen
    assert not fault.gone(FAST, carried(CLOSED)).seen


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Splitting(0.5, 0.01), "pieces of 0.5 B; expected a whole number of bytes"),
        (lambda: Splitting(40.0, 0.0), "no pause between pieces"),
        (lambda: CutShort(0.0), "a cut after 0 B; expected a whole number of bytes up to 64KB"),
        (lambda: CutShort(65_000.0), "a cut after 65000 B"),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], object], message: str) -> None:
    """What no proxy can set exactly is told before anything starts."""
    with pytest.raises(ValueError, match=message):
        make()
