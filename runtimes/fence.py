"""A packet rule that keeps other users of this machine from a port that asks nobody for a token.

The original Toxiproxy takes every call that reaches it. Where we are root and iptables is installed, only
processes of our own user may connect to it while the instance lives. The rule carries the instance's name, so
that it is found again when its owner was killed.
"""

from __future__ import annotations

import os
import shlex
import shutil

from experiment.children import Ended, run_child

CHAIN = "OUTPUT"
DEADLINE_S = 10.0
WAIT_S = "5"  # for others who change rules at the same time
PLACES = "/usr/sbin:/sbin:/usr/local/sbin"


def can_fence() -> bool:
    """Whether rules can be set here at all: the kernel or a container may still refuse."""
    return os.geteuid() == 0 and _program() is not None


def raise_fence(instance: str, host: str, port: int) -> bool:
    """Whether from now on only our own user reaches this port; undone by `lower_fence`. The caller journals
    it before."""
    where = ("-p", "tcp", "-d", host, "--dport", str(port))
    who = ("-m", "owner", "!", "--uid-owner", str(os.geteuid()))
    mark = ("-m", "comment", "--comment", _mark(instance))
    return _run("-I", CHAIN, *where, *who, *mark, "-j", "REJECT", "--reject-with", "tcp-reset").code == 0


def lower_fence(instance: str) -> str:
    """Remove the rules of an instance, if it has any. Returns what went wrong."""
    if _program() is None:
        return ""
    shown = _run("-S", CHAIN)
    if shown.code != 0:
        return _said(instance, shown)
    for line in shown.out.splitlines():
        words = shlex.split(line)
        if words[:1] == ["-A"] and _mark(instance) in words:
            removed = _run("-D", *words[1:])
            if removed.code != 0:
                return _said(instance, removed)
    return ""


def _said(instance: str, ended: Ended) -> str:
    return f"a packet rule of {instance} may be left: {ended.err.strip()[-200:]}"


def _mark(instance: str) -> str:
    return f"codeblue-{instance}"


def _program() -> str | None:
    return shutil.which("iptables", path=f"{os.environ.get('PATH', '')}:{PLACES}")


def _run(*words: str) -> Ended:
    argv = [_program() or "iptables", "-w", WAIT_S, *words]
    try:
        return run_child(argv, within_s=DEADLINE_S)
    except OSError as error:
        return Ended(1, "", str(error))
