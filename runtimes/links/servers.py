"""Finds and starts Toxiproxy servers: one that runs, the real one when installed, else the embedded one."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from experiment.children import ChildTimeout, run_child
from experiment.errors import StartError
from experiment.stop import Stop
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy
from runtimes.links.states import ToxiproxyError, server_url
from runtimes.loopback import HOST, free_port, taken
from runtimes.runtime import Address
from runtimes.signs import accepts
from runtimes.spawning import Child, Command
from runtimes.toxiproxy.options import TOKEN_VARIABLE
from runtimes.vitals import Wrong, wrong_with

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = "toxiproxy-server"
MOST_PORTS_TRIED = 5
POLL_S = 0.02
STOP_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """Which server would be used, and why. `argv` starts it; `url` is that of one that already runs."""

    kind: str
    reason: str
    argv: tuple[str, ...] = ()
    url: str = ""

    def __str__(self) -> str:
        what = self.url if self.kind == "external" else " ".join(self.argv)
        return f"{self.kind}: {what} ({self.reason})"


def find_server() -> ServerChoice:
    """What `start_server` would use: TOXIPROXY_URL, TOXIPROXY_SERVER, an installed one, the embedded one.

    Raises StartError when one of the two settings names nothing that could be used.
    """
    if url := os.environ.get("TOXIPROXY_URL", ""):
        host, port = _address(url)
        return ServerChoice("external", "TOXIPROXY_URL is set", url=server_url(host, port))
    if binary := os.environ.get("TOXIPROXY_SERVER", ""):
        if binary == "embedded":
            return _embedded("TOXIPROXY_SERVER asks for it")
        found = shutil.which(binary)
        if found is None:
            raise StartError(
                f"TOXIPROXY_SERVER is {binary!r}, which is not a program; expected the path of a "
                f"{BINARY}, or the word 'embedded'; unset it to use what is installed"
            )
        return ServerChoice("real", "TOXIPROXY_SERVER is set", argv=(str(Path(found).absolute()),))
    if found := shutil.which(BINARY):
        return ServerChoice("real", f"{BINARY} is on the PATH", argv=(found,))
    if found := shutil.which(BINARY, path=str(Path(sys.prefix) / "bin")):
        return ServerChoice("real", f"{BINARY} is in the virtual environment", argv=(found,))
    return _embedded(f"no {BINARY} was found")


def _embedded(reason: str) -> ServerChoice:
    return ServerChoice("embedded", reason, argv=(sys.executable, "-m", "runtimes.toxiproxy"))


def tell_version(choice: ServerChoice, deadline_s: float) -> str:
    """The version of the server that would be used, without starting it. Raises StartError if it is none."""
    if choice.kind == "external":
        return _external(choice, deadline_s).version
    command = [*choice.argv, "-version"]
    try:
        ended = run_child(command, cwd=ROOT, within_s=deadline_s)
        shown = repr((ended.out + ended.err).strip()[:200])
    except ChildTimeout:
        shown = f"nothing within {deadline_s:g} s"
    except OSError as error:
        shown = str(error)
    if found := re.search(rf"{BINARY} version (\S+)'", shown):
        return found[1]
    raise StartError(
        f"{choice} is not Toxiproxy: `{' '.join(command)}` gave {shown}, expected '{BINARY} version ...'"
    )


@dataclass(slots=True)
class RunningToxiproxy:
    """A server that answers. `replace` starts it anew after it hung; `stop` ends what is ours."""

    kind: str
    version: str
    host: str
    port: int
    token: str = field(default="", repr=False)
    """What it asks its clients for; empty for none."""
    replaced: int = 0
    """How often it was replaced: a run with a replacement in it is invalid."""
    replacing: bool = False
    """It is replaced just now: what is seen of its process then is our own doing."""
    _child: Child | None = None
    _journal: Journal | None = None
    _journal_is_own: bool = False

    @property
    def url(self) -> str:
        return server_url(self.host, self.port)

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def label(self) -> str:
        """For reports: kind and version."""
        return f"{self.kind} {self.version}"

    def replace(self, deadline_s: float) -> None:
        """Kill the server and start another at its port; `Toxiproxy.rebuild` then makes its proxies again.

        Raises StartError; one that is not ours cannot be replaced.
        """
        if self._child is None or self._journal is None:
            raise StartError(f"the Toxiproxy at {self.url} hangs, and it is not ours to replace: restart it")
        self.replacing = True
        try:
            self._child.kill()
            self.replaced += 1
            self._child = Child(self._child.command, self._journal)
            _wait_until_ours(
                self._child, self.host, self.port, self.token, time.monotonic() + deadline_s, Stop()
            )
        except _PortTaken:
            raise StartError(f"another process took port {self.port} while Toxiproxy was replaced") from None
        finally:
            self.replacing = False

    def wrong(self) -> Wrong | None:
        """What happened to the server's process; None while it runs, or is not ours."""
        return None if self._child is None else wrong_with(self._child)

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """End the server's process. Raises CleanupError when it does not end."""
        if self._child is not None:
            self._child.stop(deadline_s)
        if self._journal is not None and self._journal_is_own:
            _remove(self._journal)
            self._journal = None


def start_server(
    choice: ServerChoice,
    *,
    folder: Path,
    seed: int | None,
    deadline_s: float,
    journal: Journal | None = None,
    token: str = "",
) -> RunningToxiproxy:
    """Start the server on a free port of 127.0.0.1; returns when it answers and is the process we started.

    The embedded one asks its clients for the token; the original cannot. Its log goes to
    `folder/toxiproxy.log`. `journal` is where the process is written down for a later clean-up; without
    one, a journal is kept in `folder`. Raises StartError with what was seen.
    """
    if choice.kind == "external":
        return _external(choice, deadline_s)
    end = time.monotonic() + deadline_s
    own_journal = Journal(folder, "toxiproxy") if journal is None else None
    used = journal or own_journal
    assert used is not None
    for _ in range(MOST_PORTS_TRIED):
        port = free_port()
        if choice.kind == "real":
            used.fence(HOST, port)
        child = Child(_command(choice, port, seed, folder, token), used)
        try:
            version = _wait_until_ours(child, HOST, port, token, end, used.stop)
        except _PortTaken:
            child.stop(STOP_DEADLINE_S)
            used.unfence()
            continue
        except BaseException:
            child.stop(STOP_DEADLINE_S)
            used.unfence()
            if own_journal is not None:
                _remove(own_journal)
            raise
        return RunningToxiproxy(
            choice.kind,
            version,
            HOST,
            port,
            token,
            _child=child,
            _journal=used,
            _journal_is_own=own_journal is not None,
        )
    raise StartError(f"{choice}: every one of {MOST_PORTS_TRIED} free ports was taken by another process")


def _remove(journal: Journal) -> None:
    journal.close(remove=True)
    with suppress(OSError):  # another instance may live in the same folder
        journal.folder.parent.rmdir()


class _PortTaken(Exception):
    """Somebody else listens on the port that was free a moment ago."""


def _command(choice: ServerChoice, port: int, seed: int | None, folder: Path, token: str) -> Command:
    arguments: tuple[str, ...] = ("-host", HOST, "-port", str(port))
    if seed is not None:
        arguments += ("-seed", str(seed))
    if choice.kind == "real":  # the embedded one tells its traffic by itself
        arguments += ("-proxy-metrics",)
    environment = dict(os.environ)
    # The real server writes two lines for each connection below this level.
    environment.pop(TOKEN_VARIABLE, None)
    if token:
        environment[TOKEN_VARIABLE] = token
    environment["LOG_LEVEL"] = "error" if choice.kind == "real" else "info"
    return Command(
        name="toxiproxy",
        argv=(*choice.argv, *arguments),
        cwd=ROOT,
        log=folder / "toxiproxy.log",
        environment=environment,
    )


def _wait_until_ours(child: Child, host: str, port: int, token: str, end: float, stop: Stop) -> str:
    """Poll until the child itself listens and answers. Returns the version."""
    adapter = Toxiproxy(host, port, token=token, deadline_s=0.5)
    seen = "it does not listen yet"
    while time.monotonic() < end:
        if not child.running:
            if taken(port):
                raise _PortTaken
            break
        if child.stopped:
            break
        # The token is shown to nobody else: who listens is looked at before it is sent.
        if _listens(child.pid, port):
            try:
                return adapter.version()
            except (ToxiproxyError, ValueError, KeyError, TypeError) as error:
                seen = str(error)
        elif accepts(Address(host, port), 0.5) and not _listens(child.pid, port):
            raise _PortTaken
        stop.sleep(POLL_S)
    raise StartError(
        f"toxiproxy ({' '.join(child.command.argv)}) is not ready: {child.status}; last seen: {seen}\n"
        f"  its last log lines:\n{child.last_words()}"
    )


def _listens(pid: int, port: int) -> bool:
    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)


def _address(url: str) -> tuple[str, int]:
    """The host and port of TOXIPROXY_URL. Raises StartError."""
    host, port = None, None
    with suppress(ValueError):  # brackets that do not match, a port that is not a number
        parts = urlsplit(url.strip())
        if (parts.scheme, parts.path.strip("/"), parts.query) == ("http", "", ""):
            host, port = parts.hostname, parts.port
    if host is None or not port:
        raise StartError(
            f"TOXIPROXY_URL is {url!r}; expected http://HOST:PORT, such as http://127.0.0.1:8474; "
            "unset it to have a server started"
        )
    # A name would be resolved at every call, and once to another address than the proxies listen on.
    return HOST if host == "localhost" else host, port


def _external(choice: ServerChoice, deadline_s: float) -> RunningToxiproxy:
    host, port = _address(choice.url)
    token = os.environ.get(TOKEN_VARIABLE, "")
    adapter = Toxiproxy(host, port, token=token, deadline_s=deadline_s)
    try:
        version = adapter.version()
    except (ToxiproxyError, ValueError, KeyError, TypeError) as error:
        raise StartError(
            f"TOXIPROXY_URL is {choice.url}, but no Toxiproxy answers there: {error!r}; "
            "start it, or unset TOXIPROXY_URL"
        ) from None
    return RunningToxiproxy("external", version, host, port, token)
