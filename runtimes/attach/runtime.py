"""A running system as the ground of a run: wired, measured, disturbed on its links, and left as it was.

Nothing of it is emptied, and only what a fault has ended is started. Every key carries the run's token; a run
whose token the systems of record know already is refused.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from experiment.controls import Controls
from experiment.design import Design
from experiment.errors import CleanupError, CodeBlueError, StartError
from experiment.history import Obeyed, Record, Sample
from experiment.links import Protocol
from experiment.stop import Stop
from experiment.topology import Link, System
from experiment.trouble import Trouble
from runtimes.attach.consent import Target, TargetLock, find_target
from runtimes.attach.nodes import AttachedNode
from runtimes.attach.parts import own_network
from runtimes.attach.undo import Touched, clear_proxy, undo_all
from runtimes.attach.wiring import Wiring
from runtimes.leaks import ContainerLeaks, ProcessLeaks
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy, ToxiproxyError
from runtimes.links.controls import ProxiedLink, proxy_name
from runtimes.links.conversations import Opener, http_paths
from runtimes.links.probes import LinkProber
from runtimes.links.servers import RunningToxiproxy, find_server, start_server
from runtimes.links.traffic import LinkTraffic, TrafficMeter
from runtimes.live_controls import LiveControls
from runtimes.loopback import HOST
from runtimes.obeying import of_process, told
from runtimes.owners import identify
from runtimes.processes.readings import process_samples
from runtimes.readings import Readings, samples_of
from runtimes.runtime import Address, Point, RunSettings, RuntimeFacts, Zero

BEAT_S = 2.0
STOP_DEADLINE_S = 3.0


class AttachRuntime:
    """Wires a system that runs already. See `runtimes.runtime.Runtime`."""

    def __init__(self, system: System, var: Path, stop: Stop | None = None) -> None:
        """`var` keeps the journal; nothing is touched yet."""
        self._asked = stop or Stop()
        self._system = system
        self._var = var.resolve()
        self._forget()

    def _forget(self) -> None:
        self._journal: Journal | None = None
        self._target: Target | None = None
        self._lock: TargetLock | None = None
        self._wiring: Wiring | None = None
        self._own: RunningToxiproxy | None = None
        self._servers: dict[str, Toxiproxy] = {}  # link name to the server of its proxy
        self._controls: LiveControls | None = None
        self._nodes: dict[str, AttachedNode] = {}
        self._meters: list[TrafficMeter] = []
        self._readings: Readings | None = None
        self._leaks: list[ProcessLeaks | ContainerLeaks] = []
        self._over = threading.Event()
        self._telling: threading.Thread | None = None
        self._token = ""
        self._design: Design | None = None

    @property
    def name(self) -> str:
        return "attach"

    @property
    def system(self) -> System:
        return self._system

    # -- wiring ------------------------------

    def start(self, run: RunSettings) -> None:
        """Wire every link. On failure all is as it was. Raises StartError, UnsupportedError."""
        try:
            self._start()
        except BaseException:
            with suppress(CleanupError):
                self.stop()
            raise

    def _start(self) -> None:
        target = self._target = find_target(self._system)
        self._lock = TargetLock(target)
        journal = self._journal = Journal(self._var, "attach", self._asked)
        self._keep_telling(journal)
        wiring = self._wiring = Wiring(self._system, target, journal)
        doors = self._open_doors(target, wiring, journal)
        wiring.wire(doors)
        self._equip(target, wiring, doors, journal)

    def _keep_telling(self, journal: Journal) -> None:
        """The guard undoes everything when it has not heard from here for some seconds."""
        journal.beat()

        def tell() -> None:
            while not self._over.wait(BEAT_S):
                journal.beat()

        self._telling = threading.Thread(target=tell, daemon=True, name="heartbeat")
        self._telling.start()

    def _open_doors(self, target: Target, wiring: Wiring, journal: Journal) -> dict[str, Address]:
        """Link name to the address of its proxy. Raises StartError."""
        attach, doors = target.attach, dict[str, Address]()
        if len(attach.links) < len(self._system.links):
            own = self._own = start_server(
                find_server(), folder=journal.folder, seed=None, deadline_s=10.0, journal=journal
            )
            server = Toxiproxy(own.host, own.port, token=own.token)
            for link in self._system.links:
                if link.name not in attach.links:
                    upstream = str(target.parts[link.callee].addresses_for(target.parts[link.caller])[0])
                    host = target.stands.get(link.name) or HOST
                    state = server.create_proxy(proxy_name(link), listen=f"{host}:0", upstream=upstream)
                    doors[link.name], self._servers[link.name] = Address(host, state.port), server
        if attach.links:
            host, _, port = attach.toxiproxy.rpartition(":")
            server = Toxiproxy(host, int(port))
            for name, said in attach.links.items():
                doors[name], self._servers[name] = self._theirs(server, said.proxy, name), server
                wiring.touch(Touched("proxy", said.proxy, f"{host}:{port}"))
        return doors

    def _theirs(self, server: Toxiproxy, proxy: str, link: str) -> Address:
        """The door of a proxy of the user's. Raises StartError for one that is not as it should be."""
        try:
            known = server.proxies()
        except ToxiproxyError as error:
            raise StartError(f"{link}: {error}; expected your Toxiproxy to answer there") from None
        if proxy not in known:
            raise StartError(
                f'{link}: found no proxy "{proxy}" at {server.url}, expected one of: {", ".join(known)}'
            )
        state = known[proxy]
        if state.toxics or not state.enabled:
            what = f"the toxic {state.toxics[0].name}" if state.toxics else "it disabled"
            raise StartError(
                f'{link}: found the proxy "{proxy}" with {what}, expected it enabled and without toxics'
            )
        host, _, port = state.listen.rpartition(":")
        return Address(HOST if host in ("[::]", "0.0.0.0", "") else host, int(port))

    def _equip(self, target: Target, wiring: Wiring, doors: Mapping[str, Address], journal: Journal) -> None:
        links: dict[str, ProxiedLink] = {}
        meters = {id(server): TrafficMeter(server) for server in self._servers.values()}
        self._meters = list(meters.values())
        for link in self._system.links:
            server, door, proxy = self._servers[link.name], doors[link.name], self._proxy(target, link)
            meter = meters[id(server)]
            traffic = LinkTraffic(meter, proxy, door, paired=link.protocol == "http")
            paths = http_paths(self._system.services[link.callee].control)
            spoken: Protocol = "http" if link.protocol == "http" else "tcp"
            prober = LinkProber(Opener(spoken, door, paths, "", traffic.probes))
            links[link.name] = ProxiedLink(link, server, prober, journal, traffic, proxy=proxy)
        points = {
            name: Point(target.parts[name].address, spec.control)
            for name, spec in self._system.services.items()
            if spec.is_code
        }
        self._readings = Readings(points, self._system.records)
        said = target.attach.services
        self._nodes = {
            name: AttachedNode(name, said[name], spec.control, wiring, self._proxy_of, journal)
            for name, spec in self._system.services.items()
        }
        self._controls = LiveControls(links, self._nodes, {})
        self._leaks = self._looks(wiring)

    def _looks(self, wiring: Wiring) -> list[ProcessLeaks | ContainerLeaks]:
        """Who looks for connections past the proxies, from the callees' side. Parts may be others later."""
        looks: list[ProcessLeaks | ContainerLeaks] = []
        callees, parts = {link.callee for link in self._system.links}, wiring.parts
        here = {name: parts[name].address for name in callees if not own_network(parts[name])}
        if here:
            looks.append(
                ProcessLeaks(here, lambda: {n: part.pids for n, part in parts.items()}, self._proxy_pids)
            )
        if any(part.lodging is not None for part in parts.values()):
            looks.append(ContainerLeaks(lambda: wiring.dwellings(callees), wiring.lodgers))
        return looks

    def _proxy(self, target: Target, link: Link) -> str:
        said = target.attach.links.get(link.name)
        return said.proxy if said is not None else proxy_name(link)

    def _proxy_pids(self) -> set[int]:
        """Of all servers of proxies on this machine."""
        assert self._target is not None
        found = {self._own.pid} if self._own is not None and self._own.pid is not None else set()
        if self._target.attach.links:
            found |= listeners(int(self._target.attach.toxiproxy.rpartition(":")[2]))
        return found

    # -- runs ------------------------------

    def reset(self, run: RunSettings) -> None:
        """Nothing is emptied: the keys of a run carry its token. Raises StartError where a system of record
        holds some of them already, since their effects could not be told from those of this run."""
        self._token, self._design = run.token, run.design
        self._running().begin()
        now = Zero(time.monotonic(), time.time())
        old = [row for row in self.records(now) if isinstance(row, Record)]
        if old:
            raise StartError(
                f"attach: found {len(old)} records of an earlier run with the keys of this one ({run.token}, "
                f"such as {old[0].key} in {old[0].store}), expected none; choose another --seed"
            )

    def obeyed(self, t: float) -> list[Obeyed]:
        """What each service shows of the design: its own answer, or the environment of its process."""
        assert self._wiring is not None and self._readings is not None
        found = told(self._readings, t)
        for name, spec in self._system.services.items():
            process = self._wiring.parts[name].process
            if not spec.is_code or spec.control.design is not None or self._design is None:
                continue
            if process is None:
                found.append(Obeyed(t, name, "", trouble="it runs on another machine"))
            else:
                found.append(of_process(self._system, self._design, name, process.pid, t))
        return found

    def controls(self) -> Controls:
        return self._running()

    def address(self, service: str) -> Address:
        """Where clients reach a service, without a link between."""
        assert self._wiring is not None
        return self._wiring.parts[service].address

    def heal(self) -> None:
        """Undo every fault, known or not; only at the proxies of this system. Raises CleanupError."""
        controls = self._running()
        problems = [p for name in self._servers if (p := clear_proxy(self._servers[name], self._named(name)))]
        for node in controls.nodes.values():
            try:
                node.revive()
                node.forget()
            except CodeBlueError as error:
                problems.append(f"{node.name} could not be brought back: {error}")
        if problems:
            raise CleanupError("\n".join(problems))
        for link in controls.links.values():
            link.forget()

    def unhealed(self) -> list[str]:
        """What is still wrong, read back from the proxies."""
        states = {node.name: node.state for node in self._running().nodes.values()}
        problems = [f"{name} is {state}" for name, state in states.items() if state != "running"]
        for link, server in self._servers.items():
            try:
                state = server.proxy(self._named(link))
            except ToxiproxyError as error:
                problems.append(f"{link} could not be read: {error}")
                continue
            if not state.enabled:
                problems.append(f"proxy {state.name} is disabled")
            acting = (toxic for toxic in state.toxics if toxic.toxicity > 0)
            problems.extend(f"proxy {state.name} has the toxic {toxic.name}" for toxic in acting)
        return problems

    def _proxy_of(self, link: str) -> tuple[Toxiproxy, str]:
        return self._servers[link], self._named(link)

    def _named(self, link: str) -> str:
        assert self._target is not None
        return self._proxy(self._target, self._system.link(link))

    def trouble(self) -> Trouble | None:
        """A part that has ended, a proxy that died, or a guard that has undone the wiring."""
        if self._target is None or self._journal is None:
            return None
        for node in self._nodes.values():
            if (wrong := node.wrong()) is not None:
                return Trouble(node.name, wrong[0], time.monotonic(), wrong[1])
        if self._own is not None and (wrong := self._own.wrong()) is not None:
            return Trouble("toxiproxy", wrong[0], time.monotonic(), wrong[1])
        if not self._journal.folder.exists():
            return Trouble(
                "the wiring", "was undone", time.monotonic(), "its guard had not heard from the harness"
            )
        return None

    def leaks(self) -> list[str]:
        """Connections of callers past the proxies now, and rules that are gone. What others than the callers
        of this system do with a callee is their own business."""
        if self._wiring is None:
            return []
        with self._wiring.still():  # what a part does between its start and its wiring is cut by that
            found = [str(leak) for looks in self._leaks for leak in looks.find() if leak.caller]
            gone = self._wiring.missing()
        return found + [f"the packet rule of {link} is gone: it goes past its proxy" for link in gone]

    # -- readings ------------------------------

    def sample(self, zero: Zero) -> list[Sample]:
        """The counters of services that have some, and CPU and memory of all processes, now."""
        assert self._readings is not None and self._wiring is not None
        t = round(time.monotonic() - zero.monotonic_s, 6)
        rows = [
            row for name, metrics in self._readings.metrics().items() for row in samples_of(name, metrics, t)
        ]
        known = {name: part.process for name, part in self._wiring.parts.items() if part.process is not None}
        pid = self._own.pid if self._own is not None else None
        if pid is not None and (identity := identify(pid)) is not None:
            known["toxiproxy"] = identity
        return [*rows, *process_samples(known, t)]

    def pids(self) -> Sequence[int]:
        """The parts are no children of this process."""
        assert self._wiring is not None
        return [pid for part in self._wiring.parts.values() for pid in part.pids]

    def backlog(self) -> Mapping[str, Mapping[str, int]]:
        """What each service has not finished."""
        assert self._readings is not None
        return self._readings.backlog()

    def records(self, zero: Zero) -> list[Record | Sample]:
        """All systems of record. Raises StartError when one cannot be read."""
        assert self._readings is not None
        return self._readings.records(zero, self._token, {})

    def journaled(self, folder: Path) -> None:
        """Write down a folder elsewhere that goes when this process dies."""
        if self._journal is not None:
            self._journal.write("folder", path=str(folder.resolve()))

    def collect(self, run_folder: Path) -> None:
        """Logs of a running system are its owner's."""

    def describe(self) -> RuntimeFacts:
        """Which Toxiproxy, and how many connections were cut once."""
        wiring = self._wiring
        label = self._own.label if self._own is not None else "external"
        remark = ""
        if wiring is not None and wiring.redirects:
            links = len({one.link for one in wiring.redirects})
            remark = f"{links} links redirected, {wiring.cuts} connections cut once"
        return RuntimeFacts(self.name, label, {}, remark)

    def _running(self) -> LiveControls:
        if self._controls is None:
            raise StartError("the system is not wired: call start first")
        return self._controls

    # -- unwiring ------------------------------

    def stop(self) -> None:
        """Unwire, and read back that everything is as it was. Raises CleanupError naming what is left."""
        journal, controls = self._journal, self._controls
        self._over.set()
        if self._telling is not None:
            self._telling.join()
        problems = undo_all(self._wiring.touched) if self._wiring is not None else []
        if controls is not None:
            for link in controls.links.values():
                link.close()
        for meter in self._meters:
            meter.close()
        for looks in self._leaks:
            looks.close()
        if self._readings is not None:
            self._readings.close()
        if self._own is not None:
            try:
                self._own.stop(STOP_DEADLINE_S)
            except CleanupError as error:
                problems.append(str(error))
        if journal is not None and (problem := journal.close(remove=not problems)):
            problems.append(problem)
        if self._lock is not None:
            self._lock.release()
        self._forget()
        if problems:
            raise CleanupError("\n".join(problems))


def listeners(port: int) -> set[int]:
    """The processes of this machine that listen on a port."""
    return {
        one.pid
        for one in psutil.net_connections(kind="tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid and one.pid != os.getpid()
    }
