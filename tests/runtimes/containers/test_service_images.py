"""Two checkouts never share an image: what runs is the code that was asked for."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from experiment.errors import StartError
from experiment.topology import Link, Service, System
from runtimes.containers import service_images
from runtimes.containers.engine_images import ImageFacts
from runtimes.containers.recipes import BASE, CODE, SYSTEM, code_hash
from runtimes.containers.service_images import ensure_service_image, require_service_image, service_folder
from runtimes.containers.specs import Ran
from runtimes.leftovers import Journal

OURS = System(
    "clinic",
    {"billing": Service(module="reference_system.services.billing")},
    (),
    {},
    {},
    source=str(SYSTEM / "system.yaml"),
)


class _Images:
    """An engine's images in memory, `codeblue/service:current` of this checkout among them."""

    def __init__(self, **labels: str) -> None:
        self.kept = {"codeblue/service:current": ImageFacts("sha256:1", labels, 1)}
        self.built: dict[str, dict[str, bytes]] = {}

    def find(self, reference: str) -> ImageFacts | None:
        return self.kept.get(reference)

    def ask(self, reference: str, command: Sequence[str], labels: Mapping[str, str]) -> Ran:
        assert reference == "my/base:1"
        return Ran(0, "3.11 glibc\n")

    def tag(self, image_id: str, name: str) -> None:
        self.kept[name] = next(image for image in self.kept.values() if image.id == image_id)

    def build(
        self,
        context: IO[bytes],
        name: str,
        labels: Mapping[str, str],
        base: str,
        *,
        offline: bool,
        say: Callable[[str], None],
    ) -> None:
        assert base == "my/base:1"
        with tarfile.open(fileobj=context) as tar:
            files = {one.name: tar.extractfile(one) for one in tar.getmembers()}
            self.built[name] = {path: file.read() for path, file in files.items() if file is not None}
        self.kept[name] = ImageFacts(f"sha256:{name}", dict(labels), 1)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Images:
    """An engine with our own image and its base."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "pip-1-py3-none-any.whl").write_text("")
    monkeypatch.setenv("CODEBLUE_WHEELHOUSE", str(wheels))
    made = _Images(**{CODE: code_hash(), BASE: "my/base:1"})
    made.kept["my/base:1"] = ImageFacts("sha256:base", {}, 1)
    monkeypatch.setattr(service_images, "Images", lambda: made)
    return made


def another_checkout(folder: Path) -> System:
    """A copy of the system in which one service says something else."""
    copied = folder / "other" / "reference_system"
    shutil.copytree(SYSTEM, copied)
    program = copied / "services" / "billing" / "__main__.py"
    program.write_text(program.read_text() + "\n# another build\n")
    return replace(OURS, source=str(copied / "system.yaml"))


def test_our_own_image_is_used_as_it_is(engine: _Images, tmp_path: Path, journal: Journal) -> None:
    """Nothing is built; the image gets the name of its code."""
    name = ensure_service_image(OURS, tmp_path, journal)
    assert name == f"codeblue/service:{code_hash()}"
    assert engine.kept[name].id == "sha256:1"
    assert engine.built == {}


def test_another_checkout_runs_its_own_code(engine: _Images, tmp_path: Path, journal: Journal) -> None:
    """Its image is built from its files, once, under another name, and ours stays what it was."""
    other = another_checkout(tmp_path)
    name = ensure_service_image(other, tmp_path, journal)
    assert name != ensure_service_image(OURS, tmp_path, journal)
    program = engine.built[name]["reference_system/services/billing/__main__.py"]
    assert program.endswith(b"# another build\n")
    engine.built.clear()
    assert ensure_service_image(other, tmp_path, journal) == name
    assert engine.built == {}
    assert engine.kept["codeblue/service:current"].labels[CODE] == code_hash()


def test_an_image_that_only_bears_the_name_is_not_trusted(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """The label says what code is in an image, the name only what somebody called it."""
    other = another_checkout(tmp_path)
    name = f"codeblue/service:{code_hash(service_folder(other))}"
    engine.kept[name] = ImageFacts("sha256:fake", {CODE: code_hash()}, 1)
    assert ensure_service_image(other, tmp_path, journal) == name
    assert name in engine.built


def test_the_dockerfile_belongs_to_the_code(tmp_path: Path) -> None:
    """A checkout that installs its packages in another way is another candidate."""
    folder = service_folder(another_checkout(tmp_path))
    first = code_hash(folder)
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text() + "ENV X=1\n")
    assert code_hash(folder) != first


def test_without_the_base_another_checkout_is_refused_with_the_mend(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """It is never run on our code instead."""
    del engine.kept["my/base:1"]
    with pytest.raises(StartError, match=r"need an image of their own.*codeblue images"):
        ensure_service_image(another_checkout(tmp_path), tmp_path, journal)


@pytest.mark.usefixtures("engine")
def test_services_without_a_dockerfile_need_a_named_image(tmp_path: Path, journal: Journal) -> None:
    """A system of one's own brings its image along."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "cart.py").touch()
    shop = System(
        "shop", {"cart": Service(module="shop.cart")}, (Link("cart", "cart"),), {}, {},
        source=str(tmp_path / "shop" / "system.yaml"),
    )  # fmt: skip
    with pytest.raises(StartError, match=r"no Dockerfile in .*shop .*--service-image"):
        ensure_service_image(shop, tmp_path, journal)
    with pytest.raises(StartError, match='found no image "shop:1" in the engine'):
        require_service_image("shop:1")
    assert require_service_image("codeblue/service:current") == "codeblue/service:current"
