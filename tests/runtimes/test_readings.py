"""What services say of themselves becomes rows of a history; nothing is made up for the silent."""

from __future__ import annotations

import pytest

from experiment.history import Record, Sample
from runtimes.readings import records_of, samples_of
from runtimes.runtime import Zero

METRICS = {
    "service": "billing",
    "cpu_s": 1.5,
    "links": {"payments": {"attempts": 7, "breaker_state": "half_open"}},
    "received": {"client": 4},
    "events": {},
}


def test_metrics_are_flattened() -> None:
    """Counters of links are about the callee, received requests about the caller; text is left out."""
    assert list(samples_of("billing", METRICS, 2.0)) == [
        Sample(2.0, "billing", "up", 1.0),
        Sample(2.0, "billing", "cpu_s", 1.5),
        Sample(2.0, "billing", "attempts", 7.0, "payments"),
        Sample(2.0, "billing", "breaker_state", 1.0, "payments"),
        Sample(2.0, "billing", "received", 4.0, "client"),
    ]


def test_a_silent_service_has_no_counters() -> None:
    """Only that it was not up; a zero would be a measurement that nobody made."""
    assert list(samples_of("billing", None, 2.0)) == [Sample(2.0, "billing", "up", 0.0)]


def test_records_are_moved_to_the_clock_of_the_run() -> None:
    """Fields that a kind of record does not have stay empty."""
    lines = (
        b'{"kind": "charge", "key": "inv-1", "id": "ch-1", "at": 1000.5, '
        b'"amount": 12.5, "caller": "billing"}\n'
        b'{"kind": "saga", "key": "inv-1", "status": "completed", "at": null}\n'
    )
    assert records_of("payments", lines, Zero(0.0, 1000.0)) == [
        Record("payments", "charge", "inv-1", "ch-1", 0.5, amount=12.5, caller="billing"),
        Record("payments", "saga", "inv-1", status="completed"),
    ]


def test_a_record_that_is_not_as_agreed_is_refused() -> None:
    """A row without its key, or with text for a number, spoils every judgement built on it."""
    with pytest.raises(ValueError, match="key"):
        records_of("payments", b'{"kind": "charge"}\n', Zero(0.0, 0.0))
    with pytest.raises(ValueError, match="float"):
        records_of("payments", b'{"kind": "charge", "key": "k", "amount": "12"}\n', Zero(0.0, 0.0))
