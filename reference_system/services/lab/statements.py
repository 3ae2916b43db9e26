"""The statements of the laboratory. Those that touch observations depend on which columns the table has now:
see `migration`."""

from __future__ import annotations

from functools import cache

from reference_system.common.patterns import outbox

DDL = """
    CREATE TABLE IF NOT EXISTS service_request (
        id text PRIMARY KEY, patient text NOT NULL, body bytea NOT NULL, at float8 NOT NULL,
        fingerprint text NOT NULL);
    CREATE TABLE IF NOT EXISTS report (
        id text PRIMARY KEY, version int NOT NULL, status text NOT NULL, patient text NOT NULL,
        body bytea NOT NULL, at float8 NOT NULL);
    CREATE INDEX IF NOT EXISTS report_of_patient ON report (patient, at);
    CREATE TABLE IF NOT EXISTS report_version (
        report text NOT NULL, version int NOT NULL, status text NOT NULL, value text NOT NULL,
        urgency text NOT NULL, at float8 NOT NULL, fingerprint text NOT NULL, PRIMARY KEY (report, version));
    CREATE TABLE IF NOT EXISTS observation (
        report text NOT NULL, seq int NOT NULL, code text, value float8, unit text, interpretation text,
        PRIMARY KEY (report, seq))
"""

Columns = tuple[str, str, str, str]
OLD: Columns = ("code", "value", "unit", "interpretation")
NEW: Columns = ("observation_code", "quantity_value", "quantity_unit", "flag")

ORDER = """
    INSERT INTO service_request (id, patient, body, at, fingerprint) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO NOTHING RETURNING id
"""

KNOWN = """
    SELECT r.version, r.status, (
        SELECT v.version FROM report_version v WHERE v.report = r.id AND v.fingerprint = $2 LIMIT 1
    ) AS same FROM report r WHERE r.id = $1
"""


@cache
def publish(writes: tuple[Columns, ...]) -> str:
    """Report, version, observations and event in one transaction, if the report is still of version $2, or
    without $15 whatever it is.

    $1 report, $2 the version before, $3 status, $4 patient, $5 body, $6 at, $7 value, $8 urgency,
    $9 fingerprint, $10 event, $11 to $14 code, value, unit and flag of each observation.
    """
    columns = ", ".join(name for layout in writes for name in layout)
    values = ", ".join("o.code, o.value, o.unit, o.flag" for _ in writes)
    renewed = ", ".join(f"{name} = excluded.{name}" for layout in writes for name in layout)
    return f"""
        WITH r AS (
            INSERT INTO report AS r (id, version, status, patient, body, at)
            VALUES ($1, $2 + 1, $3, $4, $5, $6)
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status,
                body = excluded.body, at = excluded.at
            WHERE r.version = $2 OR NOT $15::boolean RETURNING id
        ), v AS (
            INSERT INTO report_version (report, version, status, value, urgency, at, fingerprint)
            SELECT id, $2 + 1, $3, $7, $8, $6, $9 FROM r
            ON CONFLICT (report, version) DO UPDATE SET status = excluded.status, value = excluded.value,
                urgency = excluded.urgency, at = excluded.at, fingerprint = excluded.fingerprint
        ), n AS (
            INSERT INTO observation (report, seq, {columns})
            SELECT r.id, o.seq, {values} FROM r,
                unnest($11::text[], $12::float8[], $13::text[], $14::text[])
                    WITH ORDINALITY AS o (code, value, unit, flag, seq)
            ON CONFLICT (report, seq) DO UPDATE SET {renewed}
        ), o AS (
            {outbox.insert(10, "r")}
        ) SELECT id FROM r
    """


@cache
def results(reads: Columns, of: str) -> str:
    """The first observation of reports, under the names of the old columns. $1: a patient (`of` "patient") or
    nothing ("all")."""
    old = ", ".join(f"o.{name} AS {alias}" for name, alias in zip(reads, OLD, strict=True))
    whose = "WHERE r.patient = $1 ORDER BY r.at DESC LIMIT 50" if of == "patient" else "ORDER BY r.at"
    return f"""
        SELECT r.id AS report, r.version, r.patient, r.status, r.at, {old}
        FROM report r JOIN observation o ON o.report = r.id AND o.seq = 1 {whose}
    """
