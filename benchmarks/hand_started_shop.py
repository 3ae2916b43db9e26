"""The example shop as somebody else would have started it: plain processes without a word of the harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from experiment.topology import load_system
from measurement.properties import KINDS
from runtimes.leftovers import Journal
from runtimes.processes.stores import make_stores
from runtimes.runtime import Address

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop"
PORTS = {
    "storefront": 18080,
    "orders": 18081,
    "stock": 18082,
    "payments": 18083,
    "postgres": 15432,
    "bus": 14222,
}
READY_WITHIN_S = 60.0


@contextmanager
def running_shop(
    folder: Path, urls: Mapping[str, str] | None = None
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The shop until the end of the block; `urls` are variables that go before those given here, such as
    another PAYMENTS_URL. The passwords of its databases are in this process's environment."""
    system = load_system(SHOP / "system.yaml", KINDS)
    journal = Journal(folder, "shop")
    addresses = {name: Address("127.0.0.1", port) for name, port in PORTS.items()}
    (journal.folder / "logs").mkdir(exist_ok=True)
    stores = make_stores(system, folder, addresses, journal)
    children = [part.start() for part in stores.parts.values()]
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        wait_for(lambda: all(not part.complaint() for part in stores.parts.values()))
        for name in ("payments", "stock", "orders", "storefront"):
            environment = {**os.environ, **_environment(name, stores.passwords), **(urls or {})}
            words = [
                "-m",
                "uvicorn",
                f"services.{name}:app",
                "--host",
                "127.0.0.1",
                "--port",
                str(PORTS[name]),
            ]
            log = (journal.folder / "logs" / f"{name}.log").open("wb")
            started[name] = subprocess.Popen(
                [sys.executable, *words], cwd=SHOP, env=environment, stdout=log, stderr=log
            )
            wait_for(partial(_answers, PORTS[name]))
        for owner, password in stores.passwords.items():
            os.environ[f"{owner.upper()}_PASSWORD"] = password
        yield started
    finally:
        for child in started.values():
            child.send_signal(signal.SIGKILL)
            child.wait()
        for one in children:
            one.stop(5.0, signal.SIGQUIT)
        journal.close(remove=True)


def _environment(name: str, passwords: Mapping[str, str]) -> dict[str, str]:
    at = {callee: f"127.0.0.1:{port}" for callee, port in PORTS.items()}
    found = {"NATS_URL": f"nats://{at['bus']}"}
    found |= {f"{callee.upper()}_URL": f"http://{at[callee]}" for callee in ("orders", "stock", "payments")}
    if name in passwords:
        found["DATABASE_URL"] = f"postgresql+psycopg://{name}:{passwords[name]}@{at['postgres']}/{name}"
    return found | {
        "PAYMENTS_TIMEOUT_S": "0.5",
        "PAYMENTS_ATTEMPTS": "3",
        "STOREFRONT_TIMEOUT_S": "4",
        "PAYMENTS_SEND_KEY": "false",
        "FINISH_PENDING": "false",
    }


def wait_for(ready: Callable[[], bool]) -> None:
    """Until it is so. Raises TimeoutError."""
    end = time.monotonic() + READY_WITHIN_S
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("the shop is not ready")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2.0) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
