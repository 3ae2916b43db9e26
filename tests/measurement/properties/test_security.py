"""The bindings of the reference system's security on hand-written histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from experiment.rows import Record, Row
from experiment.scenario import Staleness
from experiment.verdict import Verdict
from measurement.quality import grade
from tests.measurement.histories import REFERENCE, history, judged_by, op, read, record, scenario

FORBIDDEN = {"status": 403, "error": "forbidden"}


def verdict(name: str, rows: Sequence[Row | None]) -> Verdict:
    """READ among the rows says that the systems of record were read, each to its last record."""
    given = [row for row in rows if row is not None]
    if None in rows:
        kept = Counter(row.store for row in given if isinstance(row, Record))
        given += read(**{store: kept[store] for store in ("audit", "authz", "registry")})
    a_minute = scenario(staleness=Staleness(age=2.0))
    return judged_by(name, REFERENCE)(history(*given), a_minute, REFERENCE).verdict


def number(version: int | None, source: str = "registry") -> Row:
    return record("audit", "number", source, id=f"{source}-{version}", version=version, t=3.0)


SHOWN = op(1, "view_record", "rec-a-1", 2.0)
KEPT = record("audit", "access", "rec-a-1", id="aud-1", status="shown", t=2.0)
BROKE = op(2, "break_glass", "btg-a-1", 2.0)
GRANT = record("registry", "grant", "btg-a-1", id="btg-a-1", status="granted", t=2.0)
REVIEW = record("authz", "review", "btg-a-1", id="btg-a-1", status="open", t=3.0)
ENGAGED = op(3, "engage", "stf-a-1", 2.0, version=1)
DISMISSED = op(4, "dismiss", "stf-a-1", 3.0, version=2)
UNHEARD = op(1, "view_record", "rec-a-1", 2.0, 4.0, "rejected", error="timeout")
SEEN_SOON = op(6, "view_dismissed", "stf-a-1", 4.5, version=1)
SEEN_LATE = op(6, "view_dismissed", "stf-a-1", 6.0, version=1)
READ = [None]


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("never_fails_open", [SHOWN], Verdict.INCONCLUSIVE),
        ("never_fails_open", [op(5, "pry", "pry-a-1", 2.0, 0.1, "rejected", **FORBIDDEN)], Verdict.PASS),
        ("never_fails_open", [op(5, "pry", "pry-a-1", 2.0)], Verdict.FAIL),
        # Nobody was shown anything: the user gave up.
        ("never_fails_open", [op(5, "pry", "pry-a-1", 2.0, 4.0, "rejected", error="timeout")], Verdict.PASS),
        ("changed_by_right", [SHOWN], Verdict.INCONCLUSIVE),
        (
            "changed_by_right",
            [op(5, "forbidden_order", "frb-a-1", 2.0, 0.1, "rejected", **FORBIDDEN)],
            Verdict.PASS,
        ),
        ("changed_by_right", [op(5, "forbidden_order", "frb-a-1", 2.0)], Verdict.FAIL),
        # Not answered: it may have been written or not, and nobody was told that it was.
        ("changed_by_right", [op(5, "forbidden_report", "lab-a-1", 2.0, 4.0, "indeterminate")], Verdict.PASS),
        ("break_glass_reviewed", [SHOWN, *READ], Verdict.INCONCLUSIVE),
        ("break_glass_reviewed", [BROKE, REVIEW, *READ], Verdict.PASS),
        ("break_glass_reviewed", [BROKE, GRANT, *READ], Verdict.FAIL),
        ("break_glass_reviewed", [BROKE], Verdict.INCONCLUSIVE),
        # Refused, and yet a grant is on record: it must be reviewed all the same.
        ("break_glass_reviewed", [replace(BROKE, outcome="rejected"), GRANT, *READ], Verdict.FAIL),
        ("audit_complete", READ, Verdict.INCONCLUSIVE),
        ("audit_complete", [SHOWN, KEPT, *READ], Verdict.PASS),
        ("audit_complete", [SHOWN, *READ], Verdict.FAIL),
        # The answer was lost on its way: it may have been shown or not, and both are right.
        (
            "audit_complete",
            [UNHEARD, KEPT, *READ],
            Verdict.INCONCLUSIVE,
        ),
        ("audit_without_gap", READ, Verdict.INCONCLUSIVE),
        ("audit_without_gap", [number(1), number(2), number(3), *READ], Verdict.PASS),
        ("audit_without_gap", [number(1), number(3), *READ], Verdict.FAIL),
        ("audit_without_gap", [number(1), number(1), *READ], Verdict.FAIL),
        ("audit_without_gap", [number(1), number(1, "pharmacy"), number(2), *READ], Verdict.PASS),
        ("audit_chain_intact", READ, Verdict.INCONCLUSIVE),
        ("audit_chain_intact", [record("audit", "chain", "chain", status="intact"), *READ], Verdict.PASS),
        ("audit_chain_intact", [record("audit", "chain", "chain", status="broken"), *READ], Verdict.FAIL),
        ("revoked_in_time", [ENGAGED, DISMISSED], Verdict.INCONCLUSIVE),
        ("revoked_in_time", [ENGAGED, op(6, "view_engaged", "stf-a-1", 2.5, version=1)], Verdict.PASS),
        (
            "revoked_in_time",
            [ENGAGED, DISMISSED, SEEN_SOON],
            Verdict.PASS,
        ),
        (
            "revoked_in_time",
            [ENGAGED, DISMISSED, SEEN_LATE],
            Verdict.FAIL,
        ),
        # Whether the dismissal happened is not known: nobody was told that it did.
        (
            "revoked_in_time",
            [
                ENGAGED,
                op(4, "dismiss", "stf-a-1", 3.0, 4.0, "indeterminate"),
                op(6, "view_dismissed", "stf-a-1", 9.0, version=1),
            ],
            Verdict.PASS,
        ),
        ("shown_nothing_when_full", [SHOWN], Verdict.INCONCLUSIVE),
        (
            "shown_nothing_when_full",
            [op(7, "view_record", "rec-a-2", 2.0, 0.1, "rejected", status=503, error="shed")],
            Verdict.PASS,
        ),
    ],
)
def test_each_binding_on_a_history_of_a_few_lines(
    name: str, rows: list[Row | None], expected: Verdict
) -> None:
    """Empty, good, bad and uncertain."""
    assert verdict(name, rows) is expected


def test_who_must_be_refused_is_served_well_by_a_refusal() -> None:
    """A success is not good then, nor is another refusal than the one that was meant."""
    rows = [
        op(1, "pry", "pry-a-1", 2.0, 0.1, "rejected", **FORBIDDEN),
        op(2, "pry", "pry-a-2", 2.0),
        op(3, "pry", "pry-a-3", 2.0, 0.1, "rejected", status=404, error="not_found"),
        op(4, "pry", "pry-a-4", 2.0, 1.5, "rejected", **FORBIDDEN),
        op(5, "view_record", "rec-a-5", 2.0),
    ]
    graded = grade(history(*rows), scenario(), REFERENCE, pl.Series(dtype=pl.Int64))
    assert graded.sort("journey", "latency")["good"].sum() == 2
    assert graded.filter(pl.col("journey") == "pry").sort("latency")["succeeded"].to_list().count(True) == 2
    assert set(graded["kind"].drop_nulls()) == {"not_found"}
