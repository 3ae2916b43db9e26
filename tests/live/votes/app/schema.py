"""Makes the table of the votes, and ends: the worker starts after it."""

import psycopg

with psycopg.connect(
    "host=db user=postgres password=postgres connect_timeout=5", autocommit=True
) as database:
    database.execute("CREATE TABLE votes (id text PRIMARY KEY, vote text NOT NULL)")
