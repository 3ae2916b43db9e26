"""`make images` gets the real Toxiproxy by itself where Go is present, and goes on where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILDS = 'echo "go, cgo $CGO_ENABLED: $*"; touch "$GOBIN/server"'


def script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def make(folder: Path, go: str, *arguments: str, **environment: str) -> str:
    """What `make images` prints in a checkout whose packages are installed, with `go` as the compiler."""
    shutil.copy(ROOT / "Makefile", folder)
    script(folder / ".venv" / "bin" / "python", 'echo "python $*"')
    script(folder / ".venv" / "bin" / "codeblue", 'echo "codeblue $*"')
    for name in ("requirements.txt", "pyproject.toml"):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - 60, time.time() - 60))
    (folder / ".venv" / ".installed").touch()
    script(folder / "programs" / "go", go)
    path = f"{folder / 'programs'}:/usr/bin:/bin"
    ran = subprocess.run(
        ["make", "images", *arguments],
        cwd=folder, env={"PATH": path, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout


def test_offline_with_go_the_real_server_is_built_once_and_without_cgo(tmp_path: Path) -> None:
    """Without cgo it needs no library of this machine: it runs in the image of any base."""
    said = make(tmp_path, BUILDS, "OFFLINE=1")
    assert "go, cgo 0: install" in said
    assert (tmp_path / ".venv" / "bin" / "toxiproxy-server").exists()
    assert "codeblue images --offline" in said
    (tmp_path / ".venv" / "bin" / "toxiproxy-server").chmod(0o755)
    assert "go, cgo" not in make(tmp_path, BUILDS, "OFFLINE=1")


def test_a_build_that_fails_is_said_and_the_images_are_made_all_the_same(tmp_path: Path) -> None:
    """With the embedded server in them, which the images say themselves."""
    said = make(tmp_path, "exit 1", "OFFLINE=1")
    assert "Go could not build Toxiproxy; going on without" in said
    assert "codeblue images --offline" in said


@pytest.mark.parametrize(("arguments", "server"), [((), ""), (("OFFLINE=1",), "embedded")])
def test_go_is_left_alone_where_its_server_would_not_be_used(
    tmp_path: Path, arguments: tuple[str, ...], server: str
) -> None:
    """With a registry the official image is pulled; and whoever names a server gets that one."""
    environment = {"TOXIPROXY_SERVER": server} if server else {}
    assert "go, cgo" not in make(tmp_path, BUILDS, *arguments, **environment)
