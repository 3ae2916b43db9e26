"""Fills a system that people started with `docker compose up`: `python seed.py POPULATION SERVICE...`.

Every service gets POST /admin/reset with the same patients, as before a run. It is mounted, not built in.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from pathlib import Path

DEADLINE_S = 60.0
POLL_S = 0.2
ANSWER_WITHIN_S = 30.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of HTTP_PROXY


def seed(url: str, population: bytes) -> None:
    """Reset one service with these patients, once it is ready. Raises OSError."""
    end = time.monotonic() + DEADLINE_S
    while not _ready(url):
        if time.monotonic() > end:
            raise TimeoutError(f"{url} is not ready after {DEADLINE_S:g} s")
        time.sleep(POLL_S)
    order = urllib.request.Request(f"{url}/admin/reset", population, method="POST")
    DIRECT.open(order, timeout=ANSWER_WITHIN_S).close()


def _ready(url: str) -> bool:
    try:
        DIRECT.open(f"{url}/ready", timeout=1.0).close()
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """1 when a service could not be seeded; the message says which and why."""
    population, services = Path(arguments[0]).read_bytes(), arguments[1:]
    for service in services:
        try:
            seed(f"http://{service}:8080", population)
        except OSError as error:
            print(f"{service} could not be seeded: {error}", file=sys.stderr)
            return 1
    print(f"{', '.join(services)}: seeded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
