"""The system as local processes: PostgreSQL and NATS from their wheels, Toxiproxy, one process for each
service.

Everything listens on 127.0.0.1 and is part of one instance (see leftovers), with a folder of its own that is
removed at the end.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from experiment.controls import Controls
from experiment.design import Design
from experiment.errors import CleanupError, StartError
from experiment.history import Obeyed, Record, Sample
from experiment.stop import Stop
from experiment.topology import System
from experiment.trouble import Trouble
from runtimes.behaviour_controls import ServiceBehaviour
from runtimes.certificates import Authority
from runtimes.checkouts import module_root
from runtimes.foreign import Ground, Start, logins, start_of
from runtimes.keys import Keys, new_token
from runtimes.leaks import ProcessLeaks
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy
from runtimes.links.controls import ProxiedLink, proxy_name
from runtimes.links.conversations import Opener, http_paths
from runtimes.links.probes import LinkProber
from runtimes.links.proxies import open_proxies
from runtimes.links.request_faults import ProxiedBehaviour
from runtimes.links.servers import RunningToxiproxy, find_server, start_server
from runtimes.links.traffic import LinkTraffic, TrafficMeter
from runtimes.live_controls import HealableBehaviour, LiveControls, heal_all, read_back
from runtimes.loopback import HOST, free_ports
from runtimes.obeying import of_process, told
from runtimes.owners import identify
from runtimes.planned_changes import PlannedChanges
from runtimes.processes.node_controls import ProcessNode, stop_nodes
from runtimes.processes.own_names import covered, doors_of
from runtimes.processes.parts import CommandProcess, Part, PortTaken, ServiceProcess, wait_until_ready
from runtimes.processes.readings import process_samples
from runtimes.processes.stores import Stores, make_stores
from runtimes.readings import Readings, samples_of
from runtimes.resetting import reset_services
from runtimes.runtime import Address, Point, RunSettings, RuntimeFacts, Zero
from runtimes.service_files import ServiceFolder, callees, callers, configuration, restart_needed
from runtimes.sql import Login
from runtimes.starting import at_once, beside, start_or_stop
from runtimes.vitals import HUNG, Vital, Vitals, sign_of

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 3.0


class ProcessesRuntime:
    """Starts, resets, measures and stops one instance of a system. See `runtimes.runtime.Runtime`."""

    def __init__(self, system: System, var: Path, stop: Stop | None = None) -> None:
        """`var` keeps journals, caches and the instance's files; nothing is started yet. A start that is
        under way ends when `stop` is asked for."""
        self._asked = stop or Stop()
        self._system = system
        self._var = var.resolve()
        self._journal: Journal | None = None
        self._replacing, self._replaced_at = threading.Lock(), float("-inf")
        self._forget()

    def _forget(self) -> None:
        self._folder = ServiceFolder(self._var)
        self._addresses: dict[str, Address] = {}
        self._doors: dict[str, Address] = {}  # link name -> its proxy
        self._stores = Stores()
        self._keys = Keys()
        self._services: dict[str, ServiceProcess | CommandProcess] = {}
        self._logins: dict[str, Login] = {}
        self._token = ""
        self._design: Design | None = None  # of the last reset
        self._played: set[str] = set()
        self._nodes: dict[str, ProcessNode] = {}
        self._toxiproxy: RunningToxiproxy | None = None
        self._proxies = Toxiproxy(HOST, 0)
        self._meter = TrafficMeter(self._proxies)
        self._readings: Readings | None = None
        self._controls: LiveControls | None = None
        self._vitals: Vitals | None = None
        self._leaks: ProcessLeaks | None = None

    @property
    def name(self) -> str:
        return "processes"

    @property
    def system(self) -> System:
        return self._system

    # -- starting ------------------------------

    def start(self, run: RunSettings) -> None:
        """Start everything and reset it for the run. On failure all is stopped again. Raises StartError,
        Interrupted."""
        start_or_stop(lambda: self._start(run), self.stop, PortTaken, self._var)

    def _start(self, run: RunSettings) -> None:
        end = time.monotonic() + START_DEADLINE_S
        journal = self._journal = Journal(self._var, "processes", self._asked)
        self._folder = ServiceFolder(journal.folder)
        self._folder.make()
        ports = free_ports(len(self._system.services))
        self._keys = Keys(new_token(), root=new_token(), authority=Authority())
        self._addresses = {
            name: Address(HOST, spec.fixed_port or port, self._keys.of(self._system, name))
            for (name, spec), port in zip(self._system.services.items(), ports, strict=True)
        }
        with at_once(4) as pool:
            logs, seed = self._folder.path / "logs", run.seed
            ours = partial(start_server, journal=journal, token=self._keys.token)
            toxiproxy = pool.submit(ours, find_server(), folder=logs, seed=seed, deadline_s=10.0)
            try:
                self._stores = make_stores(self._system, self._var, self._addresses, journal)
                self._keys = replace(self._keys, passwords=self._stores.passwords)
                starting = [pool.submit(self._launch, p, journal) for p in self._stores.parts.values()]
            finally:
                self._toxiproxy = toxiproxy.result()
            server = self._toxiproxy
            self._proxies = Toxiproxy(server.host, server.port, token=server.token)
            self._meter = TrafficMeter(self._proxies)
            named = doors_of(self._system)
            self._doors = open_proxies(self._proxies, self._system, self._addresses, HOST, named)
            self._make_services(journal, run)
            for part in self._services.values():
                if isinstance(part, ServiceProcess):
                    self._launch(part, journal)
            for one in starting:
                one.result()
        self._wait_until_ready(end)
        # What knows nothing of the harness may not wait for its stores: it starts when these are there.
        for part in self._services.values():
            if isinstance(part, CommandProcess):
                self._launch(part, journal)
        self._wait_until_ready(end)
        self._equip(journal)
        self._vitals = Vitals(self._watched(self._toxiproxy))
        callees = {link.callee: self._addresses[link.callee] for link in self._system.links}
        self._leaks = ProcessLeaks(callees, self._families, lambda: [server.pid] if server.pid else [])
        beside(self._asked, lambda: self.reset(run))

    def _wait_until_ready(self, end: float) -> None:
        started = [(node.part, node.child) for node in self._nodes.values()]
        wait_until_ready(started, end, lambda name: self._nodes[name].start_again(), self._asked)

    def _make_services(self, journal: Journal, run: RunSettings) -> None:
        for name, spec in self._system.services.items():
            folder, address = self._folder, self._addresses[name]
            if spec.foreign:
                self._services[name] = CommandProcess(
                    name,
                    address,
                    spec.control,
                    self._system.file(spec.folder).resolve(),
                    folder.log(name),
                    journal,
                    self._begin(name, run),
                    prefix=covered(self._system, name, self._doors, folder.path),
                )
            elif spec.is_code:
                root = module_root(self._system.source, spec.module)
                files = folder.config(name), folder.log(name)
                service = ServiceProcess(
                    name, address, spec.module, *files, journal, root=root, control=spec.control
                )
                service.configure(self._configuration(name, run))
                self._services[name] = service

    def _begin(self, service: str, run: RunSettings) -> Start:
        ground = Ground(self._doors, self._keys, sys.executable)
        return start_of(self._system, service, self._addresses[service], ground, run)

    def _configuration(self, service: str, run: RunSettings) -> dict[str, Any]:
        links = callees(self._system, service, self._doors, run, self._keys)
        address = self._addresses[service]
        asked_by = callers(self._system, service, self._keys)
        return configuration(service, address, links, asked_by, run, self._folder, self._keys)

    def _launch(self, part: Part, journal: Journal) -> None:
        planned = None
        if part.name in self._services:
            point = Point(part.address, self._services[part.name].control)
            planned = PlannedChanges(part.name, point, self._system.services[part.name].changes)
        self._nodes[part.name] = ProcessNode(part, part.start(), journal, planned)

    def _equip(self, journal: Journal) -> None:
        """Controls and readings of the running system."""
        links: dict[str, ProxiedLink] = {}
        behaviours: dict[str, HealableBehaviour] = {}
        for link in self._system.links:
            callee = self._system.services[link.callee].control
            key, door = self._keys.over(self._system, link), self._doors[link.name]
            traffic = LinkTraffic(self._meter, proxy_name(link), door, paired=link.protocol != "nats")
            prober = LinkProber(Opener(link.protocol, door, http_paths(callee), key, traffic.probes))
            links[link.name] = ProxiedLink(
                link, self._proxies, prober, journal, traffic, self._replace_toxiproxy
            )
            player = self._system.services[link.played_by]
            if player.is_code and player.control.behaviour is not None:
                point = Point(self._addresses[link.played_by], player.control)
                behaviours[link.name] = ServiceBehaviour(link, point, journal)
            elif link.protocol == "http":
                behaviours[link.name] = ProxiedBehaviour(link, links[link.name], self._proxies, journal)
        points = {name: Point(part.address, part.control) for name, part in self._services.items()}
        self._readings = Readings(points, self._system.records)
        self._controls = LiveControls(links, self._nodes, behaviours)

    def _watched(self, toxiproxy: RunningToxiproxy) -> list[Vital]:
        """Every part of the system; services are not asked, since their silence may be what a run shows."""
        roles = {name: spec.role for name, spec in self._system.services.items()}
        nodes = [
            Vital(name, node.wrong, node.is_held, sign_of(roles[name], node.part.address))
            for name, node in self._nodes.items()
        ]
        proxies = Vital("toxiproxy", toxiproxy.wrong, lambda: toxiproxy.replacing, self._proxies.answers)
        return [*nodes, proxies]

    def _replace_toxiproxy(self) -> None:
        """Another server in place of one that hangs, with the same proxies and toxics. Raises StartError.

        Links that waited for the same server at the same time find it replaced already.
        """
        with self._replacing:
            if self._toxiproxy is None or time.monotonic() - self._replaced_at < self._proxies.deadline_s:
                return
            if self._vitals is not None:
                self._vitals.tell("toxiproxy", self._toxiproxy.wrong() or HUNG)
            self._toxiproxy.replace(STOP_DEADLINE_S)
            self._proxies.rebuild()
            self._replaced_at = time.monotonic()

    # -- runs ------------------------------

    def reset(self, run: RunSettings) -> None:
        """Empty all services and switch to the run's design; those that need it are restarted.

        What cannot be emptied keeps what it has: keys carry the run's token. A run that is played again has
        the same keys, so that the whole system starts afresh for it. Raises StartError, CleanupError.
        """
        if self._system.without("reset") and run.run_id in self._played:
            self.stop()
            self.start(run)
            return
        self._played.add(run.run_id)
        if self._vitals is not None:
            self._vitals.renew()
        self._token, self._design = run.token, run.design
        self._logins = logins(self._system, self._addresses, run, self._keys.passwords)
        readings = self._running_readings()
        self._running_controls().begin()
        self._folder.mark()
        moved = [name for name in self._services if self._reconfigure(name, run)]
        self._restart(moved)
        wanting = reset_services(readings, run, self._look)
        if wanting:
            self._restart(wanting)
            still = reset_services(readings, run, self._look)
            if still:
                raise StartError(
                    f"{', '.join(still)} want another restart after one for design {run.design.name}"
                )

    def _look(self) -> None:
        """Raises StartError naming a part that is in trouble: nothing is awaited in vain."""
        if (trouble := self.trouble()) is not None:
            raise StartError(trouble.told(0.0))

    def _reconfigure(self, name: str, run: RunSettings) -> bool:
        """Write the service's file for the run. True when its database is another, or a variable or argument
        of its start, which only a restart changes."""
        service = self._services[name]
        if isinstance(service, CommandProcess):
            old, service.begin = service.begin, self._begin(name, run)
            return old != service.begin
        before = service.configuration
        service.configure(self._configuration(name, run))
        return restart_needed(before, service.configuration, service.control)

    def _restart(self, names: Sequence[str]) -> None:
        if names:
            with ThreadPoolExecutor(len(names), thread_name_prefix="restart") as pool:
                for done in [pool.submit(self._nodes[name].restart) for name in names]:
                    done.result()

    def obeyed(self, t: float) -> list[Obeyed]:
        """What each service shows of the design of the last reset: its own answer, or what the kernel shows
        of a process that knows nothing of the harness."""
        found = told(self._running_readings(), t)
        for name, part in self._services.items():
            asked = part.control.design is not None
            if isinstance(part, CommandProcess) and self._design is not None and not asked:
                pid = self._nodes[name].child.pid
                found.append(of_process(self._system, self._design, name, pid, t))
        return found

    def leaks(self) -> list[str]:
        """Connections between parts of the system that go past the proxies now."""
        return [str(leak) for leak in self._leaks.find()] if self._leaks is not None else []

    def _families(self) -> dict[str, list[int]]:
        return {name: [one.pid for one in node.child.family()] for name, node in self._nodes.items()}

    def controls(self) -> Controls:
        return self._running_controls()

    def address(self, service: str) -> Address:
        """Where clients reach a service, without a link between."""
        return self._addresses[service]

    def door(self, link: str) -> Address:
        """Where the caller of a link connects: its proxy."""
        return self._doors[link]

    def heal(self) -> None:
        """Undo every fault, known or not. Raises CleanupError naming what could not be undone."""
        controls, readings = self._running_controls(), self._running_readings()
        problems = heal_all(controls, self._proxies, readings, self._replace_toxiproxy)
        if problems:
            raise CleanupError("\n".join(problems))

    def unhealed(self) -> list[str]:
        """What is still wrong, read back from proxies, kernel and services. Empty: healed."""
        if self._controls is None:
            return []
        return read_back(self._controls, self._proxies, self._running_readings())

    def trouble(self) -> Trouble | None:
        """A part that died, was stopped or fell silent without a fault of the plan."""
        return self._vitals.trouble if self._vitals is not None else None

    # -- readings ------------------------------

    def sample(self, zero: Zero) -> list[Sample]:
        """All counters of all services, and CPU and memory of all processes, now."""
        t, found = round(time.monotonic() - zero.monotonic_s, 6), self._running_readings().metrics()
        rows = [row for name, metrics in found.items() for row in samples_of(name, metrics, t)]
        processes = {name: node.child.identity for name, node in self._nodes.items()}
        if self._toxiproxy is not None and self._toxiproxy.pid is not None:
            identity = identify(self._toxiproxy.pid)
            processes |= {"toxiproxy": identity} if identity is not None else {}
        return [*rows, *process_samples(processes, t)]

    def pids(self) -> Sequence[int]:
        """None: all are children of this process."""
        return ()

    def backlog(self) -> Mapping[str, Mapping[str, int]]:
        """What each service has not finished."""
        return self._running_readings().backlog()

    def records(self, zero: Zero) -> list[Record | Sample]:
        """All systems of record, and how many rows each gave. Raises StartError when one cannot be read."""
        return self._running_readings().records(zero, self._token, self._logins)

    def journaled(self, folder: Path) -> None:
        """Write down a folder elsewhere that is about to be made, to be removed when this process dies."""
        if self._journal is not None:
            self._journal.write("folder", path=str(folder.resolve()))

    def collect(self, run_folder: Path) -> None:
        """Copy logs and spans written since the last reset into `logs/` and `traces/` of the run."""
        self._folder.collect(run_folder)

    def describe(self) -> RuntimeFacts:
        """Versions of what runs; the Toxiproxy in use by kind and version."""
        label = self._toxiproxy.label if self._toxiproxy is not None else "not started"
        return RuntimeFacts(self.name, label, dict(self._stores.versions), self._stores.remark)

    def _running_controls(self) -> LiveControls:
        if self._controls is None:
            raise StartError("the system is not running: call start first")
        return self._controls

    def _running_readings(self) -> Readings:
        if self._readings is None:
            raise StartError("the system is not running: call start first")
        return self._readings

    # -- stopping ------------------------------

    def stop(self) -> None:
        """End every process in good order, by force after a deadline, and remove the instance's folder.

        Safe to call at any time, also twice. Raises CleanupError naming what is left.
        """
        journal, self._journal = self._journal, None
        if journal is None:
            return
        if self._vitals is not None:
            self._vitals.close()
        if self._controls is not None:
            for link in self._controls.links.values():
                link.close()
            self._meter.close()
        if self._leaks is not None:
            self._leaks.close()
        if self._readings is not None:
            self._readings.close()
        problems = stop_nodes(list(self._nodes.values()), STOP_DEADLINE_S)
        if self._toxiproxy is not None:
            try:
                self._toxiproxy.stop(STOP_DEADLINE_S)
            except CleanupError as error:
                problems.append(str(error))
        problem = journal.close(remove=not problems)
        self._forget()
        if problems or problem:
            raise CleanupError("\n".join([*problems, *([problem] if problem else [])]))
