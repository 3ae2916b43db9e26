"""The logs of all services in one file of a run folder: JSON lines in the order of time, with their traces.

A service logs JSON objects, one a line, with `at` (unix seconds), `level` and `message`, and `trace` where
the line belongs to a request or an event, `traces` where it belongs to a batch of events. What is not such a
line (the words of a database, of a bus) stays in `logs/` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from execution.whole_files import write_whole
from reports.loading import LOG_FILE

MOST_LINES = 200_000


class _Line(msgspec.Struct):
    """What is read of a line."""

    at: float
    message: str
    service: str = ""


_line = msgspec.json.Decoder(_Line).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def merge_logs(run_folder: Path) -> int:
    """Write `logs.jsonl` from `logs/`; how many lines it has. Of more than 200,000 the last are left out, and
    a line says so. Raises OSError."""
    lines = [one for path in sorted((run_folder / "logs").glob("*.log")) for one in _lines_of(path)]
    lines.sort(key=lambda line: line[0])
    kept = [line for _, line in lines[:MOST_LINES]]
    if left_out := len(lines) - len(kept):
        kept.append(
            _encode(
                {
                    "at": lines[MOST_LINES][0],
                    "level": "warning",
                    "message": "further lines lie in logs/ alone",
                    "left_out": left_out,
                }
            )
        )
    write_whole(run_folder / LOG_FILE, b"".join(line + b"\n" for line in kept))
    return len(kept)


def _lines_of(path: Path) -> Iterator[tuple[float, bytes]]:
    """The time of each line and its bytes; one that names no service is of the one that the file is called
    after."""
    for raw in path.read_bytes().splitlines():
        if not raw.startswith(b"{"):
            continue
        try:
            line = _line(raw)
        except msgspec.MsgspecError:
            continue  # another program's, or torn by a kill
        yield line.at, raw if line.service else _encode({**_object(raw), "service": path.stem})
