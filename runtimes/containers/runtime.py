"""The system as containers: a private network, one container a part, every link through Toxiproxy.

Everything carries the label of the instance, and nothing else is ever touched. Only the front doors are
published, on 127.0.0.1; the harness reaches the rest at its address in the instance's own network.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from experiment.controls import Controls
from experiment.design import Design
from experiment.errors import CleanupError, StartError
from experiment.history import Obeyed, Record, Sample
from experiment.stop import Stop
from experiment.topology import System
from experiment.trouble import Trouble
from runtimes.behaviour_controls import ServiceBehaviour
from runtimes.containers.building import (
    Built,
    bring_up,
    check_engine,
    foreign_parts,
    write_configurations,
)
from runtimes.containers.engine import Engine
from runtimes.containers.foreign_images import asked_image, foreign_images
from runtimes.containers.jobs import jobs_of
from runtimes.containers.layout import TOOLBOX, TOXIPROXY
from runtimes.containers.links import PacketLink
from runtimes.containers.nodes import ContainerNode
from runtimes.containers.replacing import ToxiproxyReplacement
from runtimes.containers.service_images import image_of
from runtimes.containers.sweeping import remove_instance
from runtimes.containers.watch import ContainerLife, EngineWatch, wait_for_engine
from runtimes.docker_engine import EngineError, EngineGone, EngineTaken
from runtimes.foreign import logins
from runtimes.leaks import ContainerLeaks, Dwelling
from runtimes.leftovers import Journal
from runtimes.links.controls import ProxiedLink, proxy_name
from runtimes.links.conversations import Opener, http_paths
from runtimes.links.probes import LinkProber
from runtimes.links.request_faults import ProxiedBehaviour
from runtimes.links.traffic import LinkTraffic, TrafficMeter
from runtimes.live_controls import HealableBehaviour, LiveControls, heal_all, read_back
from runtimes.obeying import of_start, told
from runtimes.owners import Identity, identify
from runtimes.planned_changes import PlannedChanges
from runtimes.processes.readings import process_samples
from runtimes.readings import Readings, samples_of
from runtimes.resetting import reset_services
from runtimes.runtime import Address, Point, RunSettings, RuntimeFacts, Zero
from runtimes.sql import Login
from runtimes.starting import beside, start_or_stop
from runtimes.vitals import HUNG, Vital, Vitals, sign_of

ENGINE_BACK_WITHIN_S = 30.0


class ContainersRuntime:
    """Starts, resets, measures and stops one instance of a system. See `runtimes.runtime.Runtime`."""

    def __init__(self, system: System, var: Path, service_image: str = "", stop: Stop | None = None) -> None:
        """`var` keeps journals, wheels and the instance's files; nothing is started yet.

        `service_image` is an image that holds the services, when it is not to be that of their checkout.
        A start that is under way ends when `stop` is asked for.
        """
        self._asked = stop or Stop()
        self._service_image = service_image
        self._system = system
        self._var = var.resolve()  # the engine takes absolute paths only
        self._engine: Engine | None = None
        self._journals: list[Journal] = []  # of what was started and not removed yet
        self._facts = RuntimeFacts(self.name, "not started")
        self._forget()

    def _forget(self) -> None:
        self._watch: EngineWatch | None = None
        self._built: Built | None = None
        self._nodes: dict[str, ContainerNode] = {}
        self._readings: Readings | None = None
        self._controls: LiveControls | None = None
        self._vitals: Vitals | None = None
        self._leaks: ContainerLeaks | None = None
        self._toxiproxy: ContainerLife | None = None
        self._replace: ToxiproxyReplacement | None = None
        self._meter: TrafficMeter | None = None
        self._since = 0.0
        self._token = ""
        self._design: Design | None = None  # of the last reset
        self._logins: dict[str, Login] = {}
        self._played: set[str] = set()

    @property
    def name(self) -> str:
        return "containers"

    @property
    def system(self) -> System:
        return self._system

    # -- starting ------------------------------

    def start(self, run: RunSettings) -> None:
        """Start everything and reset it for the run. On failure all is removed again. Raises StartError,
        Interrupted."""
        start_or_stop(lambda: self._start(run), self.stop, EngineTaken, self._var)

    def _start(self, run: RunSettings) -> None:
        engine = self._engine = Engine()
        check_engine(engine)
        journal = Journal(self._var, "containers", self._asked)
        self._journals.append(journal)
        journal.write("engine", endpoint=engine.url)
        cache = self._var / "images"
        with self._asked.cut_short(0.0):  # a build or a fetch is ended with its connection
            image = image_of(self._system, self._service_image, cache, journal)
            images, jobs = foreign_images(self._system, jobs_of(self._system), cache, journal)
        self._watch = EngineWatch(engine, f"codeblue.instance={journal.instance}")
        self._built = bring_up(engine, self._system, journal, run, image, images, jobs)
        self._equip(self._built, engine, journal)
        beside(self._asked, lambda: self.reset(run))

    def _equip(self, built: Built, engine: Engine, journal: Journal) -> None:
        """Controls and readings of the running system."""
        able = built.toolbox.abilities()
        self._replace = ToxiproxyReplacement(engine, built, self._gone, self._lost)
        keys = built.secrets.keys
        server = built.layout.container(TOXIPROXY)
        meter = self._meter = TrafficMeter(built.proxies, lambda: network_of(engine, server))
        links: dict[str, PacketLink] = {}
        behaviours: dict[str, HealableBehaviour] = {}
        for link in self._system.links:
            door = built.doors[link.name]
            control = self._system.services[link.callee].control
            traffic = LinkTraffic(meter, proxy_name(link), door, paired=link.protocol != "nats")
            key = keys.over(self._system, link)
            prober = LinkProber(Opener(link.protocol, door, http_paths(control), key, traffic.probes))
            proxied = ProxiedLink(link, built.proxies, prober, journal, traffic, self._replace)
            links[link.name] = PacketLink(proxied, prober, door, built.toolbox, able, journal)
            player = self._system.services[link.played_by]
            if player.is_code and player.control.behaviour is not None:
                point = Point(built.layout.addresses[link.played_by], player.control)
                behaviours[link.name] = ServiceBehaviour(link, point, journal)
            elif link.protocol == "http":
                behaviours[link.name] = ProxiedBehaviour(link, proxied, built.proxies, journal)
        for name, part in built.parts.items():
            has_clock = not (part.is_store or part.foreign)
            clock = built.folder.path / "clocks" / name if has_clock else None
            planned = None
            if not part.is_store:
                offered = self._system.services[name].changes
                planned = PlannedChanges(name, Point(part.address, part.control), offered)
            self._nodes[name] = ContainerNode(part, engine, built.toolbox, clock, journal, planned)
        points = {
            name: Point(part.address, part.control) for name, part in built.parts.items() if not part.is_store
        }
        self._readings = Readings(points, self._system.records)
        self._controls = LiveControls(links, self._nodes, behaviours)
        self._vitals = Vitals(self._watched(built, engine, self._replace))
        self._leaks = ContainerLeaks(self._dwellings, built.layout.members(self._system))

    def _watched(self, built: Built, engine: Engine, replace: ToxiproxyReplacement) -> list[Vital]:
        """Every container; services are not asked, since their silence may be what a run shows."""
        assert self._watch is not None
        lives = {
            name: ContainerLife(engine, built.layout.container(name), self._watch)
            for name in (*self._nodes, TOXIPROXY, TOOLBOX)
        }
        nodes = [
            Vital(name, lives[name].wrong, node.is_held, sign_of(node.part.role, node.part.address))
            for name, node in self._nodes.items()
        ]
        self._toxiproxy = lives[TOXIPROXY]
        toxiproxy = Vital(TOXIPROXY, lives[TOXIPROXY].wrong, replace.is_held, built.proxies.answers)
        return [*nodes, toxiproxy, Vital(TOOLBOX, lives[TOOLBOX].wrong, replace.is_held)]

    def _lost(self) -> None:
        """Toxiproxy is replaced: it died, was stopped or hung."""
        if self._vitals is not None and self._toxiproxy is not None:
            self._vitals.tell(TOXIPROXY, self._toxiproxy.wrong() or HUNG)

    def _running(self) -> tuple[Engine, Built]:
        if self._engine is None or self._built is None:
            raise StartError("the system is not running: call start first")
        return self._engine, self._built

    # -- runs ------------------------------

    def reset(self, run: RunSettings) -> None:
        """Empty all services and switch to the run's design; those that need it are restarted.

        A system that is not up is started: the engine went away in the last run, or was not back when this
        was tried before. So is one that cannot be emptied and has played this very run, with the same keys.
        Raises StartError, CleanupError.
        """
        again = self._system.without("reset") and run.run_id in self._played
        if self._built is None or self._gone() is not None or again:
            self.stop()
            self.start(run)
            return
        _, built = self._running()
        assert self._readings is not None and self._vitals is not None
        self._played.add(run.run_id)
        self._vitals.renew()
        self._token, self._design = run.token, run.design
        self._logins = logins(self._system, built.layout.addresses, run, built.secrets.keys.passwords)
        built.folder.mark()
        self._live().begin()
        self._since = time.time()
        self._restart(write_configurations(built, self._system, run))
        self._renew(built, run)
        wanting = reset_services(self._readings, run, self._look)
        if wanting:
            self._restart(wanting)
            if still := reset_services(self._readings, run, self._look):
                raise StartError(f"{', '.join(still)} want another restart after one for {run.design.name}")

    def _look(self) -> None:
        """Raises StartError naming a part that is in trouble: nothing is awaited in vain."""
        if (trouble := self.trouble()) is not None:
            raise StartError(trouble.told(0.0))

    def _renew(self, built: Built, run: RunSettings) -> None:
        """Replace the containers that this design wants started with other variables or arguments."""
        wanted = foreign_parts(built, self._system, run)
        changed = [part for name, part in wanted.items() if part != built.parts[name]]
        if changed:
            with ThreadPoolExecutor(len(changed), thread_name_prefix="renew") as pool:
                for done in [pool.submit(self._nodes[part.name].renew, part) for part in changed]:
                    done.result()
            built.parts |= {part.name: part for part in changed}

    def _restart(self, names: Sequence[str]) -> None:
        if names:
            with ThreadPoolExecutor(len(names), thread_name_prefix="restart") as pool:
                for done in [pool.submit(self._nodes[name].restart) for name in names]:
                    done.result()

    def obeyed(self, t: float) -> list[Obeyed]:
        """What each service shows of the design of the last reset: its own answer, or what the engine shows
        of a container that knows nothing of the harness; and the image that each runs from."""
        engine, built = self._running()
        started = {
            name: engine.started_with(part.spec.name)
            for name, part in built.parts.items()
            if not part.is_store
        }
        found = [replace(one, image=started[one.service].image) for one in told(self._read(), t)]
        for name, part in built.parts.items():
            if part.foreign and self._design is not None and part.control.design is None:
                as_started = started[name]
                found.append(
                    of_start(
                        self._system,
                        self._design,
                        name,
                        as_started.environment,
                        as_started.command,
                        t,
                        as_started.image,
                        asked_image(self._design, name, as_started.image),
                    )
                )
        return found

    def leaks(self) -> list[str]:
        """Connections between parts of the system that go past the proxies now."""
        return [str(leak) for leak in self._leaks.find()] if self._leaks is not None else []

    def _dwellings(self) -> dict[str, Dwelling]:
        """The callees that run now, each with its network."""
        engine, built = self._running()
        found: dict[str, Dwelling] = {}
        for name in {link.callee for link in self._system.links}:
            with suppress(EngineError):
                if pid := engine.state(built.layout.container(name)).pid:
                    found[name] = Dwelling(pid, built.layout.addresses[name])
        return found

    def controls(self) -> Controls:
        return self._live()

    def address(self, service: str) -> Address:
        """Where clients reach a service: a front door on 127.0.0.1."""
        layout = self._running()[1].layout
        return layout.published.get(service) or layout.addresses[service]

    def heal(self) -> None:
        """Undo every fault, known or not. Raises CleanupError naming what could not be undone."""
        built = self._running()[1]
        assert self._replace is not None
        problems = heal_all(self._live(), built.proxies, self._read(), self._replace)
        try:
            self._replace.revive_toolbox()
            built.toolbox.heal()
        except EngineError as error:
            problems.append(str(error))
        if problems:
            raise CleanupError("\n".join(problems))

    def unhealed(self) -> list[str]:
        """What is still wrong, read back from proxies, engine, kernel and services. Empty: healed.

        When the engine went away nothing is left to heal: the faults ended with their containers.
        """
        if self._controls is None or self._built is None or self._gone() is not None:
            return []
        try:
            if self._replace is not None and (problem := self._replace.toolbox_problem()):
                return [problem]  # nothing can be looked at without it
            problems = read_back(self._controls, self._built.proxies, self._read())
            for name, node in self._nodes.items():
                problems.extend(f"{name}: {remains}" for remains in node.remains())
            problems.extend(f"packets are dropped by {chain}" for chain in self._built.toolbox.chains())
            problems.extend(["packets are damaged by netem"] if self._built.toolbox.treats() else [])
            problems.extend(f"{name}: its disk is full" for name in self._built.toolbox.filled())
            return problems
        except EngineError as error:
            return [] if self._gone() is not None else [str(error)]

    def trouble(self) -> Trouble | None:
        """The engine went away, or a part died, was stopped or fell silent without a fault of the plan."""
        if (gone := self._gone()) is not None or self._vitals is None:
            return gone
        return self._vitals.trouble

    def _gone(self) -> Trouble | None:
        """That the engine went away. Then nothing is left to heal."""
        return self._watch.gone if self._watch is not None else None

    # -- readings ------------------------------

    def sample(self, zero: Zero) -> list[Sample]:
        """All counters of all services, and CPU and memory of all containers' processes, now."""
        t = round(time.monotonic() - zero.monotonic_s, 6)
        rows = [row for name, one in self._read().metrics().items() for row in samples_of(name, one, t)]
        return [*rows, *process_samples(self._processes(), t)]

    def pids(self) -> Sequence[int]:
        """The first process of each container, where the engine is on this machine."""
        return [identity.pid for identity in self._processes().values()]

    def _processes(self) -> dict[str, Identity]:
        engine, built = self._running()
        found: dict[str, Identity] = {}
        for name in (*self._nodes, TOXIPROXY):
            identity = identify(engine.state(built.layout.container(name)).pid or 0)
            found |= {name: identity} if identity is not None else {}
        return found

    def backlog(self) -> Mapping[str, Mapping[str, int]]:
        """What each service has not finished."""
        return self._read().backlog()

    def records(self, zero: Zero) -> list[Record | Sample]:
        """All systems of record, and how many rows each gave. Raises StartError when one cannot be read."""
        if (gone := self._gone()) is not None:
            raise EngineGone(gone.told(zero.monotonic_s))
        return self._read().records(zero, self._token, self._logins)

    def journaled(self, folder: Path) -> None:
        """Write down a folder elsewhere that is about to be made, to be removed when this process dies."""
        if self._journals:
            self._journals[-1].write("folder", path=str(folder.resolve()))

    def collect(self, run_folder: Path) -> None:
        """Spans, and each container's log since the last reset, into `traces/` and `logs/` of the run;
        how every container fares into `logs/containers.json`. Nothing when nothing was started."""
        if self._built is None:
            return
        engine, built = self._running()
        built.folder.collect(run_folder)
        parts = [*self._nodes, TOXIPROXY, TOOLBOX]
        named = {part: built.layout.container(part) for part in parts}
        collect_logs(engine, named, run_folder / "logs", self._since)

    def describe(self) -> RuntimeFacts:
        """Versions of what runs, or ran last; the Toxiproxy by kind and version."""
        if self._built is not None:
            self._facts = RuntimeFacts(self.name, self._built.toxiproxy, dict(self._built.versions))
        return self._facts

    def _live(self) -> LiveControls:
        if self._controls is None:
            raise StartError("the system is not running: call start first")
        return self._controls

    def _read(self) -> Readings:
        if self._readings is None:
            raise StartError("the system is not running: call start first")
        return self._readings

    # -- stopping ------------------------------

    def stop(self) -> None:
        """Remove everything that carries the instance's label, and its folder. Safe to call at any time.

        An engine that is away is waited for. Raises CleanupError naming what is left.
        """
        if self._vitals is not None:
            self._vitals.close()
        if self._watch is not None:
            self._watch.close()
        if self._controls is not None:
            for link in self._controls.links.values():
                link.close()
        if self._meter is not None:
            self._meter.close()
        if self._leaks is not None:
            self._leaks.close()
        if self._readings is not None:
            self._readings.close()
        if self._engine is not None:
            self._engine.close()
        self._forget()
        if problems := [problem for one in tuple(self._journals) for problem in self._end(one)]:
            raise CleanupError("\n".join(problems))

    def _end(self, journal: Journal) -> list[str]:
        """Remove one instance. What cannot be removed now is tried again with the next stop."""
        problems = self._remove(journal.instance)
        if problem := journal.close(remove=not problems):
            problems.append(problem)
        if not problems:
            self._journals.remove(journal)
        return problems

    def _remove(self, instance: str) -> list[str]:
        engine = wait_for_engine(ENGINE_BACK_WITHIN_S)
        if engine is None:
            return [
                f"no Docker engine answers any more: containers of {instance} may be left; "
                "the next command removes them once the engine runs"
            ]
        try:
            return [f"{name} cannot be removed" for name in remove_instance(engine, instance)]
        except EngineError as error:
            return [str(error)]
        finally:
            engine.close()


def network_of(engine: Engine, container: str) -> Path:
    """The network namespace of a running container. Raises OSError where it does not run."""
    pid = engine.state(container).pid
    if not pid:
        raise ProcessLookupError(f"{container} does not run")
    return Path("/proc") / str(pid) / "ns" / "net"


def collect_logs(engine: Engine, containers: Mapping[str, str], logs: Path, since: float) -> None:
    """Write `PART.log` of each part's container since a unix time, and `containers.json`. Raises OSError.

    What an engine that went away cannot tell is said to be not known.
    """
    logs.mkdir(parents=True, exist_ok=True)
    fates: dict[str, dict[str, object]] = {}
    for part, container in containers.items():
        try:
            state = engine.state(container)
            (logs / f"{part}.log").write_bytes(engine.logs(container, since=since))
        except EngineError as error:
            fates[part] = {"status": f"not known: {error}"}
            continue
        fates[part] = {
            "status": state.status,
            "exit_code": state.exit_code,
            "out_of_memory": state.oom_killed,
            "started_at": state.started_at,
        }
    (logs / "containers.json").write_text(json.dumps(fates, indent=1))
