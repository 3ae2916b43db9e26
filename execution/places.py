"""Where the project stands on the disk. Imports nothing, so that quick commands start quickly."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "reports" / "runs"
INSTANCES = ROOT / "var"
