"""The statements of authz: each is one transaction."""

from __future__ import annotations

DDL = """
    CREATE TABLE IF NOT EXISTS staff (
        id text PRIMARY KEY, role text NOT NULL, wards text[] NOT NULL, active boolean NOT NULL,
        version int NOT NULL, at float8 NOT NULL);
    CREATE TABLE IF NOT EXISTS care (patient text PRIMARY KEY, ward text NOT NULL, barred text[] NOT NULL);
    CREATE TABLE IF NOT EXISTS permit (
        id text PRIMARY KEY, who text NOT NULL, patient text NOT NULL, reason text NOT NULL,
        at float8 NOT NULL, until float8 NOT NULL, source text NOT NULL);
    CREATE INDEX IF NOT EXISTS permit_who ON permit (who, patient);
    CREATE TABLE IF NOT EXISTS review (id text PRIMARY KEY, status text NOT NULL, at float8 NOT NULL)
"""
TABLES = ("staff", "care", "permit", "review")

KNOWN = """
    SELECT s.role, s.wards, c.ward, c.barred,
        EXISTS (SELECT FROM permit WHERE who = $1 AND patient = $2 AND until > $3) AS granted
    FROM (SELECT 1) AS one
    LEFT JOIN staff AS s ON s.id = $1 AND s.active
    LEFT JOIN care AS c ON c.patient = $2
"""

# A grant and its review item are one: there is never one without the other.
GRANT = """
    WITH p AS (
        INSERT INTO permit (id, who, patient, reason, at, until, source)
        SELECT * FROM unnest(
            $1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::text[])
        ON CONFLICT (id) DO NOTHING RETURNING id, at
    ) INSERT INTO review (id, status, at) SELECT id, 'open', at FROM p
"""

ENGAGE = """
    INSERT INTO staff AS s (id, role, wards, active, version, at) VALUES ($1, $2, $3, true, 1, $4)
    ON CONFLICT (id) DO UPDATE SET role = excluded.role, wards = excluded.wards, active = true,
        version = s.version + 1, at = excluded.at
    RETURNING version
"""

DISMISS = """
    UPDATE staff SET active = false, version = version + 1, at = $2 WHERE id = $1 RETURNING version
"""

STAFF = """
    INSERT INTO staff SELECT id, role, string_to_array(wards, ' '), true, 1, $4
    FROM unnest($1::text[], $2::text[], $3::text[]) AS s (id, role, wards)
"""

CARE = """
    INSERT INTO care SELECT patient, ward, string_to_array(barred, ' ')
    FROM unnest($1::text[], $2::text[], $3::text[]) AS c (patient, ward, barred)
"""
