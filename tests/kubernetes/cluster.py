"""`python -m tests.kubernetes.cluster up|down|prune`: a real cluster of one node on this machine.

It lives in namespaces of its own (processes, mounts, network): ending their first process ends all of it.
`up` prints the path of its kubeconfig.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from experiment.errors import StartError
from runtimes.containers.recipes import name_of
from runtimes.kubernetes.client import Cluster, ClusterError
from runtimes.owners import Identity, identify
from tests.kubernetes.building import build, missing, prune
from tests.kubernetes.layout import (
    CACHE,
    CGROUP,
    HOST_ADDRESS,
    HOST_LINK,
    LINK_BITS,
    NODE,
    NODE_ADDRESS,
    PAUSE_IMAGE,
    PLACE,
    PODS,
    SERVICES,
)
from tests.kubernetes.settings import write_settings

ROOT = Path(__file__).resolve().parents[2]
IMAGES = tuple(name_of(name) for name in ("service", "postgres", "bus", "toxiproxy"))
READY_WITHIN_S = 420.0
END_WITHIN_S = 60.0
LOOK_S = 0.3
APART = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net")


def running() -> bool:
    """Whether a cluster runs."""
    owner = _owner()
    return owner is not None and owner.alive


def up() -> Path:
    """Start the cluster unless it runs; the path of its kubeconfig. Raises StartError, after an end in
    order."""
    with _alone():
        if running():
            return PLACE.kubeconfig
        lacks = missing()
        if lacks:
            raise StartError(
                f"found no {', '.join(lacks)} on this machine, expected all of them for a cluster"
            )
        try:
            programs = build()
            _end()
            write_settings(PLACE)
            _start(programs)
        except (subprocess.SubprocessError, OSError) as error:
            _end(keep_logs=True)
            raise StartError(f"the cluster did not start: {error}; see {PLACE.folder / 'logs'}") from error
        except BaseException:
            _end(keep_logs=True)
            raise
        return PLACE.kubeconfig


def down() -> None:
    """End the cluster, and remove all that it left. Nothing happens when there is none."""
    with _alone():
        _end()


@contextmanager
def connected(context: str = "admin") -> Iterator[Cluster]:
    """The product's own client, on this cluster. Raises ClusterError."""
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(PLACE.kubeconfig)
    try:
        cluster = Cluster(context)
    finally:
        os.environ.pop("KUBECONFIG")
        if before is not None:
            os.environ["KUBECONFIG"] = before
    try:
        yield cluster
    finally:
        cluster.close()


def _start(programs: Path) -> None:
    command = ["unshare", *APART, sys.executable, "-m", "tests.kubernetes.node"]
    with PLACE.log("node").open("ab") as log:
        first = subprocess.Popen(
            [*command, str(PLACE.folder), str(programs)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    owner = identify(first.pid)
    if owner is None:
        raise StartError("the first process of the cluster ended at once")
    PLACE.owner.write_text(json.dumps(asdict(owner)))
    end = time.monotonic() + READY_WITHIN_S
    _until("its namespaces", lambda: _inside(first.pid) != 0, end)
    inside = _inside(first.pid)
    peer = ("peer", "name", HOST_LINK, "netns", str(inside))
    _must("ip", "link", "add", HOST_LINK, "type", "veth", *peer)
    _must("ip", "address", "add", f"{HOST_ADDRESS}/{LINK_BITS}", "dev", HOST_LINK)
    _must("ip", "link", "set", HOST_LINK, "up")
    for network in (PODS, SERVICES):
        _must("ip", "route", "add", network, "via", NODE_ADDRESS)
    _until("containerd", lambda: _says(*_in(inside), "ctr", "version"), end)
    _load_images(inside, programs)
    _until("the node", _node_is_ready, end)


def _load_images(inside: int, programs: Path) -> None:
    """The project's own, and the first process of pods, from the Docker engine: there is no registry."""
    pause = PAUSE_IMAGE.removeprefix("docker.io/")
    with subprocess.Popen(["tar", "c", "-C", str(programs), "pause"], stdout=subprocess.PIPE) as archive:
        _must("docker", "import", "-c", 'ENTRYPOINT ["/pause"]', "-", pause, stdin=archive.stdout)
    try:
        with subprocess.Popen(["docker", "save", pause, *IMAGES], stdout=subprocess.PIPE) as saved:
            _must(*_in(inside), "ctr", "-n", "k8s.io", "images", "import", "-", stdin=saved.stdout)
    finally:
        _must("docker", "rmi", pause)


def _inside(first: int) -> int:
    """The first process of the namespaces, as this machine numbers it; 0 when they are not made yet."""
    with suppress(OSError, ValueError):
        (child,) = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        if os.readlink(f"/proc/{child}/ns/net") != os.readlink("/proc/self/ns/net"):
            return int(child)
    return 0


def _in(inside: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(inside), "--mount", "--net", "--pid")


def _node_is_ready() -> bool:
    try:
        with connected() as cluster:
            shown = cluster.get("Node", NODE)
    except ClusterError:
        return False
    conditions = shown.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _until(what: str, ready: Callable[[], bool], end: float) -> None:
    while not ready():
        if not running():
            raise StartError(f"the cluster ended before {what} was ready: {_said()}")
        if time.monotonic() > end:
            raise StartError(f"{what} was not ready within {READY_WITHIN_S:g} s; see {PLACE.folder / 'logs'}")
        time.sleep(LOOK_S)


def _said() -> str:
    log = PLACE.log("node")
    return log.read_text().strip()[-500:] if log.exists() else "it said nothing"


def _end(*, keep_logs: bool = False) -> None:
    """Twice is no mistake."""
    owner = _owner()
    if owner is not None and owner.alive:
        watched = [one for one in (owner, identify(_inside(owner.pid))) if one is not None]
        os.kill(owner.pid, signal.SIGKILL)
        end = time.monotonic() + END_WITHIN_S
        while any(one.alive for one in watched):
            if time.monotonic() > end:
                raise StartError(f"the cluster did not end within {END_WITHIN_S:g} s")
            with suppress(ChildProcessError):
                os.waitpid(owner.pid, os.WNOHANG)
            time.sleep(LOOK_S)
    for controller in Path("/sys/fs/cgroup").glob(f"**/{CGROUP}"):
        for group in sorted(controller.rglob("*"), reverse=True):
            if group.is_dir():
                group.rmdir()
        controller.rmdir()
    if keep_logs:
        PLACE.owner.unlink(missing_ok=True)
        return
    if PLACE.folder.exists():
        shutil.rmtree(PLACE.folder)


def _owner() -> Identity | None:
    try:
        return Identity(**json.loads(PLACE.owner.read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def _alone() -> Iterator[None]:
    """One command at a time starts or ends the cluster."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _must(*command: str, stdin: int | IO[bytes] | None = subprocess.DEVNULL) -> None:
    subprocess.run(command, check=True, stdin=stdin, stdout=subprocess.DEVNULL, timeout=240)


def _says(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def main(argv: list[str]) -> int:
    commands: dict[str, Callable[[], object]] = {"up": up, "down": down, "prune": prune, "build": build}
    if len(argv) != 1 or argv[0] not in commands:
        print(f"found {argv}, expected one of: {', '.join(commands)}", file=sys.stderr)
        return 2
    try:
        made = commands[argv[0]]()
    except (StartError, subprocess.SubprocessError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if made is not None:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
