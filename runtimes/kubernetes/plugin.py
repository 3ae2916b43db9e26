"""Programs that print a credential for a cluster: the `exec` of a kubeconfig, as cloud providers have it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from experiment.children import ChildTimeout, run_child

GROUP = "client.authentication.k8s.io"
WITHIN_S = 30.0  # some ask a person's identity provider first
SHOWN = 300  # characters of what a program said


class PluginError(Exception):
    """The program gave no credential; the message says which program, and what it did."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, or a client certificate with its key as PEM; what is not given is empty."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


class _Status(msgspec.Struct):
    token: str = ""
    clientCertificateData: str = ""
    clientKeyData: str = ""


class _Printed(msgspec.Struct):
    status: _Status


def ask(
    version: str,
    command: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    folder: Path | None,
) -> Credential:
    """Run the program; a relative path begins at the kubeconfig's folder, as for `kubectl`. Raises
    PluginError."""
    program = str(folder / command) if folder is not None and "/" in command else command
    told = {"kind": "ExecCredential", "apiVersion": version, "spec": {"interactive": False}}
    environment = {**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(told)}
    if not version.startswith(f"{GROUP}/"):
        raise PluginError(f'found the version "{version}" of the plugin {command}, expected {GROUP}/v1')
    try:
        ended = run_child([program, *arguments], within_s=WITHIN_S, environment=environment)
    except (OSError, ChildTimeout) as error:
        raise PluginError(f"the plugin {program} gave no credential: {error}") from None
    if ended.code != 0:
        said = ended.err.strip()[-SHOWN:]
        raise PluginError(f"the plugin {program} ended with exit status {ended.code}: {said}")
    try:
        status = msgspec.json.decode(ended.out, type=_Printed).status
    except msgspec.MsgspecError as error:
        raise PluginError(f"the plugin {program} printed no credential: {error}") from None
    if not (status.token or (status.clientCertificateData and status.clientKeyData)):
        raise PluginError(f"the plugin {program} printed neither a token nor a certificate with its key")
    return Credential(status.token, status.clientCertificateData, status.clientKeyData)
