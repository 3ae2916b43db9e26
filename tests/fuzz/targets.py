"""What is fuzzed: the readers of files that a person or an earlier run left.

Each takes bytes. Whatever they are, it answers with a value or an error of ours.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

from execution.catalogue import default_catalogue
from execution.runs.preflight import validate_file
from experiment.arrivals import arrival_times
from experiment.errors import CodeBlueError
from experiment.history import load_history
from experiment.rows import encode
from experiment.scenario import Arrivals
from measurement.register_events import read_events
from reference_system.workload.bundles import read_bundles
from simulation.model.magnitudes import load_magnitudes
from tests.measurement import histories

ROOT = Path(__file__).resolve().parents[2]
LAMPS = ROOT / "tests" / "fixtures" / "lamps" / "system.yaml"
BUNDLE = b"""{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p-1"}},
 {"resource": {"resourceType": "Coverage", "id": "c", "status": "active"}}]}"""
EVENT = b'{"process": 0, "type": "invoke", "f": "write", "value": 1, "time": 1}\n'


def _validated(file: Path) -> None:
    error = validate_file(file, default_catalogue())
    if error is not None:
        raise error


def _replayed(file: Path) -> None:
    arrival_times(Arrivals("replay", file=file.name), 10.0, random.Random(1), file.parent)


def _events(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    read_events(text.split("\n"), str(file))


def _people(file: Path) -> None:
    read_bundles(file.parent)


# Name to (name of the file, its reader).
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "yaml": ("file.yaml", _validated),
    "history": ("history.jsonl", load_history),
    "arrivals": ("times.txt", _replayed),
    "events": ("events.jsonl", _events),
    "people": ("people.ndjson", _people),
    "packed people": ("people.ndjson.gz", _people),
    "calibration": ("calibration.json", load_magnitudes),
}


def read(target: str, content: bytes, folder: Path) -> bool:
    """Whether the reader took the bytes. Any error but ours goes on to the caller."""
    name, reader = READERS[target]
    file = folder / name
    file.write_bytes(content)
    try:
        reader(file)
    except CodeBlueError as error:
        told = str(error)
        assert told and len(told) < 200_000 and "\x1b" not in told
        return False
    return True


def seeds(target: str) -> list[bytes]:
    """Valid files, which mutations begin with."""
    if target == "yaml":
        files = [
            *(ROOT / "scenarios" / "smoke").glob("*.yaml"),
            ROOT / "scenarios" / "suites" / "smoke.yaml",
            ROOT / "reference_system" / "designs" / "resilient.yaml",
        ]
        system = LAMPS.read_bytes().replace(b"suites: suites\n", b"")
        return [*(file.read_bytes() for file in files), system]
    if target == "history":
        operations = histories.steady(stop=3)
        rows = [*histories.frame(), *operations, *histories.stored(operations)]
        return [b"".join(encode(row) for row in rows)]
    return {
        "arrivals": [b"# seconds\n0.5\n1e0\n2\n"],
        "events": [EVENT + EVENT.replace(b"invoke", b"ok")],
        "people": [BUNDLE.replace(b"\n", b"")],
        "packed people": [gzip.compress(BUNDLE.replace(b"\n", b""))],
        "calibration": [(ROOT / "simulation" / "model" / "uncalibrated.json").read_bytes()],
    }[target]
