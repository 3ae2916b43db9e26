"""Images are made once, made again when they would differ, and their absence is said with a hint."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from experiment.children import Ended
from experiment.errors import StartError
from runtimes.containers import images as building
from runtimes.containers import recipes
from runtimes.containers.engine_images import ImageFacts
from runtimes.containers.images import IMAGES, image_versions, make_images, require_images, stale_images
from runtimes.containers.recipes import name_of
from runtimes.containers.specs import Ran
from runtimes.docker_engine import EngineError
from runtimes.leftovers import Journal


class _Images:
    """An engine's images in memory: every build gives a new id."""

    url = "unix:///nowhere.sock"

    def __init__(self) -> None:
        self.kept: dict[str, ImageFacts] = {"my/base:1": ImageFacts("sha256:base", {}, 1)}
        self.built: list[str] = []
        self.discarded: list[str] = []
        self.pulled: list[str] = []
        self.offline: set[bool] = set()
        self.files: dict[str, list[str]] = {}
        self.said = Ran(0, "3.11 glibc\n")
        self.reachable = True

    def find(self, reference: str) -> ImageFacts | None:
        return self.kept.get(reference)

    def pull(self, reference: str) -> ImageFacts:
        if not self.reachable:
            raise EngineError(f"Docker could not pull {reference}: no such host")
        self.pulled.append(reference)
        self.kept[reference] = ImageFacts(f"sha256:{reference}", {}, 1)
        return self.kept[reference]

    def ask(self, reference: str, command: Sequence[str], labels: Mapping[str, str]) -> Ran:
        assert reference in self.kept and command[0] == "python3"
        assert labels["codeblue.instance"], "what a killed command leaves is to be found"
        return self.said

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

    def discard(self, reference: str) -> bool:
        self.discarded.append(reference)
        return True

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


def test_offline_everything_is_built_on_the_base_without_a_network(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """Nothing is pulled; the second time nothing is built."""
    said: list[str] = []
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=said.append)
    assert engine.built == [
        name_of(image) for image in ("service", "postgres", "bus", "toxiproxy", "toolbox")
    ]
    assert engine.offline == {True}
    assert engine.pulled == []
    assert "wheels/pip-1-py3-none-any.whl" in engine.files[name_of("service")]
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=said.append)
    assert len(engine.built) == len(IMAGES)
    assert said[-1] == "codeblue/toolbox:current: up to date (2 MB)"


def test_an_image_whose_base_changed_is_built_again_and_the_old_one_goes(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """What stands on another base is another image."""
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=lambda _: None)
    first = [engine.kept[name_of(image)].id for image in IMAGES]
    engine.kept["my/base:1"] = ImageFacts("sha256:newer", {}, 1)
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=lambda _: None)
    assert sorted(engine.discarded) == sorted(first)


def test_with_a_registry_stores_and_toxiproxy_are_the_official_ones(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """All is pulled by patch versions, once, each before what is built on it; Toxiproxy is the real one."""
    for _ in range(2):
        make_images(tmp_path, journal, offline=False, base=None, say=lambda _: None)
    names = [one.partition(":")[0] for one in engine.pulled]
    assert names == ["python", "postgres", "nats", "ghcr.io/shopify/toxiproxy"]
    assert all(re.search(r":\d+\.\d+(\.\d+)?(-|$)", one) for one in engine.pulled), engine.pulled
    assert engine.pulled[1].startswith("postgres:18.") and engine.pulled[2].startswith("nats:2.")
    assert engine.built == [name_of(one) for one in ("service", "postgres", "bus", "toxiproxy", "toolbox")]
    assert engine.kept[name_of("toxiproxy")].labels["codeblue.kind"] == "real"


def test_an_official_image_that_the_engine_has_is_not_pulled(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """Names are pinned: images that were loaded from a file serve as well."""
    engine.reachable = False
    for one in (recipes.PYTHON_IMAGE, *(recipe.base for recipe in recipes.official_recipes())):
        engine.kept[one] = ImageFacts(f"sha256:{one}", {}, 1)
    make_images(tmp_path, journal, offline=False, base=None, say=lambda _: None)
    assert len(engine.built) == len(IMAGES)


def test_a_registry_that_cannot_be_reached_is_said_with_the_way_around(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """Nothing is built, and the message has the command that works without a registry."""
    engine.reachable = False
    with pytest.raises(
        StartError, match=r"could not pull python:3.11.*no such host\n.*codeblue images --offline"
    ):
        make_images(tmp_path, journal, offline=False, base=None, say=lambda _: None)
    assert engine.built == []


@pytest.mark.usefixtures("engine")
def test_the_embedded_server_in_the_image_is_said_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    """Whoever reads the output knows which Toxiproxy faults will go through; the real one needs no word."""
    said: list[str] = []
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=said.append)
    assert sum("EMBEDDED" in line for line in said) == 1
    server = tmp_path / "toxiproxy-server"
    server.write_text("")
    server.chmod(0o755)
    monkeypatch.setenv("TOXIPROXY_SERVER", str(server))
    said.clear()
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=said.append)
    assert not [line for line in said if "EMBEDDED" in line]


@pytest.mark.parametrize(
    ("code", "says", "problem"),
    [
        (0, "3.9 glibc", "with Python 3.9 and glibc C library, expected one with Python 3.11"),
        (0, "3.12 another", "with Python 3.12 and another C library, expected .* glibc"),
        (1, "no module named sys", "whose python3 says 'no module named sys', expected"),
    ],
)
def test_a_base_that_the_services_cannot_run_on_is_refused_by_name(
    engine: _Images, tmp_path: Path, code: int, says: str, problem: str, journal: Journal
) -> None:
    """Before a wheel is fetched or an image built."""
    engine.said = Ran(code, says)
    with pytest.raises(StartError, match=f"the base my/base:1 {problem}|a base my/base:1 {problem}"):
        make_images(tmp_path, journal, offline=True, base="my/base:1", say=lambda _: None)
    assert engine.built == []


def test_wheels_are_fetched_for_the_python_of_the_base(
    engine: _Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    """Another base with another Python gets wheels of its own, and keeps them."""
    monkeypatch.delenv("CODEBLUE_WHEELHOUSE")
    asked: list[str] = []

    def pip(command: list[str], **_: Any) -> Ended:
        asked.append(command[command.index("--python-version") + 1])
        return Ended(0, "", "")

    monkeypatch.setattr("runtimes.containers.wheelhouse.run_child", pip)
    for version in ("3.11", "3.13", "3.11"):
        engine.said = Ran(0, f"{version} glibc")
        make_images(tmp_path, journal, offline=True, base="my/base:1", say=lambda _: None)
    assert asked == ["3.11", "3.13"]


@pytest.mark.usefixtures("engine")
def test_offline_a_base_that_the_engine_does_not_have_is_refused(tmp_path: Path, journal: Journal) -> None:
    """Offline nothing is fetched."""
    with pytest.raises(StartError, match='the engine has no image "not/here:1", and offline none is fetched'):
        make_images(tmp_path, journal, offline=True, base="not/here:1", say=lambda _: None)


def test_missing_images_are_refused_and_stale_ones_named(
    engine: _Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    """The hint is said. Which code a run plays on is another question: see the images of checkouts."""
    with pytest.raises(StartError, match=r"no image codeblue/service:current; .*codeblue images --offline"):
        require_images()
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=lambda _: None)
    require_images()
    assert stale_images(engine) == []  # type: ignore[arg-type]
    versions = image_versions(engine, "codeblue/service:current")  # type: ignore[arg-type]
    assert versions["postgresql"].startswith("18.") and versions["nats"].startswith("2.")
    assert {f"image {image}" for image in IMAGES} <= set(versions)
    monkeypatch.setattr(recipes, "code_hash", lambda: "another")
    assert stale_images(engine) == ["codeblue/service:current holds other code than reference_system/"]  # type: ignore[arg-type]


def test_every_image_that_would_be_made_of_something_else_now_is_named(
    engine: _Images, tmp_path: Path, journal: Journal
) -> None:
    """A Dockerfile, a program or the base has changed since: it is seen before anybody wonders."""
    make_images(tmp_path, journal, offline=True, base="my/base:1", say=lambda _: None)
    toolbox = name_of("toolbox")
    old = engine.kept[toolbox]
    engine.kept[toolbox] = ImageFacts(old.id, {**old.labels, "codeblue.content": "of yesterday"}, 1)
    assert stale_images(engine) == ["codeblue/toolbox:current is made of other files than those here"]  # type: ignore[arg-type]
    engine.kept[toolbox] = old
    engine.kept["my/base:1"] = ImageFacts("sha256:newer", {}, 1)
    assert len(stale_images(engine)) == 3  # type: ignore[arg-type]
