"""results.sqlite3: one row for every run of a suite, only ever appended to.

A run that is scored again gets a new row that names the row it replaces; the old one stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from execution.campaigns.run_records import RunRecord
from experiment.errors import HistoryError
from measurement.histogram import quantile

FILE_NAME = "results.sqlite3"
VERSION = 1
SCHEMA = """
CREATE TABLE runs (
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
CREATE TRIGGER never_changed BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'only appended'); END;
CREATE TRIGGER never_removed BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'only appended'); END;
"""


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
            rows = connection.execute(query, (suite, suite)).fetchall()
        return [Result(row[0], row[1], row[2], row[3], row[4], row[5], _record(row[6])) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=10)) as connection:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
                elif version != VERSION:
                    raise HistoryError(f"{self.path}: found format {version}, expected {VERSION}")
                yield connection
        except sqlite3.Error as error:
            raise HistoryError(
                f"{self.path}: found no usable results ({error}), expected the file that suites write; "
                "move it away to start a new one"
            ) from None


def _record(stored: bytes) -> RunRecord:
    try:
        return msgspec.json.decode(stored, type=RunRecord)
    except msgspec.MsgspecError as error:
        raise HistoryError(f"found a stored run that cannot be read ({error}), expected a record") from None


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
