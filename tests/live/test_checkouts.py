"""The containers runtime plays on the services of the checkout that was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from execution.catalogue import default_catalogue
from experiment.topology import load_system
from measurement.properties import KINDS
from runtimes.checkouts import ROOT
from runtimes.containers.engine import Engine
from runtimes.containers.engine_images import Images
from runtimes.containers.service_images import ensure_service_image
from runtimes.containers.specs import ContainerSpec
from runtimes.leftovers import Journal
from tests.standin.containers import require_engine

pytestmark = pytest.mark.docker
PROGRAM = "reference_system/services/billing/__main__.py"


def code_in(engine: Engine, image: str) -> str:
    """The program of billing in an image."""
    spec = ContainerSpec(
        "codeblue-look", "look", image, "none", {}, command=("http.server", "8080", "--bind", "127.0.0.1")
    )
    engine.remove(spec.name)
    engine.create(spec)
    try:
        engine.start(spec.name)
        return engine.run(spec.name, ("cat", f"/opt/app/{PROGRAM}")).output
    finally:
        engine.remove(spec.name)


def test_the_image_of_another_checkout_holds_its_code(tmp_path: Path, journal: Journal) -> None:
    """Built on the same base from the files of that checkout; ours stays as it is."""
    require_engine()
    shutil.copytree(ROOT / "reference_system", tmp_path / "reference_system")
    program = tmp_path / PROGRAM
    program.write_text(program.read_text() + "\n# another build\n")
    other = load_system(tmp_path / "reference_system" / "system.yaml", KINDS)
    cache = ROOT / "var" / "images"
    ours, theirs = (
        ensure_service_image(default_catalogue().system(), cache, journal),
        ensure_service_image(other, cache, journal),
    )
    engine, images = Engine(), Images()
    try:
        assert "# another build" in code_in(engine, theirs)
        assert "# another build" not in code_in(engine, ours)
    finally:
        found = images.find(theirs)
        if found is not None:
            images.discard(theirs)
        images.close()
        engine.close()
