"""Writes what the parts of the cluster read: certificates, tokens, kubeconfigs and configurations."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from pathlib import Path
from typing import Any

import trustme

from experiment.yaml_source import yaml_text
from runtimes.kubernetes.rights import ACCOUNT
from tests.kubernetes.building import PLUGINS
from tests.kubernetes.layout import (
    API,
    CONFINED,
    CONTAINERD,
    FIRST_SERVICE,
    NODE,
    NODE_ADDRESS,
    PAUSE_IMAGE,
    PODS,
    Place,
)

MASTERS, ACCOUNTS = "system:masters", "system:serviceaccounts"
CONFINED_USER = f"system:serviceaccount:{CONFINED}:{ACCOUNT}"


def write_settings(place: Place) -> None:
    """All of them anew, readable by this user alone."""
    place.file("cni").mkdir(parents=True, mode=0o700)
    place.log("x").parent.mkdir()
    authority = trustme.CA(organization_name="Code Blue", organization_unit_name="cluster for tests")
    server = authority.issue_cert(NODE_ADDRESS, FIRST_SERVICE, "127.0.0.1", "kubernetes.default.svc", NODE)
    admin = _client(authority, "codeblue-admin", MASTERS)
    node = _client(authority, f"system:node:{NODE}", "system:nodes")
    token, confined = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    texts = {
        "ca.pem": _pem(authority.cert_pem),
        "server.pem": _pem(*server.cert_chain_pems),
        "server.key": _pem(server.private_key_pem),
        "admin.pem": _pem(*admin.cert_chain_pems),
        "admin.key": _pem(admin.private_key_pem),
        "accounts.key": _pem(authority.issue_cert("accounts").private_key_pem),
        "tokens.csv": f'{token},codeblue-token,1,"{MASTERS}"\n{confined},{CONFINED_USER},2,"{ACCOUNTS}"\n',
        "kubelet.yaml": yaml_text([_kubelet(place)]),
        "kube-proxy.yaml": yaml_text([_proxy(place)]),
        "containerd.toml": _containerd(place),
        "cni/10-pods.conflist": json.dumps(_network()),
        "node.kubeconfig": _kubeconfig(authority, {"node": _shown(node)}),
    }
    for name, text in texts.items():
        _write(place.file(name), text)
    users = {"admin": _shown(admin), "token": {"token": token}, "confined": {"token": confined}}
    _write(place.kubeconfig, _kubeconfig(authority, users))


def _client(authority: trustme.CA, name: str, group: str) -> trustme.LeafCert:
    """Its subject says who it is, and in which group. The API server takes none without any host."""
    return authority.issue_cert("client.codeblue.test", common_name=name, organization_name=group)


def _kubeconfig(authority: trustme.CA, users: dict[str, dict[str, str]]) -> str:
    """A context for each user; the first is the current one."""
    cluster = {"server": API, "certificate-authority-data": _encoded(_pem(authority.cert_pem))}
    known: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "codeblue-test", "cluster": cluster}],
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [{"name": one, "context": {"cluster": "codeblue-test", "user": one}} for one in users],
        "current-context": next(iter(users)),
    }
    return yaml_text([known])


def _kubelet(place: Place) -> dict[str, Any]:
    """Containers' scores and control groups are left as they are: a node in a container has no right to
    lower the ones and to order the others."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": str(place.file("ca.pem"))},
        },
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "volumePluginDir": str(place.folder / "volume-plugins"),
    }


def _proxy(place: Place) -> dict[str, Any]:
    """The table of tracked connections stays as large as this machine has it."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "clientConnection": {"kubeconfig": str(place.kubeconfig)},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "oomScoreAdj": 0,
    }


def _containerd(place: Place) -> str:
    return f"""version = 2
root = "{place.folder / "containerd"}"
state = "/run/containerd/state"
[grpc]
address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{place.file("cni")}"
"""


def _network() -> dict[str, Any]:
    """Each pod has a link to the node, which forwards between them: there is no switch to clean up."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}]}


def _shown(leaf: trustme.LeafCert) -> dict[str, str]:
    return {
        "client-certificate-data": _encoded(_pem(*leaf.cert_chain_pems)),
        "client-key-data": _encoded(_pem(leaf.private_key_pem)),
    }


def _pem(*blobs: trustme.Blob) -> str:
    return "".join(one.bytes().decode() for one in blobs)


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
