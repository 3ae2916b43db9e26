"""What an installed copy has beside its files: its requirements, and the commit that it is made from."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

FILE = "commit.txt"  # see execution/places.py


class Requirements(MetadataHookInterface):
    """requirements.in is the one list of what the product needs."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        lines = (Path(self.root) / "requirements.in").read_text(encoding="utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and not line.startswith("#")]


class Commit(BuildHookInterface[Any]):
    """`codeblue --version` says the commit, which an installed copy cannot ask git for."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        commit = self._commit()
        if version == "editable" or not commit:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="codeblue-build-")
        written = Path(self._folder.name) / FILE
        written.write_text(commit + "\n", encoding="utf-8")
        build_data["force_include"][str(written)] = FILE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _commit(self) -> str:
        """Of the checkout, with `+` when it has changes; of a source distribution what its file says."""
        root = Path(self.root)
        if (root / FILE).is_file():
            return (root / FILE).read_text(encoding="utf-8").strip()
        if not (root / ".git").exists():
            return ""
        try:
            commit = _git(root, "rev-parse", "--short=12", "HEAD")
            return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
        except (OSError, subprocess.SubprocessError):
            return ""


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
