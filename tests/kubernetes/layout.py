"""Where the cluster's files are and which addresses it has. Pure values.

The node has a network of its own. One link leads there from this machine, which reaches the API server, pods
and services over it; nothing leads further.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VERSION = "1.34.4"  # of Kubernetes, as in node/go.mod
NODE = "node-1"
HOST_LINK = "codeblue-node"  # this machine's end of the link
HOST_ADDRESS, NODE_ADDRESS, LINK_BITS = "10.213.96.1", "10.213.96.2", 30
PODS = "10.213.64.0/20"
SERVICES = "10.213.80.0/20"
FIRST_SERVICE = "10.213.80.1"  # the API server's, by the rules of the controllers
API = f"https://{NODE_ADDRESS}:6443"
ETCD = "http://127.0.0.1:2379"
PAUSE_IMAGE = "docker.io/codeblue/pause:current"
CONTAINERD = "/run/containerd/containerd.sock"  # as the node sees it
CONFINED = "codeblue-confined"  # the namespace whose account the context `confined` is
CGROUP = "k8s.io"  # below each controller: where containerd puts the containers of pods

CACHE = Path.home() / ".cache" / "codeblue" / "cluster"


@dataclass(frozen=True, slots=True)
class Place:
    """All files of one running cluster."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """Contexts: `admin` (client certificate), `token` (as mighty), `confined` (one account)."""
        return self.folder / "kubeconfig"

    @property
    def owner(self) -> Path:
        """The process that all others of the cluster end with."""
        return self.folder / "owner.json"

    def log(self, part: str) -> Path:
        return self.folder / "logs" / f"{part}.log"

    def file(self, name: str) -> Path:
        return self.folder / "settings" / name


PLACE = Place(CACHE / "running")
