"""The least rights with which a system can be run on a cluster, as manifests.

They hold in one namespace and nowhere else: what makes the namespace is somebody else's, once.
"""

from __future__ import annotations

from typing import Any

from runtimes.kubernetes.site import MANAGED

Manifest = dict[str, Any]
ACCOUNT = "codeblue"
RBAC = "rbac.authorization.k8s.io"
# By group of the interface: what is done with each kind of object. Nothing else is ever asked for.
RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("", ("services", "secrets"), ("create", "get", "list", "patch", "delete")),
    ("apps", ("deployments", "statefulsets"), ("create", "get", "list", "patch", "delete")),
    ("", ("pods",), ("get", "list", "delete")),
    ("", ("pods/log",), ("get",)),
)


def rights(namespace: str) -> list[Manifest]:
    """An account in the namespace, and what it may do there."""
    place = {"name": ACCOUNT, "namespace": namespace, "labels": {MANAGED: "codeblue"}}
    rules = [
        {"apiGroups": [group], "resources": list(kinds), "verbs": list(verbs)}
        for group, kinds, verbs in RULES
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": place, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
        },
    ]
