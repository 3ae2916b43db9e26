"""Images on a real engine: what is asked of a base, and what of it reaches the image of the services."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from runtimes.containers.base_image import python_of
from runtimes.containers.engine_images import Images
from runtimes.containers.old_images import unneeded
from runtimes.containers.recipes import CONTENT, ROOT, SYSTEM, name_of, service_recipe
from runtimes.containers.wheelhouse import wheelhouse
from runtimes.docker_engine import EngineError
from runtimes.leftovers import Journal
from tests.standin.containers import require_engine

pytestmark = pytest.mark.docker
MINE = f"old-{os.getpid()}"
SLIM = "codeblue/test-slim:current"
ON_SLIM = "codeblue/test-service:current"
INSTALLER = {
    "usr/local/lib/python3.11/site-packages/pip/__init__.py": "",
    "usr/local/lib/python3.11/site-packages/pip-1.0.dist-info/METADATA": "",
    "usr/local/lib/python3.11/site-packages/setuptools/__init__.py": "",
    "usr/local/lib/python3.11/ensurepip/__init__.py": "",
    "usr/local/bin/pip3": "",
}


@pytest.fixture
def images() -> Iterator[Images]:
    require_engine()
    found = Images()
    yield found
    for name in (ON_SLIM, SLIM):
        found.discard(name)
    found.close()


def packed(files: Mapping[str, str]) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    archive.seek(0)
    return archive


def test_the_installer_of_a_base_does_not_reach_the_image_of_the_services(
    images: Images, journal: Journal
) -> None:
    """The official base of Python brings pip and setuptools; the services run, and these are gone."""
    dockerfile = f"FROM {name_of('service')}\nUSER 0:0\nCOPY usr /usr\n"
    images.build(
        packed({"Dockerfile": dockerfile, **INSTALLER}), SLIM, {}, "", offline=True, say=lambda _: None
    )
    python = python_of(images, SLIM, journal)
    wheels = wheelhouse(SYSTEM / "requirements.txt", ROOT / "var" / "images", python, journal)
    recipe = replace(service_recipe(SLIM, wheels), labels={})
    with recipe.context() as context:
        images.build(context, ON_SLIM, {}, SLIM, offline=True, say=lambda _: None)
    look = ["sh", "-c", f"ls -d {' '.join(f'/{name}' for name in INSTALLER)} 2>/dev/null; which pip pip3"]
    assert images.ask(SLIM, look).output.count("\n") > len(INSTALLER)
    assert images.ask(ON_SLIM, look).output == ""
    assert (
        images.ask(ON_SLIM, ["python3", "-c", "import asyncpg, reference_system.services.billing"]).code == 0
    )


def test_images_that_newer_ones_replaced_are_removed(images: Images) -> None:
    """Of four builds of one system the oldest two go, but for the one that a container is made of; what was
    made a moment ago stays for an hour."""
    names = [f"codeblue/test-{MINE}:{number}" for number in range(4)]
    for number, name in enumerate(names):
        dockerfile = packed({"Dockerfile": f'FROM scratch\nLABEL number={number}\nCMD ["none"]\n'})
        images.build(dockerfile, name, {CONTENT: MINE}, "", offline=True, say=lambda _: None)
    made = [image for image in images.with_label(f"{CONTENT}={MINE}") if set(image.names) & set(names)]
    assert len(made) == 4
    container = images.api.create_container(names[0])["Id"]
    try:
        used, dated = images.in_use(), [replace(one, made_at=float(one.names[0][-1])) for one in made]
        assert unneeded(dated, used, 10.0) == []
        assert [one.names for one in unneeded(dated, used, 4000.0)] == [(names[1],)]
        assert not images.discard(names[0]) and images.discard(names[1])
        assert images.find(names[1]) is None
    finally:
        images.api.remove_container(container)
        for name in names:
            images.discard(name)


def test_a_command_that_an_image_does_not_have_is_an_error_and_leaves_no_container(images: Images) -> None:
    """As when the Python of a base without one is asked for."""
    before = {one["Id"] for one in images.api.containers(all=True)}
    with pytest.raises(EngineError, match="no-such-program"):
        images.ask(name_of("toolbox"), ["no-such-program"])
    assert not [
        one
        for one in images.api.containers(all=True)
        if one["Id"] not in before and one["Command"].startswith("no-such-program")
    ]
