"""Removes what a run has made on a cluster: its namespace, or what carries its label in somebody else's."""

from __future__ import annotations

import time
from collections.abc import Mapping

from runtimes.kubernetes.client import Cluster, ClusterError, ClusterMissing

GONE_WITHIN_S = 60.0
POLL_S = 0.3
ENDS_WITHIN_S = 1
KINDS = ("Deployment", "StatefulSet", "Service", "Secret", "Pod")


def remove(cluster: Cluster, label: Mapping[str, str], namespace: str, *, own: bool) -> list[str]:
    """Remove all that carries the label of a run, and look again. Returns what is left, a sentence each.
    Raises ClusterError."""
    end = time.monotonic() + GONE_WITHIN_S
    if own and not _is_ours(cluster, label, namespace):
        return []
    for kind, name in _left(cluster, label, namespace):
        cluster.delete(kind, name, namespace, within_s=ENDS_WITHIN_S)
    if own:
        cluster.delete("Namespace", namespace)
    while True:
        left = _left(cluster, label, namespace)
        if not left and not (own and _is_ours(cluster, label, namespace)):
            return []
        if time.monotonic() > end:
            shown = [f"{kind} {name} of {namespace} cannot be removed" for kind, name in left]
            return shown or [f"the namespace {namespace} does not go"]
        time.sleep(POLL_S)


def _is_ours(cluster: Cluster, label: Mapping[str, str], namespace: str) -> bool:
    """Whether the namespace is there and carries the label of the run: no other is ever deleted."""
    try:
        labels = cluster.get("Namespace", namespace)["metadata"].get("labels") or {}
    except ClusterMissing:
        return False
    return label.items() <= labels.items()


def _left(cluster: Cluster, label: Mapping[str, str], namespace: str) -> list[tuple[str, str]]:
    return [(kind, one["metadata"]["name"]) for kind in KINDS for one in cluster.all(kind, namespace, label)]


def remove_journaled(
    label: Mapping[str, str], context: str, namespace: str, own: bool
) -> tuple[list[str], list[str]]:
    """The same of a dead owner's run, by what its journal says: what was done and what could not be done, as
    sentences."""
    try:
        cluster = Cluster(context)
        try:
            problems = remove(cluster, label, namespace, own=own)
        finally:
            cluster.close()
    except ClusterError as error:
        return [], [f"what it made in the namespace {namespace} could not be removed: {error}"]
    return ([] if problems else [f"removed what it made in the namespace {namespace}"]), problems
