"""The statements of prescriptions: each is one transaction that writes the version, its history and its
event."""

from __future__ import annotations

from reference_system.common.patterns import outbox

DDL = """
    CREATE TABLE IF NOT EXISTS rx (
        id text PRIMARY KEY, version int NOT NULL, status text NOT NULL, dose text NOT NULL,
        patient text NOT NULL, body bytea NOT NULL, at float8 NOT NULL, fingerprint text NOT NULL);
    CREATE TABLE IF NOT EXISTS rx_version (
        rx text NOT NULL, version int NOT NULL, status text NOT NULL, dose text NOT NULL, body bytea NOT NULL,
        at float8 NOT NULL, PRIMARY KEY (rx, version));
    CREATE TABLE IF NOT EXISTS reservation (
        dispense text PRIMARY KEY, rx text NOT NULL, version int NOT NULL, at float8 NOT NULL)
"""

CREATE = f"""
    WITH n AS (
        INSERT INTO rx (id, version, status, dose, patient, body, at, fingerprint)
        VALUES ($1, 1, $2, $3, $4, $5, $6, $8)
        ON CONFLICT (id) DO NOTHING RETURNING id
    ), h AS (
        INSERT INTO rx_version (rx, version, status, dose, body, at) SELECT id, 1, $2, $3, $5, $6 FROM n
    ), o AS (
        {outbox.insert(7, "n")}
    ) SELECT id FROM n
"""

COMPARE_AND_SET = f"""
    WITH u AS (
        UPDATE rx SET version = $2 + 1, status = $3, dose = $4, body = $5, at = $6
        WHERE id = $1 AND version = $2 RETURNING id, version
    ), h AS (
        INSERT INTO rx_version (rx, version, status, dose, body, at) SELECT id, version, $3, $4, $5, $6 FROM u
    ), o AS (
        {outbox.insert(7, "u")}
    ) SELECT version FROM u
"""

# Read, then write whatever was read plus one: of two writers at once the second overwrites the first.
OVERWRITE = f"""
    WITH u AS (
        UPDATE rx SET version = $2::int + 1, status = $3, dose = $4, body = $5, at = $6
        WHERE id = $1 RETURNING id, version
    ), h AS (
        INSERT INTO rx_version (rx, version, status, dose, body, at) SELECT id, version, $3, $4, $5, $6 FROM u
        ON CONFLICT (rx, version) DO UPDATE
        SET status = excluded.status, dose = excluded.dose, body = excluded.body, at = excluded.at
    ), o AS (
        {outbox.insert(7, "u")}
    ) SELECT version FROM u
"""

# The row lock orders the reservation against every change; a repeat takes the version that is current then.
# It holds nobody back afterwards: a change during the hand-over overlaps it, and a stop must not wait.
RESERVE = """
    WITH r AS (
        SELECT id, version, status, dose, patient FROM rx WHERE id = $1 FOR UPDATE
    ), i AS (
        INSERT INTO reservation (dispense, rx, version, at) SELECT $2, id, version, $3 FROM r
        WHERE status = 'active'
        ON CONFLICT (dispense) DO UPDATE SET version = excluded.version, at = excluded.at
    ) SELECT version, status, dose, patient FROM r
"""
