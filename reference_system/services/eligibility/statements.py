"""The statements of eligibility."""

from __future__ import annotations

from reference_system.common.patterns import outbox

DDL = """
    CREATE TABLE IF NOT EXISTS coverage (id text PRIMARY KEY, body bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS inquiry (
        encounter text PRIMARY KEY, coverage text NOT NULL, patient text NOT NULL, status text NOT NULL,
        source text, receipt text, attempts int NOT NULL DEFAULT 0,
        due_at float8 NOT NULL, at float8 NOT NULL, cached text, cached_at float8)
"""

# An answer of the payer; it is kept once, the first one stands.
DECIDE = f"""
    WITH d AS (
        INSERT INTO inquiry AS i (encounter, coverage, patient, status, source, receipt, attempts, due_at, at)
        VALUES ($1, $2, $3, $4, 'payer', $5, 1, 0, $6)
        ON CONFLICT (encounter) DO UPDATE SET status = excluded.status, source = 'payer',
            receipt = excluded.receipt, attempts = i.attempts + 1, at = excluded.at
        WHERE i.status = 'pending' RETURNING encounter
    ), o AS (
        {outbox.insert(7, "d")}
    ) SELECT encounter FROM d
"""

# No answer yet: the inquiry is kept, and when it is due again.
KEEP = """
    INSERT INTO inquiry AS i (encounter, coverage, patient, status, attempts, due_at, at)
    VALUES ($1, $2, $3, 'pending', $4, $5, $6)
    ON CONFLICT (encounter) DO UPDATE SET attempts = i.attempts + excluded.attempts,
        due_at = greatest(i.due_at, excluded.due_at)
    WHERE i.status = 'pending'
"""

ANSWERED_FROM_CACHE = """
    INSERT INTO inquiry AS i (encounter, coverage, patient, status, due_at, at, cached, cached_at)
    VALUES ($1, $2, $3, 'pending', $4, $5, $6, $5)
    ON CONFLICT (encounter) DO UPDATE SET cached = excluded.cached, cached_at = excluded.cached_at
"""

# Tail of a statement that begins with the events that are fresh ($1: ids of all events of the batch).
NOTE = """
    INSERT INTO inquiry (encounter, coverage, patient, status, due_at, at)
    SELECT v.encounter, v.coverage, v.patient, 'pending', $5, v.at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $6::float8[])
        AS v (event, encounter, coverage, patient, at) JOIN fresh ON fresh.id = v.event
    ON CONFLICT (encounter) DO NOTHING RETURNING encounter
"""
