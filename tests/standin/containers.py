"""What tests that need a Docker engine ask for."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from runtimes.containers.engine import Engine
from runtimes.containers.engine_images import Images
from runtimes.containers.images import missing_images
from runtimes.containers.layout import INSTANCE, OWNER
from runtimes.containers.recipes import name_of
from runtimes.docker_engine import EngineError
from runtimes.owners import read_owner

HERE = Path(__file__).parent
STANDIN = "codeblue/standin:current"


def require_engine() -> None:
    """Skip, by name, where no engine answers or its images are not made; continuous integration allows
    neither."""
    try:
        Engine().close()
        images = Images()
    except EngineError as error:
        pytest.skip(f"needs a Docker engine: {error}")
    problems = missing_images(images)
    images.close()
    if problems:
        pytest.skip(f"needs the images (codeblue images --offline): {'; '.join(problems)}")


def made_by(engine: Engine, pid: int) -> dict[str, Mapping[str, str]]:
    """Containers, networks and volumes of the command with this pid, and their labels."""
    found: dict[str, Mapping[str, str]] = {}
    for kind in (engine.containers, engine.networks, engine.volumes):
        for name, labels in kind(INSTANCE).items():
            owner = read_owner(labels.get(OWNER, ""))
            if owner is not None and owner.identity.pid == pid:
                found[name] = labels
    return found


def standin_image() -> str:
    """The image of the services with the stand-in service in it."""
    dockerfile = f"FROM {name_of('service')}\nCOPY tests /opt/app/tests\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in {
            "Dockerfile": dockerfile,
            "tests/__init__.py": b"",
            "tests/standin/__init__.py": b"",
            "tests/standin/service.py": (HERE / "service.py").read_bytes(),
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    context.seek(0)
    images = Images()
    images.build(context, STANDIN, {}, "", offline=True, say=lambda _: None)
    images.close()
    return STANDIN
