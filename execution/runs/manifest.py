"""The parts of a run folder, bound by digests, so that no part is taken for that of another run.

`run.json` holds the digests of what was to be played; it is written before the start. `manifest.json` holds
those of all parts; it is written last, once the run was judged. Digests find accidents: a file that was
edited, copied from elsewhere or cut off. They do not stop somebody who makes them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from execution.whole_files import write_whole
from experiment.errors import HistoryError
from experiment.history_columns import COLUMNS
from experiment.regular_files import open_regular, read_regular
from experiment.values import decoded

MANIFEST = "manifest.json"
MOST_BYTES = 1_000_000  # a digest for each file
VERSION = 1
VALUES = ("scenario.json", "system.json", "design.json", "plan.json")
HISTORY = "history.jsonl"
EVIDENCE = ("run.json", *VALUES, HISTORY)
JUDGEMENT = "analysis.json"
ABSENT = "absent"  # the history of a run that ended before it began


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    sha256: dict[str, str]


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each file, `absent` of one that is not there. Raises OSError."""
    return {name: _digest(folder / name) if (folder / name).exists() else ABSENT for name in names}


def seal(folder: Path, again: bool = False, known: Mapping[str, str] | None = None) -> None:
    """Write the manifest of a run that was judged just now, whole or not at all. Raises
    OSError.

    `again`: it was judged by the evidence that its manifest names (`require_evidence`), which stays as it
    is: what lies there now may be another file. `known` are digests that were made just now: the files may
    be large.
    """
    kept = _sealed(folder) if again else None
    known = known or {}
    others = (name for name in (*EVIDENCE, *COLUMNS) if name not in known)
    parts = (kept or {**known, **digests(folder, others)}) | digests(folder, (JUDGEMENT,))
    manifest = msgspec.json.encode(_Manifest(VERSION, parts))
    write_whole(folder / MANIFEST, msgspec.json.format(manifest, indent=1))


def require_values(folder: Path, kept: Mapping[str, str]) -> None:
    """What was played is what `run.json` says. Raises HistoryError naming the file that is another one."""
    _require(folder, {**dict.fromkeys(VALUES, ""), **kept}, "run.json")


def require_evidence(folder: Path) -> None:
    """What a judged run was judged by has not changed since. A run that was never judged has no manifest.
    Raises HistoryError."""
    sealed = _sealed(folder)
    if sealed is not None:
        _require(folder, _bound(sealed), MANIFEST)


def require_judgement(folder: Path) -> None:
    """The judgement in the folder is that of its history. Raises HistoryError."""
    sealed = _sealed(folder)
    if sealed is None:
        hint = "judge the run again with `codeblue check`"
        raise HistoryError(f"{folder}: found no {MANIFEST}, expected that of a judged run; {hint}")
    _require(folder, {**_bound(sealed), JUDGEMENT: sealed.get(JUDGEMENT, "")}, MANIFEST)


def sealed_columns(folder: Path) -> str | None:
    """The digest of the lines of a run whose manifest names columns of them; None where there are none.
    Raises HistoryError."""
    sealed = _sealed(folder) or {}
    named = any(sealed.get(name, ABSENT) != ABSENT for name in COLUMNS)
    return sealed.get(HISTORY, "") if named else None


def _bound(sealed: Mapping[str, str]) -> dict[str, str]:
    """What the evidence must be. A run that was judged by an earlier version has no columns."""
    columns = {name: sealed.get(name, ABSENT) for name in COLUMNS}
    return {name: sealed.get(name, "") for name in EVIDENCE} | columns


def _sealed(folder: Path) -> dict[str, str] | None:
    path = folder / MANIFEST
    try:
        found = decoded(read_regular(path, MOST_BYTES), _Manifest)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HistoryError(f"{path}: found no readable manifest ({error})") from None
    if found.version != VERSION:
        raise HistoryError(f"{path}: found version {found.version} of a manifest, expected {VERSION}")
    return found.sha256


def _require(folder: Path, expected: Mapping[str, str], where: str) -> None:
    for name, digest in expected.items():
        path = folder / name
        try:
            found = _digest(path) if digest != ABSENT or path.exists() else ABSENT
        except OSError as error:
            raise HistoryError(
                f"{path}: found no readable file ({error.strerror}), expected that of {where}"
            ) from None
        if found != digest:
            hint = "it was changed, cut off or taken from another run: nothing can be said of this run"
            raise HistoryError(f"{path}: found another file than {where} names; {hint}")


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
