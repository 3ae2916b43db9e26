"""The statements of billing: each is one transaction."""

from __future__ import annotations

from reference_system.common.patterns import outbox

DDL = """
    CREATE TABLE IF NOT EXISTS claim (
        id text PRIMARY KEY, invoice text NOT NULL, amount float8 NOT NULL, status text NOT NULL,
        body bytea NOT NULL, fingerprint text NOT NULL, at float8 NOT NULL);
    CREATE UNIQUE INDEX IF NOT EXISTS claim_invoice ON claim (invoice);
    CREATE INDEX IF NOT EXISTS claim_queued ON claim (at) WHERE status = 'queued';
    CREATE TABLE IF NOT EXISTS invoice (
        id text PRIMARY KEY, claim text NOT NULL, amount float8 NOT NULL, status text NOT NULL, charge text,
        at float8 NOT NULL);
    CREATE TABLE IF NOT EXISTS saga (
        invoice text PRIMARY KEY, status text NOT NULL, key text, attempts int NOT NULL DEFAULT 0,
        at float8 NOT NULL)
"""

# One claim an invoice: neither a known claim nor another one for a known invoice is opened.
OPEN_CLAIM = """
    WITH c AS (
        INSERT INTO claim (id, invoice, amount, status, body, fingerprint, at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING RETURNING id, invoice
    ), i AS (
        INSERT INTO invoice (id, claim, amount, status, at) SELECT invoice, id, $3, 'open', $7 FROM c
        ON CONFLICT (id) DO NOTHING
    ) SELECT id FROM c
"""

HELD_CLAIM = """
    SELECT id, fingerprint FROM claim WHERE id = $1 OR invoice = $2 ORDER BY id = $1 DESC LIMIT 1
"""

SUBMITTED = """
    WITH c AS (
        UPDATE claim SET status = 'submitted' WHERE id = ANY($1::text[]) RETURNING id
    ), o AS (
        INSERT INTO outbox (id, event) SELECT v.id, v.event
        FROM unnest($2::text[], $3::text[]) AS v (id, event)
    ) SELECT count(*) FROM c
"""

# The saga and its payment key are on record before anything is charged.
BEGIN_SAGA = """
    WITH i AS (
        UPDATE invoice SET status = 'paying'
        WHERE id = $1 AND status = 'open' AND ($4::float8 IS NULL OR abs(amount - $4) < 0.005)
        RETURNING id, amount
    ), s AS (
        INSERT INTO saga (invoice, status, key, at) SELECT id, 'running', $2::text, $3::float8 FROM i
        ON CONFLICT (invoice) DO NOTHING
    ) SELECT amount FROM i
"""

END_SAGA = f"""
    WITH s AS (
        UPDATE saga SET status = $2, at = $5 WHERE invoice = $1 AND status = 'running' RETURNING invoice
    ), i AS (
        UPDATE invoice SET status = $3, charge = $4 WHERE id IN (SELECT invoice FROM s)
    ), o AS (
        {outbox.insert(6, "s")}
    ) SELECT invoice FROM s
"""

PAID = f"""
    WITH i AS (
        UPDATE invoice SET status = $2, charge = $3 WHERE id = $1 RETURNING id
    ), o AS (
        {outbox.insert(4, "i")}
    ) SELECT id FROM i
"""
