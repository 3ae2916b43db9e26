"""Folders and files that no other user of the machine can look into, whatever the umask is.

PostgreSQL refuses to run as root. Then it runs as a user that is nobody else's: `nobody` is shared by many
programs, each of which could read its files and end it. Its folders lie behind one that only its group may
enter.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from experiment.errors import StartError

CLOSED = 0o700
PASSAGE = 0o711  # anybody may go through, nobody else can see what is in it
FILE = 0o600
MASK = 0o077  # the umask of every process of ours
# From the range that no package and no person gets; systemd lends from it, by names, for as long as they run.
SPARE_IDS = range(61_713, 65_520)


def closed_folder(path: Path) -> Path:
    """Make a folder, and what leads to it, that only its owner may enter. Raises OSError."""
    path.mkdir(mode=CLOSED, parents=True, exist_ok=True)
    path.chmod(CLOSED)
    return path


def passage(path: Path) -> Path:
    """Make a folder that others may pass through, and what leads to it.

    Raises OSError, and StartError for one that belongs to another user: in a folder for temporary files
    anybody may have made it first.
    """
    path.mkdir(mode=PASSAGE, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), path.parent.stat().st_uid):
        raise StartError(f"{path} belongs to another user; remove it, or move the project out of /root")
    if stat.S_IMODE(found.st_mode) != PASSAGE:
        path.chmod(PASSAGE)
    return path


def let_in(path: Path, group: int) -> None:
    """Let the members of one group pass through a closed folder; they cannot list it."""
    os.chown(path, -1, group)
    path.chmod(CLOSED | stat.S_IXGRP)


def hand_over(path: Path, user: int) -> None:
    """Let the user of a container read what is mounted into it. Only root can give a file away; without that
    everybody may read it, behind a folder that nobody else may enter."""
    if os.geteuid() == 0:
        os.chown(path, user, user)
    else:
        path.chmod(0o755 if path.is_dir() else 0o644)


def write_closed(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, FILE)
        file.write(text)


def spare_user() -> int:
    """The number of a user and a group that nobody else has: the first without a name."""
    import grp
    import pwd

    named = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    return next(number for number in SPARE_IDS if number not in named)


def below(path: Path) -> Iterator[Path]:
    """A folder and everything in it; links are not followed."""
    yield path
    for folder, names, files in os.walk(path):
        yield from (Path(folder, name) for name in (*names, *files))
