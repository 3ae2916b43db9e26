"""Pods in memory, which live and die as those of a cluster do, as far as the harness asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtimes.containers.layout import INSTANCE, PART
from runtimes.kubernetes.client import ClusterError, ClusterMissing, PodRan

INSTANCE_NAME = "kubernetes-1-a"


def pod(
    name: str,
    part: str,
    image: str = "blue:1",
    state: Mapping[str, Any] | None = None,
    restarts: int = 0,
    **status: Any,
) -> dict[str, Any]:
    """A pod as an API server shows it; `state` is that of its container."""
    said = {
        "phase": "Running",
        "podIP": "10.0.0.7",
        "containerStatuses": [
            {
                "containerID": f"containerd://{name}-{restarts}",
                "restartCount": restarts,
                "state": {"running": {}} if state is None else dict(state),
            }
        ],
    }
    return {
        "metadata": {"name": name, "labels": {PART: part, INSTANCE: INSTANCE_NAME}},
        "spec": {"containers": [{"name": part, "image": image}]},
        "status": {**said, **status},
    }


class PodsInMemory:
    """A Deployment's pod that is deleted is followed by another one; one of a store is not. A container whose
    image is nowhere does not start; every other does, as soon as it has ended."""

    def __init__(self, *parts: str) -> None:
        self.pods = {f"{part}-0": pod(f"{part}-0", part) for part in parts}
        self.letters = dict.fromkeys(self.pods, "S")
        self.said: list[str] = []
        self._made = 0

    def all(self, kind: str, _namespace: str, _labels: Mapping[str, str]) -> list[dict[str, Any]]:
        return list(self.pods.values()) if kind == "Pod" else []

    def run(self, name: str, _namespace: str, command: tuple[str, ...]) -> PodRan:
        script = command[-1]
        if "running" not in self._state(name):
            raise ClusterError(f"the container of {name} does not run")
        if script.startswith("kill"):
            signal = script.split()[2]
            self.said.append(f"{signal} {name}")
            self.letters[name] = {"STOP": "T", "CONT": "S", "KILL": "S"}[signal]
            if signal == "KILL":
                ended = {"terminated": {"reason": "Error", "exitCode": 137}}
                self._set(name, ended)
            return PodRan(0, "")
        return PodRan(0, f"S\n{self.letters[name]}\nR\n")

    def patch(
        self, _kind: str, name: str, changed: Mapping[str, Any], _namespace: str, *, by_name: bool
    ) -> None:
        assert by_name
        (container,) = changed["spec"]["containers"]
        self.said.append(f"image {name} {container['image']}")
        self.pods[name]["spec"]["containers"][0]["image"] = container["image"]
        if "invalid" in container["image"]:
            self._set(name, {"waiting": {"reason": "ErrImagePull", "message": container["image"]}})
        elif "running" not in self._state(name):
            status = self.pods[name]["status"]["containerStatuses"][0]
            status["restartCount"] += 1
            status["containerID"] = f"containerd://{name}-{status['restartCount']}"
            self._set(name, {"running": {}})

    def delete(self, _kind: str, name: str, _namespace: str, *, within_s: int) -> None:
        assert within_s >= 0
        self.said.append(f"delete {name}")
        part = self.pods.pop(name)["metadata"]["labels"][PART]
        self._made += 1
        other = f"{part}-{self._made}"
        self.pods[other], self.letters[other] = pod(other, part), "S"

    def logs(self, name: str, _namespace: str, *, last: int) -> str:
        assert last
        return f"{name} said this\n"

    def _state(self, name: str) -> Mapping[str, Any]:
        if name not in self.pods:
            raise ClusterMissing(f"there is no pod {name}")
        found: Mapping[str, Any] = self.pods[name]["status"]["containerStatuses"][0]["state"]
        return found

    def _set(self, name: str, state: Mapping[str, Any]) -> None:
        self.pods[name]["status"]["containerStatuses"][0]["state"] = state
