"""The statements of the gateway: each is one transaction."""

from __future__ import annotations

DDL = """
    CREATE TABLE IF NOT EXISTS received (
        id text PRIMARY KEY, sender text NOT NULL, control text NOT NULL, kind text NOT NULL,
        patient text NOT NULL, origin text NOT NULL, at float8 NOT NULL, print text NOT NULL,
        raw bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS outcome (
        received text PRIMARY KEY, status text NOT NULL, reason text NOT NULL, at float8 NOT NULL);
    CREATE INDEX IF NOT EXISTS outcome_status ON outcome (status, at);
    CREATE TABLE IF NOT EXISTS known (
        sender text NOT NULL, control text NOT NULL, print text NOT NULL, ack bytea NOT NULL,
        received text NOT NULL, PRIMARY KEY (sender, control));
    CREATE TABLE IF NOT EXISTS thing (
        kind text NOT NULL, key text NOT NULL, status text NOT NULL, value text NOT NULL,
        sent_at float8 NOT NULL, received text NOT NULL, PRIMARY KEY (kind, key));
    CREATE TABLE IF NOT EXISTS batch (
        id text PRIMARY KEY, name text NOT NULL, status text NOT NULL, reason text NOT NULL,
        messages int NOT NULL, at float8 NOT NULL, raw bytea NOT NULL);
    CREATE INDEX IF NOT EXISTS batch_waiting ON batch (at) WHERE status = 'waiting';
    CREATE TABLE IF NOT EXISTS delivery (
        seq bigserial PRIMARY KEY, received text NOT NULL, patient text NOT NULL, callee text NOT NULL,
        key text NOT NULL, what text NOT NULL, body text NOT NULL, context text NOT NULL);
    CREATE INDEX IF NOT EXISTS delivery_received ON delivery (received)
"""
TABLES = ("received", "outcome", "known", "thing", "batch", "delivery")


def _keep(first: int, sent_at: int) -> str:
    """A thing keeps what the newest message says, and of one time a correction before what it corrects.
    `first` is the number of the first of four arrays."""
    kind, key, status, value = range(first, first + 4)
    return f"""
        INSERT INTO thing (kind, key, status, value, sent_at, received)
        SELECT u.kind, u.key, u.status, u.value, ${sent_at}, $1
        FROM s, unnest(${kind}::text[], ${key}::text[], ${status}::text[], ${value}::text[])
            AS u (kind, key, status, value)
        WHERE s.status = 'applied'
        ON CONFLICT (kind, key) DO UPDATE SET
            status = EXCLUDED.status, value = EXCLUDED.value, sent_at = EXCLUDED.sent_at,
            received = EXCLUDED.received
        WHERE EXCLUDED.sent_at > thing.sent_at
           OR (EXCLUDED.sent_at = thing.sent_at AND (thing.status <> 'C' OR EXCLUDED.status = 'C'))
        RETURNING kind, key
    """


def _deliver(first: int, patient: int) -> str:
    """What is to be delivered of the things that were kept, and whether it is durable. `first` is the number
    of the first of four arrays: callee, key, what, body; then come the trace and `durable`."""
    callee, key, what, body, context, durable = range(first, first + 6)
    return f"""
        INSERT INTO delivery (received, patient, callee, key, what, body, context)
        SELECT $1, ${patient}, u.callee, u.key, u.what, u.body, ${context}
        FROM unnest(${callee}::text[], ${key}::text[], ${what}::text[], ${body}::text[])
            WITH ORDINALITY AS u (callee, key, what, body, place)
        JOIN t ON t.kind = u.callee AND t.key = u.key
        WHERE ${durable}::boolean ORDER BY u.place
    """


KEPT = "array(SELECT kind || ' ' || key FROM t) AS kept"

# $1 id $2 sender $3 control $4 kind $5 patient $6 origin $7 at $8 sent at $9 fingerprint $10 raw $11 code
# $12 reason $13 acknowledgement $14 known messages are told $15 what is not applied is kept $16-$19 things
# $20-$25 deliveries
TAKE = f"""
    WITH h AS (
        SELECT print, ack FROM known WHERE sender = $2 AND control = $3 AND $14
    ), s AS (
        SELECT CASE WHEN $11 = 'AR' THEN 'rejected'
                    WHEN h.print IS NULL THEN CASE WHEN $11 = 'AA' THEN 'applied' ELSE 'dead-lettered' END
                    WHEN h.print = $9 THEN 'duplicate'
                    ELSE 'dead-lettered' END AS status,
               h.print IS NOT NULL AND h.print <> $9 AND $11 <> 'AR' AS reused, h.ack
        FROM (SELECT 1) AS one LEFT JOIN h ON true
    ), r AS (
        INSERT INTO received (id, sender, control, kind, patient, origin, at, print, raw)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $9, $10)
    ), o AS (
        INSERT INTO outcome (received, status, reason, at)
        SELECT $1, status, CASE WHEN reused THEN 'MSH-10 was used for another message' ELSE $12 END, $7
        FROM s WHERE status IN ('applied', 'duplicate') OR $15
    ), k AS (
        INSERT INTO known (sender, control, print, ack, received)
        SELECT $2, $3, $9, $13, $1 FROM s
        WHERE $14 AND $11 <> 'AR' AND s.ack IS NULL
        ON CONFLICT DO NOTHING
    ), t AS ({_keep(16, 8)}
    ), d AS ({_deliver(20, 5)}
    ) SELECT status, reused, ack, {KEPT} FROM s
"""

# A dead letter is applied after all: $1 id $2 kind $3 patient $4 at $5 sent at $6 fingerprint $7 raw $8-$11
# things $12-$17 deliveries
REPLAY = f"""
    WITH s AS (
        UPDATE outcome SET status = 'applied', reason = '', at = $4
        WHERE received = $1 AND status = 'dead-lettered' RETURNING status
    ), r AS (
        UPDATE received SET raw = $7, print = $6, kind = $2, patient = $3
        WHERE id = $1 AND EXISTS (SELECT FROM s)
    ), t AS ({_keep(8, 5)}
    ), d AS ({_deliver(12, 3)}
    ) SELECT status, {KEPT} FROM s
"""

UNDELIVERED = "SELECT received, patient, callee, key, what, body, context FROM delivery ORDER BY seq"
DELIVERED = "DELETE FROM delivery WHERE received = $1 AND callee = $2 AND key = $3"
# What a message asked of others was refused: $1 received $2 reason $3 at $4 it is kept
REFUSED = """
    WITH d AS (DELETE FROM delivery WHERE received = $1)
    UPDATE outcome SET status = 'dead-lettered', reason = $2, at = $3
    WHERE received = $1 AND status = 'applied' AND $4
"""
# What applied messages asked of services that have records of it.
ASKED = """
    SELECT t.key, t.received AS id, r.at, t.kind AS status, r.control AS value
    FROM thing t JOIN outcome o ON o.received = t.received AND o.status = 'applied'
    JOIN received r ON r.id = t.received WHERE t.kind = ANY($1::text[]) ORDER BY r.at
"""

DEAD_LETTERS = """
    SELECT o.received AS id, r.sender, r.control, r.kind, o.reason, o.at
    FROM outcome o JOIN received r ON r.id = o.received
    WHERE o.status = 'dead-lettered' ORDER BY o.at LIMIT 1000
"""
DEAD_LETTER = """
    SELECT r.sender, r.control, r.raw FROM outcome o JOIN received r ON r.id = o.received
    WHERE o.received = $1 AND o.status = 'dead-lettered'
"""

# All results of one order: '0' comes right after '/', which stands between order and code.
RESULTS = """
    SELECT key, status, value, sent_at FROM thing
    WHERE kind = 'result' AND key >= $1 || '/' AND key < $1 || '0' ORDER BY key
"""

BATCH = """
    INSERT INTO batch (id, name, status, reason, messages, at, raw) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
WAITING = "SELECT id, raw FROM batch WHERE status = 'waiting' AND at < $1 ORDER BY at"
BATCH_DONE = "UPDATE batch SET status = $2, reason = $3 WHERE id = $1"

APPLIED = """
    SELECT r.control, r.id, r.at, r.sender AS caller, r.print
    FROM outcome o JOIN received r ON r.id = o.received
    WHERE o.status = 'applied' ORDER BY r.at
"""
RECEIVED = "SELECT sender AS key, id, at, control AS value FROM received ORDER BY at"
OUTCOMES = """
    SELECT r.sender AS key, o.received AS id, o.status, o.at, r.control AS value
    FROM outcome o JOIN received r ON r.id = o.received ORDER BY o.at
"""
BATCHES = "SELECT name AS key, id, at, status, messages::float8 AS amount FROM batch ORDER BY at"
