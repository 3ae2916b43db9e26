"""The statements of notify: each is one transaction."""

from __future__ import annotations

DDL = """
    CREATE TABLE IF NOT EXISTS notice (
        id text PRIMARY KEY, patient text NOT NULL, report text NOT NULL, status text NOT NULL,
        at float8 NOT NULL);
    CREATE INDEX IF NOT EXISTS notice_queued ON notice (at) WHERE status = 'queued';
    CREATE TABLE IF NOT EXISTS delivery (
        notice text NOT NULL, person text NOT NULL, status text NOT NULL, channel text,
        due_at float8 NOT NULL, PRIMARY KEY (notice, person));
    CREATE INDEX IF NOT EXISTS delivery_open ON delivery (due_at) WHERE status IN ('due', 'sending');
    CREATE TABLE IF NOT EXISTS session (
        id text PRIMARY KEY, patient text NOT NULL, status text NOT NULL, participants text[] NOT NULL,
        at float8 NOT NULL)
"""

# Tail of a statement that begins with the events that are fresh ($1: ids of what the notices come from). A
# notice and what is to be done about it are one transaction: $6 is the time to an escalation, null without.
KEEP = """, n AS (
        INSERT INTO notice (id, patient, report, status, at)
        SELECT v.id, v.patient, v.report, 'queued', v.at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[])
            AS v (source, id, patient, report, at) JOIN fresh ON fresh.id = v.source
        ON CONFLICT (id) DO NOTHING RETURNING id, at
    ), d AS (
        INSERT INTO delivery (notice, person, status, due_at)
        SELECT id, 'on-call', 'due', at FROM n
        UNION ALL SELECT id, 'second', 'due', at + $6::float8 FROM n WHERE $6::float8 IS NOT NULL
    ) SELECT id, at FROM n
"""

OPEN = "SELECT notice, person, due_at FROM delivery WHERE status IN ('due', 'sending') ORDER BY due_at"

ONE_OPEN = """
    SELECT status, channel FROM delivery WHERE notice = $1 AND person = $2 AND status IN ('due', 'sending')
"""

# Before a page leaves, it is on record by which channel: whatever happens from here on, no other channel is
# asked until this one has certainly refused it.
BEGIN = """
    UPDATE delivery SET status = 'sending', channel = $3
    WHERE notice = $1 AND person = $2 AND status IN ('due', 'sending') RETURNING notice
"""

REFUSED = "UPDATE delivery SET status = 'due' WHERE notice = $1 AND person = $2 AND status = 'sending'"

DELIVERED = """
    WITH d AS (
        UPDATE delivery SET status = 'delivered' WHERE notice = $1 AND person = $2
    ) UPDATE notice SET status = 'told' WHERE id = $1 AND status = 'queued'
"""

# Who acknowledges ends what is still to be done about it.
ACKNOWLEDGE = """
    WITH n AS (
        UPDATE notice SET status = CASE WHEN status = 'queued' THEN status ELSE 'acknowledged' END
        WHERE id = $1 RETURNING id, status
    ), d AS (
        UPDATE delivery SET status = 'cancelled'
        WHERE notice IN (SELECT id FROM n WHERE status = 'acknowledged') AND status IN ('due', 'sending')
    ) SELECT status FROM n
"""

BACKLOG = """
    SELECT (SELECT count(*) FROM notice WHERE status = 'queued') AS untold,
        (SELECT count(*) FROM delivery WHERE status IN ('due', 'sending') AND due_at <= $1) AS due
"""

OPEN_SESSION = """
    INSERT INTO session (id, patient, status, participants, at) VALUES ($1, $2, 'open', '{}', $3)
    ON CONFLICT (id) DO NOTHING RETURNING id
"""

JOIN_SESSION = """
    UPDATE session SET participants =
        CASE WHEN $2::text = ANY (participants) THEN participants ELSE participants || $2::text END
    WHERE id = $1 AND status = 'open'
"""

END_SESSION = "UPDATE session SET status = 'ended' WHERE id = $1"
