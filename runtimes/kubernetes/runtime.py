"""The system in a namespace of a cluster, every link through Toxiproxy.

The harness talks to Services and to Toxiproxy's pod at their own addresses, past every proxy of the cluster's
interface: a forwarded port would add its own time to what is measured, and would break with every pod. So it
runs where these addresses lead: in a pod, on a node, or with a route to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from experiment.controls import Controls
from experiment.errors import CleanupError, StartError
from experiment.history import Obeyed, Record, Sample
from experiment.stop import Stop
from experiment.topology import System
from experiment.trouble import Trouble
from runtimes.behaviour_controls import ServiceBehaviour
from runtimes.containers.layout import INSTANCE, TOXIPROXY
from runtimes.foreign import logins
from runtimes.kubernetes.building import Built, Place, bring_up, write_configurations
from runtimes.kubernetes.client import Cluster, ClusterError
from runtimes.kubernetes.here import LocalPods
from runtimes.kubernetes.site import plain_name
from runtimes.kubernetes.sweeping import remove
from runtimes.kubernetes.watch import PodLife
from runtimes.leaks import ContainerLeaks, Dwelling
from runtimes.leftovers import Journal
from runtimes.links.controls import ProxiedLink, proxy_name
from runtimes.links.conversations import Opener, http_paths
from runtimes.links.probes import LinkProber
from runtimes.links.traffic import LinkTraffic, TrafficMeter
from runtimes.live_controls import HealableBehaviour, LiveControls, heal_all, read_back
from runtimes.obeying import told
from runtimes.owners import identify
from runtimes.processes.readings import process_samples
from runtimes.readings import Readings, samples_of
from runtimes.resetting import reset_services
from runtimes.runtime import Address, Point, RunSettings, RuntimeFacts, Zero
from runtimes.sql import Login
from runtimes.starting import at_once, beside, start_or_stop
from runtimes.vitals import Vital, Vitals, sign_of

SERVER_BACK_WITHIN_S = 30.0
POLL_S = 0.1


class KubernetesRuntime:
    """Starts, resets, measures and stops one instance of a system. See `runtimes.runtime.Runtime`."""

    def __init__(self, system: System, var: Path, place: Place, stop: Stop | None = None) -> None:
        """`var` keeps journals; nothing is asked or made yet. A start that is under way ends when `stop` is
        asked for."""
        self._asked = stop or Stop()
        self._system = system
        self._var = var.resolve()
        self._place = place
        self._journals: list[Journal] = []  # of what was started and not removed yet
        self._facts = RuntimeFacts(self.name, "not started")
        self._forget()

    def _forget(self) -> None:
        self._cluster: Cluster | None = None
        self._built: Built | None = None
        self._readings: Readings | None = None
        self._controls: LiveControls | None = None
        self._vitals: Vitals | None = None
        self._server: PodLife | None = None
        self._replacing = False
        self._leaks: ContainerLeaks | None = None
        self._meter: TrafficMeter | None = None
        self._here: LocalPods | None = None
        self._since = 0.0
        self._spans: dict[str, int] = {}
        self._token = ""
        self._logins: dict[str, Login] = {}

    @property
    def name(self) -> str:
        return "kubernetes"

    @property
    def system(self) -> System:
        return self._system

    # -- starting ------------------------------

    def start(self, run: RunSettings) -> None:
        """Start everything and reset it for the run. On failure all is removed again. Raises StartError,
        Interrupted."""
        start_or_stop(lambda: self._start(run), self.stop, FileExistsError, self._var)

    def _start(self, run: RunSettings) -> None:
        cluster = self._cluster = Cluster(self._place.context)
        journal = Journal(self._var, "kubernetes", self._asked)
        self._journals.append(journal)
        self._built = bring_up(cluster, self._system, journal, run, self._place)
        self._equip(self._built, journal)
        beside(self._asked, lambda: self.reset(run))

    def _equip(self, built: Built, journal: Journal) -> None:
        """Controls and readings of the running system."""
        keys = built.site.secrets.keys
        self._here = LocalPods(built.watch, {plain_name(name): name for name in self._system.services})
        meter = self._meter = TrafficMeter(built.proxies, self._network)
        self._require_sight(built)
        links: dict[str, ProxiedLink] = {}
        behaviours: dict[str, HealableBehaviour] = {}
        for link in self._system.links:
            door, control = built.doors[link.name], self._system.services[link.callee].control
            traffic = LinkTraffic(meter, proxy_name(link), door, paired=link.protocol != "nats")
            key = keys.over(self._system, link)
            prober = LinkProber(Opener(link.protocol, door, http_paths(control), key, traffic.probes))
            links[link.name] = ProxiedLink(link, built.proxies, prober, journal, traffic)
            player = self._system.services[link.played_by]
            if player.is_code and player.control.behaviour is not None:
                point = Point(built.nodes[link.played_by].part.address, player.control)
                behaviours[link.name] = ServiceBehaviour(link, point, journal)
        points = {
            name: Point(node.part.address, node.part.control)
            for name, node in built.nodes.items()
            if not node.part.is_store
        }
        self._readings = Readings(points, self._system.records)
        self._controls = LiveControls(links, built.nodes, behaviours)
        server = self._server = PodLife(TOXIPROXY, built.watch)
        server.expect(built.watch.new().of(TOXIPROXY)[0])
        parts = [
            Vital(name, node.life.wrong, node.is_held, sign_of(node.part.role, node.part.address))
            for name, node in built.nodes.items()
        ]
        parts.append(Vital(TOXIPROXY, server.wrong, lambda: self._replacing, built.proxies.answers))
        self._vitals = Vitals(parts)
        self._leaks = ContainerLeaks(self._dwellings, self._members(built))

    def _require_sight(self, built: Built) -> None:
        """Raises StartError where nobody could see what callers send: the original Toxiproxy tells of
        connections that have ended only, and the kernel of another machine is not asked."""
        if built.toxiproxy.startswith("real") and self._local().network(TOXIPROXY) is None:
            raise StartError(
                f"found Toxiproxy {built.toxiproxy} in a pod of another machine, expected its image to hold "
                "the embedded server (TOXIPROXY_SERVER=embedded when images are made), or a run on the node: "
                "a caller's traffic could not be seen"
            )

    def _network(self) -> Path:
        """The network of Toxiproxy's pod. Raises OSError where it is not on this machine."""
        if (found := self._local().network(TOXIPROXY)) is None:
            raise ProcessLookupError("Toxiproxy's pod is not on this machine")
        return found

    def _local(self) -> LocalPods:
        if self._here is None:
            raise StartError("the system is not running: call start first")
        return self._here

    def _members(self, built: Built) -> dict[str, str]:
        plain = {plain_name(name): name for name in self._system.services}
        return {pod.ip: plain[pod.part] for pod in built.watch.new().pods if pod.part in plain}

    def _dwellings(self) -> dict[str, Dwelling]:
        built, pids = self._running()[1], self._local().pids()
        callees = {link.callee for link in self._system.links}
        return {
            name: Dwelling(pids[name], built.nodes[name].part.address) for name in callees if name in pids
        }

    def _running(self) -> tuple[Cluster, Built]:
        if self._cluster is None or self._built is None:
            raise StartError("the system is not running: call start first")
        return self._cluster, self._built

    # -- runs ------------------------------

    def reset(self, run: RunSettings) -> None:
        """Empty all services and switch to the run's design; those that need it are started again. A system
        that is not up is started. Raises StartError, CleanupError."""
        if self._built is None:
            self.stop()
            self.start(run)
            return
        cluster, built = self._running()
        assert self._readings is not None and self._vitals is not None
        self._token = run.token
        addresses = {name: node.part.address for name, node in built.nodes.items()}
        self._logins = logins(self._system, addresses, run, built.site.secrets.keys.passwords)
        self._live().begin()
        self._restart(write_configurations(cluster, built, run))
        self._vitals.renew()
        wanting = reset_services(self._readings, run, self._look)
        if wanting:
            self._restart(wanting)
            if still := reset_services(self._readings, run, self._look):
                raise StartError(f"{', '.join(still)} want another restart after one for {run.design.name}")
        self._since = time.time()
        self._spans = self._lengths()
        self._leaks = ContainerLeaks(self._dwellings, self._members(built))

    def _look(self) -> None:
        """Raises StartError naming a part that is in trouble: nothing is awaited in vain."""
        if (trouble := self.trouble()) is not None:
            raise StartError(trouble.told(0.0))

    def _restart(self, names: Sequence[str]) -> None:
        if names:
            nodes = self._running()[1].nodes
            with at_once(len(names), self._asked) as pool:
                for done in [pool.submit(nodes[name].restart) for name in names]:
                    done.result()

    def obeyed(self, t: float) -> list[Obeyed]:
        """What each service shows of the design of the last reset: its own answer."""
        return told(self._read(), t)

    def leaks(self) -> list[str]:
        """Connections between parts that go past the proxies now, as far as their pods are on this
        machine."""
        return [str(leak) for leak in self._leaks.find()] if self._leaks is not None else []

    def controls(self) -> Controls:
        return self._live()

    def address(self, service: str) -> Address:
        """Where clients reach a service: its Service, without a link between."""
        return self._running()[1].nodes[service].part.address

    def heal(self) -> None:
        """Undo every fault, known or not. Raises CleanupError naming what could not be undone."""
        built = self._running()[1]
        problems = heal_all(self._live(), built.proxies, self._read(), self._replace)
        if problems:
            raise CleanupError("\n".join(problems))

    def _replace(self) -> None:
        """Another server of the proxies in the same pod, with the same proxies and toxics. Raises
        StartError."""
        cluster, built = self._running()
        assert self._server is not None
        self._replacing = True
        try:
            pod = built.watch.new().of(TOXIPROXY)[0]
            if pod.running:
                cluster.run(pod.name, built.site.namespace, ("sh", "-c", "kill -s KILL -- -1"))
            end = time.monotonic() + SERVER_BACK_WITHIN_S
            while not built.proxies.answers(1.0):
                if time.monotonic() > end:
                    raise StartError(
                        f"Toxiproxy was replaced and is not ready: {built.watch.new().of(TOXIPROXY)}"
                    )
                time.sleep(POLL_S)
            built.proxies.rebuild()
            self._server.expect(built.watch.new().of(TOXIPROXY)[0])
        finally:
            self._replacing = False

    def unhealed(self) -> list[str]:
        """What is still wrong, read back from proxies, cluster and services. Empty: healed."""
        if self._controls is None or self._built is None:
            return []
        try:
            return read_back(self._controls, self._built.proxies, self._read())
        except ClusterError as error:
            return [str(error)]

    def trouble(self) -> Trouble | None:
        """The cluster does not answer, or a part died or fell silent without a fault of the plan."""
        if self._built is None or self._vitals is None:
            return None
        return self._vitals.trouble or self._built.watch.gone

    # -- readings ------------------------------

    def sample(self, zero: Zero) -> list[Sample]:
        """All counters of all services, and CPU and memory of the processes that run on this machine, now."""
        t = round(time.monotonic() - zero.monotonic_s, 6)
        rows = [row for name, one in self._read().metrics().items() for row in samples_of(name, one, t)]
        known = {
            name: one for name, pid in self._local().pids().items() if (one := identify(pid)) is not None
        }
        return [*rows, *process_samples(known, t)]

    def pids(self) -> Sequence[int]:
        """The first process of each container that runs on this machine."""
        return list(self._local().pids().values())

    def backlog(self) -> Mapping[str, Mapping[str, int]]:
        """What each service has not finished."""
        return self._read().backlog()

    def records(self, zero: Zero) -> list[Record | Sample]:
        """All systems of record, and how many rows each gave. Raises StartError when one cannot be read."""
        return self._read().records(zero, self._token, self._logins)

    def journaled(self, folder: Path) -> None:
        """Write down a folder elsewhere that is about to be made, to be removed when this process dies."""
        if self._journals:
            self._journals[-1].write("folder", path=str(folder.resolve()))

    def _lengths(self) -> dict[str, int]:
        """How long the file of spans of each service is now."""
        return {name: len(text) for name, text in self._written().items()}

    def _written(self) -> dict[str, str]:
        """The spans of each service, as far as its pod runs: they go with it."""
        cluster, built = self._running()
        found = dict[str, str]()
        for name, configuration in built.configurations.items():
            for pod in built.watch.last.of(plain_name(name)):
                with suppress(ClusterError):
                    path = str(configuration["spans"])
                    ran = cluster.run(pod.name, built.site.namespace, ("cat", path))
                    found[name] = ran.output if ran.code == 0 else ""
        return found

    def collect(self, run_folder: Path) -> None:
        """Spans, and each pod's log since the last reset, into `traces/` and `logs/` of the run; how every
        pod fares into `logs/pods.json`. Nothing when nothing was started."""
        if self._built is None:
            return
        cluster, built = self._running()
        logs, traces = run_folder / "logs", run_folder / "traces"
        for folder in (logs, traces):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._written().items():
            (traces / f"{name}.spans.jsonl").write_text(text[self._spans.get(name, 0) :])
        fates: dict[str, str] = {}
        plain = {plain_name(name): name for name in self._system.services}
        since = max(1, round(time.time() - self._since))
        for pod in built.watch.last.pods:
            part = plain.get(pod.part, pod.part)
            fates[pod.name] = str(pod)
            try:
                said = cluster.logs(pod.name, built.site.namespace, since_s=since)
            except ClusterError as error:
                fates[pod.name] += f"; its log could not be read: {error}"
                continue
            with (logs / f"{part}.log").open("a") as file:
                file.write(said)
        (logs / "pods.json").write_text(json.dumps(fates, indent=1))

    def describe(self) -> RuntimeFacts:
        """Versions of what runs, or ran last; the Toxiproxy by kind and version."""
        if self._built is not None:
            remark = (
                ""
                if self._local().pids()
                else ("its nodes are other machines: their CPU and connections past the proxies are not seen")
            )
            self._facts = RuntimeFacts(self.name, self._built.toxiproxy, dict(self._built.versions), remark)
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
        """Remove everything that the run has made. Safe to call at any time. Raises CleanupError naming what
        is left."""
        if self._controls is not None:
            for link in self._controls.links.values():
                link.close()
        for part in (self._vitals, self._meter, self._leaks, self._readings):
            if part is not None:
                part.close()
        if self._built is not None:
            self._built.watch.close()
        cluster = self._cluster
        self._forget()
        problems = [problem for one in tuple(self._journals) for problem in self._end(one, cluster)]
        if cluster is not None:
            cluster.close()
        if problems:
            raise CleanupError("\n".join(problems))

    def _end(self, journal: Journal, cluster: Cluster | None) -> list[str]:
        """Remove one instance. What cannot be removed now is tried again with the next stop."""
        namespace = self._place.namespace or f"codeblue-{journal.instance.removeprefix('kubernetes-')}"
        try:
            known = cluster or Cluster(self._place.context)
            problems = remove(known, {INSTANCE: journal.instance}, namespace, own=not self._place.namespace)
        except ClusterError as error:
            problems = [str(error)]
        if problem := journal.close(remove=not problems):
            problems.append(problem)
        if not problems:
            self._journals.remove(journal)
        return problems
