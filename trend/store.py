"""results.sqlite3: one row for every run of a suite and one for what the suite asked for, only appended to.

A run that is scored again gets a new row that names the row it replaces; the old one stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from experiment.errors import HistoryError
from experiment.values import decoded
from measurement.histogram import quantile
from measurement.run_records import RunRecord

Stored = TypeVar("Stored")
FILE_NAME = "results.sqlite3"
VERSION = 2
# Several suites may find the file missing at once: whoever comes second finds it made.
RUNS = """
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY,
  recorded_at TEXT NOT NULL,   -- ISO 8601, UTC
  campaign TEXT NOT NULL,      -- name of the suite's folder
  git TEXT NOT NULL,           -- commit of the project, with + when the tree had changes
  suite TEXT NOT NULL,
  scenario TEXT NOT NULL,
  design TEXT NOT NULL,
  seed INTEGER NOT NULL,
  runtime TEXT NOT NULL,
  weight REAL NOT NULL,
  formula TEXT NOT NULL,       -- version of the score
  score REAL,                  -- null: the run is invalid
  p95_s REAL,                  -- of all journeys from the baseline to the end of the load
  recovery_s REAL,             -- null with censored_s: never within that long
  censored_s REAL,
  verdict TEXT NOT NULL,
  vetoed INTEGER NOT NULL,
  folder TEXT NOT NULL,
  replaces INTEGER REFERENCES runs (id),
  record BLOB NOT NULL         -- the whole record as JSON
);
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON runs
  BEGIN SELECT RAISE(ABORT, 'only appended'); END;
CREATE TRIGGER IF NOT EXISTS never_removed BEFORE DELETE ON runs
  BEGIN SELECT RAISE(ABORT, 'only appended'); END;
"""
SUITES = """
CREATE TABLE IF NOT EXISTS suites (
  campaign TEXT PRIMARY KEY,
  asked BLOB NOT NULL          -- what was to be run, and where, as JSON
);
CREATE TRIGGER IF NOT EXISTS suite_never_changed BEFORE UPDATE ON suites
  BEGIN SELECT RAISE(ABORT, 'only appended'); END;
CREATE TRIGGER IF NOT EXISTS suite_never_removed BEFORE DELETE ON suites
  BEGIN SELECT RAISE(ABORT, 'only appended'); END;
"""
Weight = Annotated[float, msgspec.Meta(gt=0.0, le=1e9)]
When = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT")]
_Row = tuple[int, When, str, str, str, Weight, bytes]
_Suite = tuple[str, bytes]
# Both of one moment. What a file without a version holds is not ours.
FOUND = """
SELECT (SELECT user_version FROM pragma_user_version), (SELECT name FROM sqlite_master ORDER BY name LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Expected:
    """One run that a suite asked for."""

    entry: int
    scenario: str
    design: str
    seed: int
    weight: Weight


@dataclass(frozen=True, slots=True)
class Asked:
    """Every run that a suite asked for, and the machine that played it. Of suites that were stored before
    this was kept, every entry seen with every seed seen, and no machine."""

    runs: tuple[Expected, ...] = ()
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """One row that is in force."""

    id: int
    recorded_at: str
    campaign: str
    git: str
    suite: str
    weight: float
    record: RunRecord
    asked: Asked


@dataclass(frozen=True, slots=True)
class Occasion:
    """What the runs of one suite share."""

    recorded_at: str
    campaign: str
    git: str
    suite: str


class Results:
    """The file; made when something is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raises HistoryError when the file that is there cannot take results; makes none."""
        if self.path.exists():
            with self._open():
                pass

    def begin(self, campaign: str, asked: Asked) -> None:
        """What the suite is to run; kept once, before the first run. Raises HistoryError."""
        with self._open() as connection, connection:
            _keep(connection, campaign, asked)

    def append(
        self, occasion: Occasion, rows: Sequence[tuple[RunRecord, float]], replaces: Sequence[int] = ()
    ) -> None:
        """Records with their weights, all or none; those of this campaign that are there already are left
        out, so that a resumed suite writes none twice. Raises HistoryError."""
        with self._open() as connection, connection:
            known = set()
            if not replaces:
                found = connection.execute(
                    "SELECT scenario, design, seed, folder FROM runs WHERE campaign = ?", (occasion.campaign,)
                )
                known = set(found.fetchall())
            for number, (record, weight) in enumerate(rows):
                if (record.scenario, record.design, record.seed, record.folder) not in known:
                    old = replaces[number] if replaces else None
                    values = _values(occasion, record, weight, old)
                    connection.execute(f"INSERT INTO runs VALUES (NULL{', ?' * len(values)})", values)

    def read(self, suite: str | None = None) -> list[Result]:
        """Rows in force, in the order of writing. Raises HistoryError."""
        if not self.path.exists():
            return []
        query = (
            "SELECT id, recorded_at, campaign, git, suite, weight, record FROM runs "
            "WHERE id NOT IN (SELECT replaces FROM runs WHERE replaces IS NOT NULL) "
            "AND (? IS NULL OR suite = ?) ORDER BY recorded_at, id"
        )
        with self._open() as connection:
            (damage,) = connection.execute("SELECT * FROM pragma_quick_check(1)").fetchone()
            if damage != "ok":  # rows that a cut took away would not be missed
                raise sqlite3.DatabaseError(damage)
            rows = connection.execute(query, (suite, suite)).fetchall()
            stored = connection.execute("SELECT campaign, asked FROM suites").fetchall()
        asked = {
            campaign: _decoded(self.path, text, Asked)
            for campaign, text in _typed(self.path, stored, list[_Suite])
        }
        return [
            Result(
                number,
                at,
                campaign,
                git,
                named,
                weight,
                _decoded(self.path, run, RunRecord),
                asked.get(campaign, Asked()),
            )
            for number, at, campaign, git, named, weight, run in _typed(self.path, rows, list[_Row])
        ]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=10)) as connection:
                version, holds = connection.execute(FOUND).fetchone()
                if version == 0 and holds is not None:
                    raise HistoryError(
                        f'{self.path}: found a database of something else (it has "{holds}"), expected the '
                        "file that suites write; name another one"
                    )
                if version == 0:
                    connection.executescript(
                        f"BEGIN IMMEDIATE; {RUNS} {SUITES} PRAGMA user_version = {VERSION}; COMMIT;"
                    )
                elif version == 1:
                    _add_suites(connection, self.path)
                elif version != VERSION:
                    raise HistoryError(f"{self.path}: found format {version}, expected {VERSION}")
                yield connection
        except sqlite3.Error as error:
            raise HistoryError(
                f"{self.path}: found no usable results ({error}), expected the file that suites write; "
                "move it away to start a new one"
            ) from None


def _keep(connection: sqlite3.Connection, campaign: str, asked: Asked) -> None:
    values = (campaign, msgspec.json.encode(asked))
    connection.execute("INSERT OR IGNORE INTO suites VALUES (?, ?)", values)


def _add_suites(connection: sqlite3.Connection, path: Path) -> None:
    """Format 1 kept runs only. What a suite of it had asked for is every entry seen with every seed seen."""
    seen: dict[str, list[tuple[RunRecord, float]]] = {}
    for campaign, weight, stored in connection.execute("SELECT campaign, weight, record FROM runs"):
        seen.setdefault(campaign, []).append((_decoded(path, stored, RunRecord), weight))
    with connection:
        connection.executescript(f"BEGIN IMMEDIATE; {SUITES}")
        for campaign, runs in seen.items():
            entries = dict.fromkeys((r.entry, r.scenario, r.design, weight) for r, weight in runs)
            seeds = dict.fromkeys(record.seed for record, _ in runs)
            grid = tuple(Expected(*e[:3], seed, e[3]) for e in entries for seed in seeds)
            _keep(connection, campaign, Asked(grid))
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _typed(path: Path, found: object, kind: type[Stored]) -> Stored:
    """SQLite keeps values of any type in any column. Raises HistoryError."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise _unreadable(path, error) from None


def _decoded(path: Path, stored: bytes, kind: type[Stored]) -> Stored:
    try:
        return decoded(stored, kind)
    except ValueError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> HistoryError:
    return HistoryError(
        f"{path}: found a stored run that cannot be read ({error}), expected a record that a suite wrote; "
        "move the file away to start a new one"
    )


def _values(occasion: Occasion, record: RunRecord, weight: float, replaces: int | None) -> tuple[object, ...]:
    return (
        occasion.recorded_at,
        occasion.campaign,
        occasion.git,
        occasion.suite,
        record.scenario,
        record.design,
        record.seed,
        record.source,
        weight,
        record.formula,
        record.score,
        quantile(record.load_latency, 0.95),
        record.recovery_s,
        record.censored_s,
        record.verdict.value,
        int(record.vetoed),
        record.folder,
        replaces,
        msgspec.json.encode(record),
    )
