"""Looks at all pods of a run twice a second, and at once for whoever must know what holds now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from experiment.trouble import Trouble
from runtimes.kubernetes.client import ClusterError
from runtimes.kubernetes.pods import Pod
from runtimes.vitals import Wrong

LOOK_EVERY_S = 0.5
SILENT_AFTER_S = 5.0  # without an answer nobody knows whether the parts live, or what a fault did
POLL_S = 0.01
NEW_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """All pods at one time; `asked_s` is when the cluster was asked, on CLOCK_MONOTONIC."""

    asked_s: float
    pods: tuple[Pod, ...] = field(default=())

    def of(self, part: str) -> list[Pod]:
        """The pods of a part that nobody is about to delete."""
        return [pod for pod in self.pods if pod.part == part and not pod.deleting]


class PodWatch:
    """Looks from its creation until `close`. `look` may be asked by any thread."""

    def __init__(self, list_pods: Callable[[], list[Pod]]) -> None:
        """`list_pods` asks the cluster; it may raise ClusterError. Raises it when the first answer fails."""
        self._list = list_pods
        asked_s = time.monotonic()
        self._last = Look(asked_s, tuple(list_pods()))
        self._why = ""
        self._asked, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._follow, daemon=True, name="pods").start()

    @property
    def last(self) -> Look:
        return self._last

    def new(self) -> Look:
        """A look that was asked for after this call. Raises ClusterError when none comes."""
        now = time.monotonic()
        while self._last.asked_s < now:
            if time.monotonic() - now > NEW_WITHIN_S:
                raise ClusterError(f"the pods could not be looked at: {self._why or 'no answer came'}")
            self._asked.set()
            if self._over.wait(POLL_S):
                return Look(now, tuple(self._list()))
        return self._last

    @property
    def gone(self) -> Trouble | None:
        """That the cluster has not answered for some time."""
        if time.monotonic() - self._last.asked_s < SILENT_AFTER_S:
            return None
        return Trouble("the cluster's interface", "has not answered", self._last.asked_s, self._why)

    def _follow(self) -> None:
        while not self._over.is_set():
            self._asked.wait(LOOK_EVERY_S)
            self._asked.clear()
            asked_s = time.monotonic()
            try:
                self._last = Look(asked_s, tuple(self._list()))
                self._why = ""
            except ClusterError as error:
                self._why = str(error)

    def close(self) -> None:
        self._over.set()
        self._asked.set()


class PodLife:
    """Whether one part's container is still the one that was seen ready."""

    def __init__(self, part: str, watch: PodWatch) -> None:
        self._part = part
        self._watch = watch
        self._expected = ""
        self._since_s = float("inf")

    def expect(self, pod: Pod) -> None:
        """From now on it is this container."""
        self._expected, self._since_s = pod.container, time.monotonic()

    def wrong(self) -> Wrong | None:
        """What happened to it; None while it runs, and while nothing was seen of it since it was ready."""
        look = self._watch.last
        if look.asked_s < self._since_s:
            return None
        pods = look.of(self._part)
        if any(pod.container == self._expected and pod.running for pod in pods):
            return None
        return "died", str(pods[0]) if pods else "its pod is gone"
