"""The one door to start a process: it ends with this one, however this one ends.

The kernel sends SIGKILL to such a child when the *thread* that started it ends. So one thread that lives as
long as the process starts them all.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from signal import SIGKILL
from time import monotonic
from typing import IO, Any

from experiment.stop import Stop

POLL_S = 0.1
PR_SET_PDEATHSIG = 1

STARTER = "starter"  # begins the name of the thread; children inherit its nice value
_STARTER = ThreadPoolExecutor(1, thread_name_prefix=STARTER)

# What `setpriv` does, where there is none. A change of user takes the tie away again, so it comes first; a
# parent that has ended before the tie was made sends no signal.
_TIED = f"""
import ctypes, os, sys
parent, user, group = map(int, sys.argv[1:4])
if user >= 0:
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {int(SIGKILL)})
if os.getppid() != parent:
    os._exit(1)
try:
    os.execvp(sys.argv[4], sys.argv[4:])
except OSError as error:
    sys.exit(f"{{sys.argv[4]}} cannot be executed: {{error.strerror}}")
"""


def start_child(
    argv: Sequence[str],
    *,
    cwd: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    """Start it in a session of its own: Ctrl-C reaches the command alone, which ends it in order. `user` is
    the uid and gid to run as (None: our own), `umask` as in `Popen` (-1: our own). Raises OSError."""

    def start() -> subprocess.Popen[bytes]:
        setpriv = shutil.which("setpriv")
        drops: dict[str, Any] = {}
        if setpriv is not None:
            tied = [setpriv, "--pdeathsig", "KILL", "--"]
            drops = {"user": user[0], "group": user[1], "extra_groups": []} if user is not None else {}
        else:
            uid, gid = user or (-1, -1)
            tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), str(uid), str(gid)]
        return subprocess.Popen(
            [*tied, *argv],
            cwd=cwd,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            umask=umask,
            **drops,
        )

    if not _found(argv[0], cwd, environment):  # told here: what ties it would only leave a line in its log
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), argv[0])
    return _STARTER.submit(start).result()


def end_with_parent() -> None:
    """Tie this process, a fork, to the one that it was forked from. Nobody was there to tie it before."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(SIGKILL))
    if os.getppid() != parent or parent == 1:
        os._exit(1)


def _found(program: str, cwd: Path | str | None, environment: Mapping[str, str] | None) -> bool:
    """Whether the child will find it: by its own path and from its own folder."""
    if "/" in program:
        return os.access(Path(cwd or ".") / program, os.X_OK)
    path = None if environment is None else environment.get("PATH", os.defpath)
    return shutil.which(program, path=path) is not None


@dataclass(frozen=True, slots=True)
class Ended:
    """What a tool said, and its exit status (negative: the signal that ended it)."""

    code: int
    out: str
    err: str


class ChildTimeout(OSError):
    """A tool that did not end in its time, and was made to."""


def run_child(
    argv: Sequence[str],
    *,
    within_s: float,
    cwd: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
    text: str = "",
    umask: int = -1,
    stop: Stop | None = None,
) -> Ended:
    """Run a tool to its end, `text` on its input. Raises OSError, ChildTimeout; Interrupted when `stop` is
    asked for. It is gone then, with everything in its session that has not left its group."""
    pipe = subprocess.PIPE
    process = start_child(
        argv,
        cwd=cwd,
        environment=environment,
        user=user,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        umask=umask,
    )
    end = monotonic() + within_s
    given: bytes | None = text.encode()
    try:
        while True:
            try:
                out, err = process.communicate(given, POLL_S)
                return Ended(
                    process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
                )
            except subprocess.TimeoutExpired:
                given = None  # what is left of it is sent by the next call
            if stop is not None:
                stop.check()
            if monotonic() > end:
                raise ChildTimeout(f"{argv[0]} did not end within {within_s:g} s")
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        raise
