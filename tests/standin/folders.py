"""Folders for instances in tests. Pytest's own are closed to the plain user that PostgreSQL runs as."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that every user may enter, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="codeblue-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
