"""What can be done to one part of the system on a cluster, undone, and measured.

- crash: its processes get SIGKILL from inside the pod, and its image is changed to one that is nowhere, which
  keeps the cluster from starting it again. Undone for a service by deleting its pod, whereupon another comes;
  for a store by putting the image back, since its files go with its pod.
- pause: its processes get SIGSTOP from inside the pod; undone by SIGCONT.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from experiment.controls import Crash, NodeAction, NodeProbe, Pause, capability
from experiment.errors import StartError, UnsupportedError
from experiment.services import Endpoints
from experiment.stop import Stop
from runtimes import part_signs
from runtimes.held_nodes import HeldNode
from runtimes.kubernetes.client import Cluster, ClusterError, PodRan
from runtimes.kubernetes.pods import Pod, hopeless
from runtimes.kubernetes.site import plain_name
from runtimes.kubernetes.watch import PodLife, PodWatch
from runtimes.leftovers import Journal
from runtimes.planned_changes import CHANGE, GAUGE, PlannedChanges
from runtimes.runtime import Address

ANY = frozenset(map(capability, (Crash, Pause)))
NOWHERE = "codeblue.invalid/held:down"  # no registry has a name that ends so
READY_WITHIN_S = 60.0
GONE_WITHIN_S = 20.0
ASK_DEADLINE_S = 1.0
POLL_S = 0.1
LAST_LINES = 15
# The state in the kernel of every process of the pod, a letter each.
STATES = (
    'for one in /proc/[0-9]*/status; do while read -r key value _; do [ "$key" = State: ] && echo "$value"; '
    "done < $one; done 2> /dev/null; true"
)
State = Literal["running", "paused", "absent"]


@dataclass(frozen=True, slots=True)
class PodPart:
    """One service, store or bus. `address` is that of its Service."""

    name: str
    role: str
    address: Address
    control: Endpoints
    image: str

    @property
    def is_store(self) -> bool:
        return self.role in ("store", "bus")

    def complaint(self) -> str:
        """Why it is not ready; empty when it is."""
        return part_signs.complaint(self.role, self.address, self.control, ASK_DEADLINE_S)

    def answers(self, deadline_s: float) -> bool:
        """A sign of life within the deadline."""
        return part_signs.answers(self.role, self.address, self.control, deadline_s)


class PodNode(HeldNode):
    """One part of the system. Threads may use it at once."""

    def __init__(
        self,
        part: PodPart,
        cluster: Cluster,
        namespace: str,
        watch: PodWatch,
        journal: Journal,
        planned: PlannedChanges | None = None,
    ) -> None:
        self.part = part
        self.life = PodLife(plain_name(part.name), watch)
        self._cluster = cluster
        self._namespace = namespace
        self._watch = watch
        self._shell = threading.Lock()
        super().__init__(journal, planned)

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def capabilities(self) -> frozenset[str]:
        return ANY | {CHANGE} if self.changes else ANY

    # -- doing ------------------------------

    def act(self, fault: str, action: NodeAction) -> None:
        """Do it; nothing happens when the fault is active already. Raises UnsupportedError, ClusterError."""
        kind = capability(type(action))
        if kind not in self.capabilities:
            able = ", ".join(sorted(self.capabilities))
            raise UnsupportedError(f"kubernetes cannot do {kind} to {self.name}; it can: {able}")
        self._apply(fault, action, self.name, self._do)

    def _do(self, action: NodeAction) -> None:
        if isinstance(action, Crash):
            self._end()
        elif self.state == "running":
            self._signal(self._pod(), "STOP")

    def _undo(self, action: NodeAction, others: Sequence[NodeAction]) -> None:
        if isinstance(action, Crash):
            self._start()
        elif not any(isinstance(one, Crash) for one in others):
            self._signal(self._pod(), "CONT")
        if not any(isinstance(one, (Crash, Pause)) for one in others):
            self.wait_until_ready(time.monotonic() + READY_WITHIN_S)

    def revive(self) -> None:
        """Whatever was done to it: it runs as it should when this returns. Raises StartError."""
        with self._lock, self._held_down():
            state = self.state
            if state == "absent" or any(pod.image == NOWHERE for pod in self._pods()):
                self._start()
            elif state == "paused":
                self._signal(self._pod(), "CONT")
            self.wait_until_ready(time.monotonic() + READY_WITHIN_S)

    def restart(self) -> None:
        """Another pod in place of this one, with the settings as they are now; returns when it is ready.
        Raises StartError."""
        with self._lock, self._held_down():
            self._replace()
            self.wait_until_ready(time.monotonic() + READY_WITHIN_S)

    def _end(self) -> None:
        for pod in self._pods():
            if pod.running:
                self._signal(pod, "KILL")
                self._set_image(pod, NOWHERE)
        self._await(lambda: self.state == "absent", "end")

    def _start(self) -> None:
        if self.part.is_store:
            for pod in self._pods():
                self._set_image(pod, self.part.image)
        else:
            self._replace()

    def _replace(self) -> None:
        """The Deployment makes another pod as soon as these are gone."""
        old = {pod.name for pod in self._pods()}
        for name in old:
            self._cluster.delete("Pod", name, self._namespace, within_s=1)
        self._await(lambda: not old & {pod.name for pod in self._watch.new().pods}, "go")

    def _await(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + GONE_WITHIN_S
        while not done():
            if time.monotonic() > end:
                raise StartError(f"{self.name} does not {what} within {GONE_WITHIN_S:g} s: {self.last_words}")
            time.sleep(POLL_S)

    def _signal(self, pod: Pod, signal: str) -> None:
        """To all processes of the pod but its first, which is nobody's part. Raises StartError."""
        ran = self._inside(pod, f"kill -s {signal} -- -1")
        if ran.code != 0:
            raise StartError(f"{self.name}: SIG{signal} was not sent: {ran.output.strip()}")

    def _inside(self, pod: Pod, script: str) -> PodRan:
        """One at a time: a signal would hit the other's shell."""
        with self._shell:
            return self._cluster.run(pod.name, self._namespace, ("sh", "-c", script))

    def _set_image(self, pod: Pod, image: str) -> None:
        container = {"name": plain_name(self.name), "image": image}
        self._cluster.patch(
            "Pod", pod.name, {"spec": {"containers": [container]}}, self._namespace, by_name=True
        )

    def wait_until_ready(self, end: float, stop: Stop | None = None) -> None:
        """Poll until the part has no complaint. Raises StartError naming what keeps it, at once where no
        waiting helps; Interrupted."""
        stop = stop or Stop()
        while True:
            pods = self._watch.last.of(plain_name(self.name))
            complaint = "it has no pod" if not pods else self.part.complaint()
            pods = self._watch.new().of(plain_name(self.name)) if not complaint else pods
            if not complaint and len(pods) == 1 and pods[0].running:
                self.life.expect(pods[0])
                return
            for why in [hopeless(pod) for pod in pods if pod.image != NOWHERE]:
                if why:
                    raise self._not_ready(why)
            if time.monotonic() > end:
                raise self._not_ready(complaint or "its container does not run")
            stop.sleep(POLL_S)

    def _not_ready(self, complaint: str) -> StartError:
        return StartError(f"{self.name} at {self.part.address} is not ready ({complaint}): {self.last_words}")

    # -- measuring ------------------------------

    def _pods(self) -> list[Pod]:
        return self._watch.new().of(plain_name(self.name))

    def _pod(self) -> Pod:
        """Raises StartError where there is none that runs."""
        for pod in self._pods():
            if pod.running:
                return pod
        raise StartError(f"{self.name} has no pod that runs")

    @property
    def state(self) -> State:
        """running, paused by a signal, or absent."""
        end = time.monotonic() + GONE_WITHIN_S
        while running := [pod for pod in self._pods() if pod.running]:
            try:
                ran = self._inside(running[0], STATES)
            except ClusterError:  # it may have ended a moment ago, which the cluster tells later
                if time.monotonic() > end:
                    raise
                time.sleep(POLL_S)
                continue
            return "paused" if "T" in ran.output.split() else "running"
        return "absent"

    @property
    def last_words(self) -> str:
        """The state of its pods, and the last lines of their logs."""
        try:
            return "\n".join(map(self._words_of, self._pods())) or "it has no pod"
        except ClusterError as error:
            return str(error)

    def _words_of(self, pod: Pod) -> str:
        try:
            said = self._cluster.logs(pod.name, self._namespace, last=LAST_LINES)
        except ClusterError as error:  # its container was never made
            return f"{pod}; its log could not be read: {error}"
        shown = "\n".join(f"    {line}" for line in said.splitlines()) or "    (its log is empty)"
        return f"{pod}; it said:\n{shown}"

    def probe(self, deadline_s: float) -> NodeProbe:
        """State from the cluster and the kernel, sign of life within the deadline."""
        pods, state = self._pods(), self.state
        start = time.monotonic()
        answers = state != "absent" and self.part.answers(deadline_s)
        seconds = time.monotonic() - start if answers else None
        return NodeProbe(state, answers, seconds, pods[0].container if pods else "")

    def gauge(self, name: str) -> float:
        """How far a planned change is. Raises UnsupportedError."""
        if name.startswith(GAUGE) and self.planned is not None:
            return self.planned.figure(name)
        raise UnsupportedError(f"kubernetes has no gauge {name} of {self.name}")
