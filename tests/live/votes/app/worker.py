"""Takes votes from the queue and writes them down. As in the original, a vote is taken before it is known
whether it can be written: when the connection breaks then, it is lost."""

import json
import time

import psycopg
from redis import Redis, RedisError

DATABASE = "host=db user=postgres password=postgres connect_timeout=2"
WRITE = "INSERT INTO votes (id, vote) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET vote = EXCLUDED.vote"


def database() -> psycopg.Connection:
    """Waits until it is there."""
    while True:
        try:
            return psycopg.connect(DATABASE, autocommit=True)
        except psycopg.Error as error:
            print(f"waiting for the database: {error}", flush=True)
            time.sleep(0.5)


def main() -> None:
    queue, votes = Redis(host="redis", socket_timeout=2), database()
    while True:
        try:
            taken = queue.lpop("votes")
        except RedisError as error:
            print(f"waiting for the queue: {error}", flush=True)
            time.sleep(0.5)
            continue
        if taken is None:
            time.sleep(0.05)
            continue
        vote = json.loads(taken)
        try:
            votes.execute(WRITE, (vote["voter_id"], vote["vote"]))
        except psycopg.Error as error:
            print(f"a vote could not be written: {error}", flush=True)
            votes = database()


main()
