"""Images are made once, made again when they would differ, and their absence is said with the mend."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import pytest

from experiment.errors import StartError
from runtimes.containers import images as building
from runtimes.containers import recipes
from runtimes.containers.engine_images import ImageFacts
from runtimes.containers.images import IMAGES, make_images, require_images
from runtimes.containers.recipes import name_of


class _Images:
    """An engine's images in memory: every build gives a new id."""

    def __init__(self) -> None:
        self.kept: dict[str, ImageFacts] = {"my/base:1": ImageFacts("sha256:base", {}, 1)}
        self.built: list[str] = []
        self.discarded: list[str] = []
        self.pulled: list[str] = []
        self.offline: set[bool] = set()
        self.files: dict[str, list[str]] = {}

    def find(self, reference: str) -> ImageFacts | None:
        return self.kept.get(reference)

    def pull(self, reference: str) -> ImageFacts:
        self.pulled.append(reference)
        self.kept[reference] = ImageFacts(f"sha256:{reference}", {}, 1)
        return self.kept[reference]

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
        self.built.append(name)
        self.offline.add(offline)
        with tarfile.open(fileobj=context) as tar:
            self.files[name] = tar.getnames()
        self.kept[name] = ImageFacts(f"sha256:{len(self.built)}", dict(labels), 2_000_000)

    def discard(self, image_id: str) -> None:
        self.discarded.append(image_id)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Images:
    """An engine that has one base image, and a wheelhouse with pip in it."""
    (tmp_path / "pip-1-py3-none-any.whl").write_text("")
    monkeypatch.setenv("CODEBLUE_WHEELHOUSE", str(tmp_path))
    monkeypatch.setenv("TOXIPROXY_SERVER", "embedded")
    made = _Images()
    monkeypatch.setattr(building, "Images", lambda: made)
    return made


def test_offline_everything_is_built_on_the_base_without_a_network(engine: _Images, tmp_path: Path) -> None:
    """Nothing is pulled; the second time nothing is built."""
    said: list[str] = []
    make_images(tmp_path, offline=True, base="my/base:1", say=said.append)
    assert engine.built == [
        name_of(image) for image in ("service", "postgres", "bus", "toxiproxy", "toolbox")
    ]
    assert engine.offline == {True}
    assert engine.pulled == []
    assert "wheels/pip-1-py3-none-any.whl" in engine.files[name_of("service")]
    make_images(tmp_path, offline=True, base="my/base:1", say=said.append)
    assert len(engine.built) == len(IMAGES)
    assert said[-1] == "codeblue/toolbox:current: up to date (2 MB)"


def test_an_image_whose_base_changed_is_built_again_and_the_old_one_goes(
    engine: _Images, tmp_path: Path
) -> None:
    """What stands on another base is another image."""
    make_images(tmp_path, offline=True, base="my/base:1", say=lambda _: None)
    first = [engine.kept[name_of(image)].id for image in IMAGES]
    engine.kept["my/base:1"] = ImageFacts("sha256:newer", {}, 1)
    make_images(tmp_path, offline=True, base="my/base:1", say=lambda _: None)
    assert sorted(engine.discarded) == sorted(first)


def test_with_a_registry_the_stores_are_the_official_ones(engine: _Images, tmp_path: Path) -> None:
    """Base and stores are pulled by pinned versions, and pulled once."""
    for _ in range(2):
        make_images(tmp_path, offline=False, base=None, say=lambda _: None)
    official = recipes.official_stores()
    assert engine.pulled == [recipes.PYTHON_IMAGE, official["postgres"], official["bus"]]
    assert len(engine.built) == len(IMAGES)


@pytest.mark.usefixtures("engine")
def test_offline_a_base_that_the_engine_does_not_have_is_refused(tmp_path: Path) -> None:
    """Offline nothing is fetched."""
    with pytest.raises(StartError, match='the engine has no image "not/here:1", and offline none is fetched'):
        make_images(tmp_path, offline=True, base="not/here:1", say=lambda _: None)


@pytest.mark.usefixtures("engine")
def test_missing_and_stale_images_are_named_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run never plays on services other than those in the folder."""
    with pytest.raises(StartError, match=r"no image codeblue/service:current; .*make images OFFLINE=1"):
        require_images()
    make_images(tmp_path, offline=True, base="my/base:1", say=lambda _: None)
    require_images()
    monkeypatch.setattr(recipes, "code_hash", lambda: "another")
    with pytest.raises(StartError, match="codeblue/service:current holds other code than reference_system/"):
        require_images()
