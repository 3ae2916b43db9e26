"""`doctor`: what this machine can run, and a hint for what it cannot."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say
from execution.places import CHECKOUT, HOME, INSTANCES
from execution.program import as_started_here

REAL_TOXIPROXY = (
    "`make toxiproxy` builds the real one where Go is present"
    if CHECKOUT
    else "the real one is used where toxiproxy-server is on the PATH"
)
AGAIN = "make install" if CHECKOUT else "install Code Blue again"
MINIMUM_FREE_BYTES = 500_000_000
TOXIPROXY_DEADLINE_S = 10.0
QUIET_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `needed` False: the product works without it."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    needed: bool = True


@click.command(cls=Pasteable)
@json_option
def doctor(as_json: bool) -> int:
    """Exit 0 when everything that is needed is there, 3 when something is missing."""
    from experiment.errors import ExitCode

    findings = examine()
    if as_json:
        dump([{name: getattr(finding, name) for name in finding.__slots__} for finding in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else ("MISS" if finding.needed else "no  ")
            say(f"{mark} {finding.name:<16} {finding.found}")
            if not finding.ok and finding.hint:
                say(as_started_here(f"     {'':<16} -> {finding.hint}"))
    missing = any(finding.needed and not finding.ok for finding in findings)
    return int(ExitCode.INVALID if missing else ExitCode.PASS)


def examine() -> tuple[Finding, ...]:
    """Every finding; an examination that itself fails is a finding too."""
    from experiment.errors import CodeBlueError

    findings = []
    for name, look in EXAMINATIONS.items():
        try:
            findings.append(look())
        except (OSError, CodeBlueError) as error:
            findings.append(Finding(name, False, f"{type(error).__name__}: {error}", "see the message"))
    return tuple(findings)


def _python() -> Finding:
    found = sys.version.split()[0]
    return Finding("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _machine() -> Finding:
    from execution.runs.facts import machine

    facts = machine()
    cores = os.cpu_count() or 1
    found = f"{facts['cores']} cores, {facts['memory']}, {facts['cpu']}"
    return Finding("machine", cores >= 2, found, "2 cores are needed for figures that mean something", False)


def _quiet() -> Finding:
    """What others leave of the machine. A run beside them ends with the verdict that it has alone, or says
    that it cannot; but what it missed meanwhile shows little of the system."""
    from measurement.pressure import Moment
    from runtimes.quiet import LATE_S, measure

    seen = measure(QUIET_LOOK_S)
    use = seen.use
    pressed = Moment(0.0, use.seconds, float(use.cores), use.own, use.others).pressed
    found = f"{seen}: {'others keep it busy' if pressed else 'quiet enough'}"
    hint = (
        "a run says so when it misses an objective meanwhile, and a gate does not take that for its only "
        "reason; measure latencies on a quieter machine"
    )
    late = seen.late_s > LATE_S
    if late and not pressed:
        found = f"{seen}: its timers are late"
        hint = "a load that comes late makes a run invalid where its verdict depends on it"
    return Finding("quiet", not pressed and not late, found, hint, needed=False)


def _disk() -> Finding:
    import shutil

    free = shutil.disk_usage(HOME).free
    hint = f"free some space on the file system of {HOME}"
    return Finding("disk", free >= MINIMUM_FREE_BYTES, f"{free / 1e9:.1f} GB free", hint)


def _loopback() -> Finding:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Finding("loopback", True, f"ports can be bound (tried {port})", "")


def _postgres() -> Finding:
    from runtimes.binaries import postgres_binary

    path = postgres_binary("postgres")
    if not path.is_file():
        return Finding("postgresql", False, str(path), AGAIN)
    from runtimes.postgres import place_for

    place = place_for(INSTANCES)  # raises where its user could not enter
    return Finding("postgresql", True, f"{path}, data below {place}")


def _nats() -> Finding:
    from runtimes.binaries import nats_binary

    path = nats_binary()
    return Finding("nats", path.is_file(), str(path), AGAIN)


def _toxiproxy() -> Finding:
    from runtimes.links.servers import find_server, tell_version

    choice = find_server()
    version = tell_version(choice, TOXIPROXY_DEADLINE_S)
    real = choice.kind != "embedded"
    hint = "" if real else f"the embedded server is used; {REAL_TOXIPROXY}"
    return Finding("toxiproxy", real, f"{version}, {choice}", hint, needed=False)


def _docker() -> Finding:
    """The engine that would be used, and whether its images are made from what is here now."""
    import shutil

    from runtimes.containers.engine_images import Images
    from runtimes.containers.images import HINT, stale_images
    from runtimes.docker_engine import EngineError

    start = "start Docker Engine" if shutil.which("dockerd") else "install Docker Engine (Debian: docker.io)"
    try:
        images = Images()
        facts, problems = images.facts(), stale_images(images)
        images.close()
    except EngineError as error:
        return Finding("docker", False, str(error), f"for --runtime containers: {start}", needed=False)
    found = f"{facts.version} at {images.url}" + "".join(f"; {problem}" for problem in problems)
    return Finding("docker", not problems, found, f"for --runtime containers: {HINT}", needed=False)


def _go() -> Finding:
    import shutil

    path = shutil.which("go")
    return Finding(
        "go", path is not None, path or "not found", "only needed to build the real Toxiproxy", needed=False
    )


def _temporary() -> Finding:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return Finding("temporary files", True, folder)


def _scenarios() -> Finding:
    from execution.catalogue import default_catalogue, unique
    from experiment.units import noun

    catalogue = default_catalogue()
    system, names = catalogue.system(), unique(catalogue.scenario_files())
    for name in names:
        catalogue.scenario(name, system)
    found = f"{noun(len(names), 'file')}, all valid"
    return Finding("scenarios", bool(names), found, "`codeblue validate` shows what is wrong")


EXAMINATIONS: dict[str, Callable[[], Finding]] = {
    "python": _python,
    "machine": _machine,
    "quiet": _quiet,
    "disk": _disk,
    "loopback": _loopback,
    "temporary files": _temporary,
    "postgresql": _postgres,
    "nats": _nats,
    "toxiproxy": _toxiproxy,
    "docker": _docker,
    "go": _go,
    "scenarios": _scenarios,
}
