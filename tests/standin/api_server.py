"""A server that answers as an API server does, and a kubeconfig that leads to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Answers every request with the same status and object, and keeps what came."""

    url: str
    status: int = 200
    answer: Any = field(default_factory=dict)
    wait_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def api_server() -> Iterator[Server]:
    """Serves on loopback until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {key.lower(): value for key, value in self.headers.items()}
            known.asked.append(Asked(self.command, self.path, headers, body))
            time.sleep(known.wait_s)
            sent = json.dumps(known.answer).encode()
            self.send_response(known.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Nothing is written."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        known = Server(f"http://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield known
        http.shutdown()
        thread.join()


def configure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, user: dict[str, Any] | None = None
) -> None:
    """A kubeconfig with two contexts, of which `near` is the current one."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "near",
        "clusters": [
            {"name": "here", "cluster": {"server": url}},
            {"name": "there", "cluster": {"server": "http://127.0.0.1:9"}},
        ],
        "users": [{"name": "me", "user": {"token": "t-1"} if user is None else user}],
        "contexts": [
            {"name": "near", "context": {"cluster": "here", "user": "me"}},
            {"name": "far", "context": {"cluster": "there", "user": "me"}},
        ],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(path))


def status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
