"""The statements of pharmacy."""

from __future__ import annotations

from reference_system.common.patterns import outbox

DDL = """
    CREATE TABLE IF NOT EXISTS dispense (
        id text PRIMARY KEY, rx text NOT NULL, version int, dose text, status text NOT NULL,
        at float8 NOT NULL, body bytea);
    CREATE TABLE IF NOT EXISTS projection (
        rx text PRIMARY KEY, version int NOT NULL, dose text NOT NULL, status text NOT NULL,
        patient text NOT NULL, as_of float8 NOT NULL);
    CREATE TABLE IF NOT EXISTS tray (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rx text NOT NULL, event text NOT NULL,
        at float8 NOT NULL)
"""

# A held one may be completed later under its identifier; a completed one never changes.
HAND_OVER = f"""
    WITH d AS (
        INSERT INTO dispense AS d (id, rx, version, dose, status, at, body)
        VALUES ($1, $2, $3, $4, 'completed', $5, $6)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, dose = excluded.dose, status = 'completed',
            at = excluded.at, body = excluded.body
        WHERE d.status = 'held' RETURNING id
    ), o AS (
        {outbox.insert(7, "d")}
    ) SELECT id FROM d
"""

HOLD = f"""
    WITH d AS (
        INSERT INTO dispense (id, rx, status, at) VALUES ($1, $2, 'held', $3)
        ON CONFLICT (id) DO NOTHING RETURNING id
    ), o AS (
        {outbox.insert(4, "d")}
    ) SELECT id FROM d
"""

# Tail of a statement that begins with the events that are fresh ($1: ids of all events of the batch). A new
# prescription gets a tray in the shelf, whatever is known of it by then.
PROJECT = """
    , trays AS (
        INSERT INTO tray (rx, event, at) SELECT v.rx, v.event, v.at
        FROM unnest($10::text[], $11::text[], $12::float8[]) AS v (event, rx, at)
        JOIN fresh ON fresh.id = v.event
    )
    INSERT INTO projection AS p (rx, version, dose, status, patient, as_of)
    SELECT v.rx, v.version, v.dose, v.status, v.patient, v.at
    FROM unnest($2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::float8[])
        AS v (event, rx, version, dose, status, patient, at) JOIN fresh ON fresh.id = v.event
    ON CONFLICT (rx) DO UPDATE SET version = excluded.version, dose = excluded.dose, status = excluded.status,
        patient = CASE WHEN excluded.patient = '' THEN p.patient ELSE excluded.patient END,
        as_of = excluded.as_of
    WHERE excluded.version > p.version OR NOT $9
"""
