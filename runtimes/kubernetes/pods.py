"""What a cluster says of a pod, as a plain value, and what of it can never become ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Why a container waits, where no more waiting helps.
IMAGE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
)
SETTING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
EARLY_ENDS = 4  # so often a container may end before it was ever ready
SHOWN = 300  # characters of what the cluster says


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod with its one container. `container` is the container's id, another one after each restart;
    `waiting` and `ended` are the reasons of its state and of its last end, with what is said of them."""

    name: str
    part: str
    image: str = ""  # as it is wanted
    ip: str = ""
    container: str = ""
    running: bool = False
    restarts: int = 0
    waiting: str = ""
    said: str = ""
    ended: str = ""
    unplaced: str = ""  # why no node takes it
    deleting: bool = False

    def __str__(self) -> str:
        if self.unplaced:
            return f"pod {self.name} has no node: {self.unplaced}"
        state = "runs" if self.running else f"does not run{f' ({self.waiting})' if self.waiting else ''}"
        ended = f", its container ended before: {self.ended}" if self.ended else ""
        said = f": {self.said}" if self.said else ""
        return f"pod {self.name} {state}{said}{ended}"


def read_pod(known: Mapping[str, Any], part_label: str) -> Pod:
    """A pod as the cluster keeps it; `part_label` is the label that says which part it is."""
    metadata, status = known["metadata"], known.get("status") or {}
    containers = status.get("containerStatuses") or [{}]
    first = containers[0]
    state, last = first.get("state") or {}, (first.get("lastState") or {}).get("terminated")
    waiting, now_ended = state.get("waiting") or {}, state.get("terminated")
    return Pod(
        name=metadata["name"],
        part=(metadata.get("labels") or {}).get(part_label, ""),
        image=known["spec"]["containers"][0].get("image") or "",
        ip=status.get("podIP") or "",
        container=(first.get("containerID") or "").rpartition("/")[2],
        running="running" in state and status.get("phase") == "Running",
        restarts=int(first.get("restartCount") or 0),
        waiting=waiting.get("reason") or "",
        said=str(waiting.get("message") or "")[:SHOWN],
        ended=_ending(now_ended or last),
        unplaced=_unplaced(status),
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def _ending(terminated: Mapping[str, Any] | None) -> str:
    """`OOMKilled, exit status 137`; empty for none."""
    if terminated is None:
        return ""
    return f"{terminated.get('reason') or 'ended'}, exit status {terminated.get('exitCode', 'unknown')}"


def _unplaced(status: Mapping[str, Any]) -> str:
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return str(one.get("message") or one.get("reason") or "no reason is given")[:SHOWN]
    return ""


def hopeless(pod: Pod) -> str:
    """Why a pod will not become ready, with what to do; empty while it may. One without a node may still get
    one: that is for the deadline."""
    if pod.waiting in IMAGE:
        return (
            f"{pod}; expected its image where the nodes find it: load it into them, or name the registry "
            "with --image-prefix"
        )
    if pod.waiting in SETTING:
        return f"{pod}; expected a container that can be made as its manifest says"
    if pod.restarts >= EARLY_ENDS and not pod.running:
        return f"{pod}; expected it to stay up: it ended {pod.restarts} times"
    return ""
