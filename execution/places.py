"""Where the project stands on the disk, and where results go. Imports little, so that quick commands start
quickly."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# An installed copy has its files in a folder of the environment, where nothing may be written.
CHECKOUT = (ROOT / "pyproject.toml").is_file()
COMMIT_FILE = ROOT / "commit.txt"  # written into an installed copy when it is made
HOME = ROOT if CHECKOUT else Path.cwd()
RUNS = HOME / "reports" / "runs"
INSTANCES = HOME / "var"
