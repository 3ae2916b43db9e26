"""The statements of the dashboard: what it keeps of the others' facts, and what it reads in tables that are
not its own."""

from __future__ import annotations

DDL = """
    CREATE TABLE IF NOT EXISTS result (
        report text PRIMARY KEY, version int NOT NULL, patient text NOT NULL, code text NOT NULL,
        value text NOT NULL, unit text NOT NULL, flag text NOT NULL, status text NOT NULL,
        at float8 NOT NULL);
    CREATE INDEX IF NOT EXISTS result_of_patient ON result (patient, at);
    CREATE TABLE IF NOT EXISTS medication (
        rx text PRIMARY KEY, version int NOT NULL, patient text NOT NULL, dose text NOT NULL,
        status text NOT NULL, at float8 NOT NULL);
    CREATE INDEX IF NOT EXISTS medication_of_patient ON medication (patient, at);
    CREATE TABLE IF NOT EXISTS insurance (
        patient text PRIMARY KEY, coverage text NOT NULL, status text NOT NULL, at float8 NOT NULL);
    CREATE TABLE IF NOT EXISTS person (id text PRIMARY KEY, version int NOT NULL, at float8 NOT NULL);
    CREATE TABLE IF NOT EXISTS dead_letter (
        id text PRIMARY KEY, report text NOT NULL, schema text NOT NULL, event text NOT NULL,
        at float8 NOT NULL)
"""

# Tails of a statement that begins with the events that are fresh ($1: ids of all events of the batch). $2
# says whether an older version never overwrites a newer one; from $3 on stand ids and columns of the rows.
RESULTS = """
    INSERT INTO result AS p (report, version, patient, code, value, unit, flag, status, at)
    SELECT v.report, v.version, v.patient, v.code, v.value, v.unit, v.flag, v.status, v.at
    FROM unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::text[], $11::text[], $12::float8[])
        AS v (event, report, version, patient, code, value, unit, flag, status, at)
        JOIN fresh ON fresh.id = v.event
    ON CONFLICT (report) DO UPDATE SET version = excluded.version, patient = excluded.patient,
        code = excluded.code, value = excluded.value, unit = excluded.unit, flag = excluded.flag,
        status = excluded.status, at = excluded.at
    WHERE excluded.version > p.version OR NOT $2
"""
MEDICATIONS = """
    INSERT INTO medication AS p (rx, version, patient, dose, status, at)
    SELECT v.rx, v.version, v.patient, v.dose, v.status, v.at
    FROM unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::float8[])
        AS v (event, rx, version, patient, dose, status, at) JOIN fresh ON fresh.id = v.event
    ON CONFLICT (rx) DO UPDATE SET version = excluded.version, dose = excluded.dose, status = excluded.status,
        patient = CASE WHEN excluded.patient = '' THEN p.patient ELSE excluded.patient END, at = excluded.at
    WHERE excluded.version > p.version OR NOT $2
"""
INSURANCES = """
    INSERT INTO insurance AS p (patient, coverage, status, at)
    SELECT v.patient, v.coverage, v.status, v.at
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::float8[])
        AS v (event, patient, coverage, status, at) JOIN fresh ON fresh.id = v.event
    ON CONFLICT (patient) DO UPDATE SET coverage = excluded.coverage, status = excluded.status,
        at = excluded.at
    WHERE excluded.at > p.at OR NOT $2
"""
PERSONS = """
    INSERT INTO person AS p (id, version, at)
    SELECT v.id, v.version, v.at FROM unnest($3::text[], $4::text[], $5::int[], $6::float8[])
        AS v (event, id, version, at) JOIN fresh ON fresh.id = v.event
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, at = excluded.at
    WHERE excluded.version > p.version OR NOT $2
"""

DEAD_LETTERS = """
    INSERT INTO dead_letter (id, report, schema, event, at)
    SELECT v.id, v.report, v.schema, v.event, v.at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[])
        AS v (id, report, schema, event, at)
    ON CONFLICT (id) DO NOTHING
"""

# What a dashboard that shares the database of the laboratory asks its tables: with the columns of the release
# that it is.
OLD = "o.code, o.value, o.unit, o.interpretation"
NEW = (
    "o.observation_code AS code, o.quantity_value AS value, o.quantity_unit AS unit, o.flag AS interpretation"
)


def tables_of_lab(upgraded: bool, whose: str) -> str:
    """`whose` is a condition, an order, or both."""
    return f"""
        SELECT r.id AS report, r.version, r.patient, r.status, r.at, {NEW if upgraded else OLD}
        FROM lab.report r JOIN lab.observation o ON o.report = r.id AND o.seq = 1 {whose}
    """
