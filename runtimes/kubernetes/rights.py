"""The least rights with which a system can be run on a cluster, as manifests, and whether one has them.

They hold in one namespace and nowhere else: what makes the namespace is somebody else's, once, unless the
run is to make one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from experiment.attaching import GUARDED
from experiment.errors import UsageError
from runtimes.kubernetes.client import Cluster, ClusterRefused
from runtimes.kubernetes.site import MANAGED, require_namespace

Manifest = dict[str, Any]
Rule = tuple[str, tuple[str, ...], tuple[str, ...]]
ACCOUNT = "codeblue"
RBAC = "rbac.authorization.k8s.io"
# By group of the interface: what is done with each kind of object. Nothing else is ever asked for.
RULES: tuple[Rule, ...] = (
    ("", ("services", "secrets"), ("create", "get", "list", "patch", "delete")),
    ("apps", ("deployments", "statefulsets"), ("create", "get", "list", "patch", "delete")),
    ("", ("pods",), ("get", "list", "patch", "delete")),
    ("", ("pods/exec",), ("create", "get")),
    ("", ("pods/log",), ("get",)),
)
OWN_NAMESPACE: tuple[Rule, ...] = (("", ("namespaces",), ("create", "get", "delete")),)


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


def missing(create: Callable[[Manifest], Mapping[str, Any]], namespace: str, *, own: bool) -> list[str]:
    """The rights that the cluster does not grant, such as `patch pods`; `own` is for a run that makes the
    namespace. `create` sends a review to the cluster, and may raise ClusterError."""
    asked = [("", rule) for rule in OWN_NAMESPACE] if own else []
    asked += [(namespace, rule) for rule in RULES]
    return [
        f"{verb} {kind}"
        for where, (group, kinds, verbs) in asked
        for kind in kinds
        for verb in verbs
        if not _granted(create, where, group, kind, verb)
    ]


def _granted(
    create: Callable[[Manifest], Mapping[str, Any]], namespace: str, group: str, kind: str, verb: str
) -> bool:
    resource, _, part = kind.partition("/")
    wanted = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
    if part:
        wanted["subresource"] = part
    review = create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": wanted},
        }
    )
    return bool((review.get("status") or {}).get("allowed"))


def require_ground(context: str, namespace: str) -> None:
    """Whether a run may use a cluster: one that somebody named, that is nobody's production, and that grants
    the rights; nothing is made there. `namespace` is one that is there already, empty for one that the run
    makes. Raises UsageError, ClusterRefused with every right that lacks, ClusterError."""
    if not context:
        raise UsageError(
            "found no --context, expected the name of one of your kubeconfig: the current one is never "
            "taken, since it may be anybody's"
        )
    if namespace:
        require_namespace(namespace)
    cluster = Cluster(context)
    try:
        for what, name in (("context", context), ("address", cluster.url), ("namespace", namespace)):
            if GUARDED.search(name):
                raise UsageError(
                    f'found the {what} "{name}", which reads like production, expected another cluster: '
                    "faults are not played there"
                )
        lacking = missing(cluster.create, namespace or "codeblue", own=not namespace)
    finally:
        cluster.close()
    if lacking:
        where = f"in the namespace {namespace}" if namespace else "in a namespace of its own"
        raise ClusterRefused(
            f"the context {context} may not {', '.join(lacking)}, which a run {where} needs; `codeblue "
            "manifests --rbac` writes the rights for a namespace that is there, which --namespace names"
        )
