"""The way to a Kubernetes cluster; the only file that imports `lightkube`.

Objects go in and come out as plain mappings, as they stand in a manifest. The cluster is chosen as `kubectl`
chooses it: a context by name, else the account of the pod that this runs in, else KUBECONFIG, else the user's
own file; tokens, client certificates and exec plugins are those of the context. Every call has a deadline.
Failures are ClusterError: ClusterGone when nothing answers, ClusterRefused when the rights do not suffice.
"""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
from lightkube import Client, KubeConfig
from lightkube import exceptions as kube
from lightkube.codecs import from_dict
from lightkube.config.models import User
from lightkube.core.resource_registry import resource_registry
from lightkube.types import CascadeType, PatchType

from experiment.errors import StartError, nearest
from runtimes.kubernetes.plugin import PluginError
from runtimes.kubernetes.plugin import ask as plugin_credential

T = TypeVar("T")

CALL_DEADLINE_S = 10.0
RUN_DEADLINE_S = 20.0
MANAGER = "codeblue"  # how the cluster names who set a field
CORE = "v1"
APPS = "apps/v1"
API_OF = {
    "Deployment": APPS,
    "StatefulSet": APPS,
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
    "SelfSubjectAccessReview": "authorization.k8s.io/v1",
}
Manifest = Mapping[str, Any]

# Two threads that meet a kind for the first time at once end the whole process with a segmentation fault: the
# types are made when they are used first. So that happens here, one after the other.
_FIRST = threading.Lock()
_MET: set[str] = set()


class ClusterError(StartError):
    """The cluster refused a call; the message says which and why."""


class ClusterGone(ClusterError):
    """No cluster answers, or not within the deadline."""


class ClusterRefused(ClusterError):
    """The rights of the context do not suffice for a call."""


class ClusterMissing(ClusterError):
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class PodRan:
    """A command that ended inside a container: exit status and what it wrote to both of its outputs."""

    code: int
    output: str


class Cluster:
    """One cluster, as one context reaches it. Threads may share it."""

    def __init__(self, context: str = "", *, deadline_s: float = CALL_DEADLINE_S) -> None:
        """Asks no cluster yet; a plugin of the context is asked. Raises ClusterError for a configuration that
        leads nowhere."""
        self._config = _configuration(context)
        self._deadline_s = deadline_s
        self.url = str(self._config.cluster.server)
        self.context = str(self._config.context_name)
        self._client = self._connected()

    def _connected(self) -> Client:
        try:
            config, timeout = _with_credential(self._config), httpx2.Timeout(self._deadline_s)
            return Client(config, timeout=timeout, field_manager=MANAGER)
        except (kube.ConfigError, PluginError, OSError, ValueError) as error:
            raise ClusterError(f"the context {self.context} of {_file()} cannot be used: {error}") from None

    def close(self) -> None:
        self._client.close()

    # -- objects ------------------------------

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Make an object be as its manifest says, whether it is there or not; with `dry_run` the cluster only
        judges it. Returns the object as the cluster keeps it. Raises ClusterError."""
        named = f"{manifest['kind']} {manifest['metadata']['name']}"
        try:
            known = _known(manifest)
        except (kube.LoadResourceError, msgspec.MsgspecError) as error:
            raise ClusterError(f"{named} is not an object that a cluster knows: {error}") from None

        def ask(client: Client) -> Manifest:
            return _plain(client.apply(known, force=True, dry_run=dry_run))

        return self._asked(f"applying {named}", ask)

    def create(self, manifest: Manifest) -> Manifest:
        """Make an object that must not be there yet, or ask a review. Raises ClusterError."""

        def ask(client: Client) -> Manifest:
            return _plain(client.create(known))

        known = _known(manifest)
        return self._asked(f"creating a {manifest['kind']}", ask)

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """Raises ClusterMissing, ClusterError."""

        def ask(client: Client) -> Manifest:
            return _plain(client.get(_class_of(kind), name, **_in(namespace)))

        return self._asked(f"reading {kind} {name}", ask)

    def all(self, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None) -> list[Manifest]:
        """The objects of a kind that carry these labels. Raises ClusterError."""
        wanted: dict[str, Any] = dict(labels or {})

        def ask(client: Client) -> list[Manifest]:
            return [_plain(one) for one in client.list(_class_of(kind), labels=wanted, **_in(namespace))]

        return self._asked(f"listing {kind}s", ask)

    def patch(
        self, kind: str, name: str, changed: Manifest, namespace: str = "", *, by_name: bool = False
    ) -> Manifest:
        """Merge some fields into an object; with `by_name` lists of named things, such as containers, are
        merged too and not replaced. Raises ClusterMissing, ClusterError."""
        merge = PatchType.STRATEGIC if by_name else PatchType.MERGE

        def ask(client: Client) -> Manifest:
            known = _class_of(kind)
            return _plain(client.patch(known, name, dict(changed), patch_type=merge, **_in(namespace)))

        return self._asked(f"changing {kind} {name}", ask)

    def delete(self, kind: str, name: str, namespace: str = "", *, within_s: int | None = None) -> None:
        """Begin to delete an object with all that it owns; `within_s` is how long its processes may take to
        end. Nothing happens when there is none. Raises ClusterError."""
        owned = CascadeType.BACKGROUND

        def ask(client: Client) -> None:
            client.delete(_class_of(kind), name, grace_period=within_s, cascade=owned, **_in(namespace))

        with suppress(ClusterMissing):
            self._asked(f"deleting {kind} {name}", ask)

    # -- pods ------------------------------

    def logs(self, pod: str, namespace: str, *, last: int | None = None, since_s: int | None = None) -> str:
        """What a pod's container wrote: its last lines, or those of the last seconds. Raises ClusterError."""

        def ask(client: Client) -> str:
            return "".join(client.log(pod, namespace=namespace, tail_lines=last, since=since_s))

        return self._asked(f"reading the log of {pod}", ask)

    def run(self, pod: str, namespace: str, command: tuple[str, ...]) -> PodRan:
        """Run a command in a pod's container to its end, within 20 s. Raises ClusterError."""

        def ask(client: Client) -> PodRan:
            ran = client.exec(
                pod, namespace=namespace, command=command, stdout=True, stderr=True, timeout=RUN_DEADLINE_S
            )
            return PodRan(ran.exit_code, str(ran.stdout or "") + str(ran.stderr or ""))

        return self._asked(f"running {command[0]} in {pod}", ask)

    def _asked(self, doing: str, ask: Callable[[Client], T]) -> T:
        """One call, with the library's errors as ours. What a plugin gave may have run out: it is asked once
        more."""
        where = f"{doing} on the cluster at {self.url}"
        try:
            try:
                return ask(self._client)
            except kube.ApiError as error:
                if error.status.code != 401 or self._config.user is None or self._config.user.exec is None:
                    raise
            self._client = self._connected()
            return ask(self._client)
        except kube.ApiError as error:
            raise _refusal(error, where, self.context) from None
        except httpx2.HTTPStatusError as error:
            raise ClusterError(f"{where}: found the status {error.response.status_code}") from None
        except (msgspec.MsgspecError, KeyError) as error:
            raise ClusterError(f"{where}: found an answer that no API server gives ({error})") from None
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            said = str(error) or type(error).__name__
            raise ClusterGone(f"{where}: no answer ({said}); is it up, and reachable from here?") from None


def _refusal(error: kube.ApiError, where: str, context: str) -> ClusterError:
    status = error.status
    said = f"{where}: {status.message or status.reason or error}"
    if status.code == 404:
        return ClusterMissing(said)
    if status.code == 401:
        return ClusterRefused(f"{said}; the credentials of the context {context} are not taken")
    if status.code == 403:
        hint = "`codeblue manifests --rbac` writes the rights that are needed"
        return ClusterRefused(f"{said}; {hint}")
    return ClusterError(said)


def _with_credential(config: Any) -> Any:
    """A context with what its plugin gives: the library knows the current version of plugins not, and waits
    for them without end. Raises PluginError."""
    user = config.user
    if user is None or user.exec is None:
        return config if user is not None else config._replace(user=User())
    plugin = user.exec
    variables = {one.name: one.value for one in plugin.env or ()}
    folder = config.fname.parent if config.fname is not None else None
    given = plugin_credential(plugin.apiVersion, plugin.command, plugin.args or (), variables, folder)
    certificate, key = (b64encode(text.encode()).decode() or None for text in (given.certificate, given.key))
    return config._replace(
        user=User(token=given.token or None, client_cert_data=certificate, client_key_data=key)
    )


def _configuration(context: str) -> Any:
    """The context by name, or the one that `kubectl` would take. Raises ClusterError."""
    if os.pathsep in _file():
        raise ClusterError(
            f"found several files in KUBECONFIG ({_file()}), expected one: `kubectl config view --flatten`"
        )
    try:
        known = KubeConfig.from_file(_file()) if context else KubeConfig.from_env()
        if context and context not in known.contexts:
            raise ClusterError(
                f'found no context "{context}" in {_file()}, expected one of it: '
                f"{nearest(context, known.contexts)}"
            )
        return known.get(context or None)
    except kube.ConfigError as error:
        raise ClusterError(
            f"found no way to a cluster ({error}), expected a kubeconfig in {_file()}, or to run in a pod"
        ) from None
    except Exception as error:  # noqa: BLE001 - the library reads the file with means of its own
        raise ClusterError(f"{_file()} cannot be used as a kubeconfig: {error!r}") from None


def _file() -> str:
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def _class_of(kind: str) -> Any:
    with _FIRST:
        if kind not in _MET:
            with suppress(msgspec.MsgspecError):  # it lacks what it must have: its type is made all the same
                from_dict({"apiVersion": API_OF.get(kind, CORE), "kind": kind, "metadata": {}})
            _MET.add(kind)
        return resource_registry.load(API_OF.get(kind, CORE), kind)


def _known(manifest: Manifest) -> Any:
    """A manifest as the library's object. Raises LoadResourceError, MsgspecError."""
    with _FIRST:
        return from_dict(dict(manifest))


def _in(namespace: str) -> dict[str, Any]:
    return {"namespace": namespace} if namespace else {}


def _plain(known: Any) -> Manifest:
    found: Manifest = known.to_dict()
    return found
