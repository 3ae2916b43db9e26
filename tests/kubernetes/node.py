"""The first process of the node's namespaces: starts the parts in their order and stays until one ends.

Whoever ends it ends all others too, pods included: the kernel takes the namespaces down.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.kubernetes.layout import API, ETCD, HOST_LINK, LINK_BITS, NODE, NODE_ADDRESS, SERVICES, Place

HIDDEN = ("/run", "/var/lib", "/var/log")  # of this machine; the node has its own, in memory
# The kubelet would set these for the whole machine: it finds what it wants, and leaves them.
SEEN = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
WITHIN_S = 240.0
LOOK_S = 0.2


class Ended(Exception):
    """A part ended, or was not ready in time; the message says which."""


class Node:
    """Process number to part, of all that was started."""

    def __init__(self, place: Place, programs: Path) -> None:
        self._place, self._programs = place, programs
        self._running: dict[int, str] = {}

    def run(self) -> None:
        """Raises Ended."""
        settings, here = self._place.file, self._place.folder
        self._confine()
        self._part("containerd", "containerd", "--config", str(settings("containerd.toml")))
        self._until("containerd", lambda: _says("ctr", "version"))
        self._part(
            "etcd",
            "etcd",
            "--data-dir",
            "/var/lib/etcd",
            "--listen-client-urls",
            ETCD,
            "--advertise-client-urls",
            ETCD,
            "--listen-peer-urls",
            "http://127.0.0.1:2380",
        )
        self._until("etcd", lambda: _connects(2379))
        self._own("kube-apiserver", *self._api_server())
        self._until("kube-apiserver", self._api_is_ready)
        admin = f"--kubeconfig={self._place.kubeconfig}"
        accounts = f"--service-account-private-key-file={settings('accounts.key')}"
        root = f"--root-ca-file={settings('ca.pem')}"
        self._own("kube-controller-manager", admin, accounts, root, "--leader-elect=false", "--secure-port=0")
        self._own("kube-scheduler", admin, "--leader-elect=false", "--secure-port=0")
        self._own("kube-proxy", f"--config={settings('kube-proxy.yaml')}")
        self._own("names", admin, f"--listen={NODE_ADDRESS}:53")
        self._own(
            "kubelet",
            f"--config={settings('kubelet.yaml')}",
            f"--node-ip={NODE_ADDRESS}",
            f"--kubeconfig={settings('node.kubeconfig')}",
            f"--hostname-override={NODE}",
            f"--root-dir={here / 'kubelet'}",
            f"--cert-dir={here / 'kubelet-certificates'}",
        )
        while True:
            self._look()
            time.sleep(LOOK_S)

    def _confine(self) -> None:
        """What the parts change on a machine they change here only."""
        _must("mount", "--make-rshared", "/")
        for path in HIDDEN:
            _must("mount", "-t", "tmpfs", "-o", "mode=755", "node", path)
        for name, value in SEEN.items():
            shown = Path("/run/seen") / name.replace("/", ".")
            shown.parent.mkdir(exist_ok=True)
            shown.write_text(f"{value}\n")
            _must("mount", "--bind", str(shown), f"/proc/sys/{name}")
        for name in ("containers", "pods"):
            (Path("/var/log") / name).mkdir()
        _must("ip", "link", "set", "lo", "up")
        self._until("the link to the node", lambda: _says("ip", "link", "show", HOST_LINK))
        _must("ip", "address", "add", f"{NODE_ADDRESS}/{LINK_BITS}", "dev", HOST_LINK)
        _must("ip", "link", "set", HOST_LINK, "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")

    def _api_server(self) -> list[str]:
        file = self._place.file
        return [
            f"--etcd-servers={ETCD}",
            f"--bind-address={NODE_ADDRESS}",
            f"--advertise-address={NODE_ADDRESS}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--tls-cert-file={file('server.pem')}",
            f"--tls-private-key-file={file('server.key')}",
            f"--client-ca-file={file('ca.pem')}",
            f"--token-auth-file={file('tokens.csv')}",
            "--authorization-mode=Node,RBAC",
            f"--kubelet-client-certificate={file('admin.pem')}",
            f"--kubelet-client-key={file('admin.key')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={file('accounts.key')}",
            f"--service-account-signing-key-file={file('accounts.key')}",
            f"--cert-dir={self._place.folder / 'api-certificates'}",
        ]

    def _api_is_ready(self) -> bool:
        file = self._place.file
        trusted = ssl.create_default_context(cafile=str(file("ca.pem")))
        trusted.load_cert_chain(str(file("admin.pem")), str(file("admin.key")))
        try:
            with urllib.request.urlopen(f"{API}/readyz", timeout=5, context=trusted) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _own(self, part: str, *arguments: str) -> None:
        self._part(part, str(self._programs / "node"), part, *arguments)

    def _part(self, part: str, *command: str) -> None:
        with self._place.log(part).open("ab") as log:
            started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running[started.pid] = part

    def _until(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + WITHIN_S
        while not ready():
            self._look()
            if time.monotonic() > end:
                raise Ended(f"{what} was not ready within {WITHIN_S:g} s")
            time.sleep(LOOK_S)

    def _look(self) -> None:
        """Take note of all that ended; what a pod left behind falls to the first process too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                part = self._running[pid]
                code = os.waitstatus_to_exitcode(status)
                raise Ended(f"{part} ended with exit status {code}; see {self._place.log(part)}")


def _must(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)


def _says(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        Node(Place(Path(sys.argv[1])), Path(sys.argv[2])).run()
    except (Ended, subprocess.SubprocessError, OSError) as error:
        sys.exit(f"node: {error}")
