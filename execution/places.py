"""Where the project stands on the disk, and where results go. Imports little, so that quick commands start
quickly."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# An installed copy has its files in a folder of the environment, where nothing may be written.
CHECKOUT = (ROOT / "pyproject.toml").is_file()
COMMIT_FILE = ROOT / "commit.txt"  # written into an installed copy when it is made
# Another user's checkout can be read only: results go where an installed copy puts them.
HOME = ROOT if CHECKOUT and os.access(ROOT, os.W_OK) else Path.cwd()
RUNS = HOME / "reports" / "runs"
INSTANCES = HOME / "var"
