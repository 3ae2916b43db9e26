"""An image is made anew when something it is made of changes, and only then."""

from __future__ import annotations

import ast
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.errors import StartError
from runtimes.containers.base_image import OPTIONS, reference
from runtimes.containers.recipes import (
    DOCKERFILES,
    PYTHON_IMAGE,
    ROOT,
    SYSTEM,
    Recipe,
    code_files,
    code_hash,
    official_recipes,
    store_recipes,
    toxiproxy_recipe,
)
from runtimes.containers.wheelhouse import wheelhouse
from runtimes.leftovers import Journal


def recipe(folder: Path) -> Recipe:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "a.py").write_text("print(1)\n")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return Recipe("thing", folder / "Dockerfile", {"code": folder / "code"}, "base", {"kind": "x"})


def test_the_content_hash_covers_all_that_an_image_is_made_of(tmp_path: Path) -> None:
    """Base, Dockerfile, names, bytes, execute bits and labels count; times do not."""
    made = recipe(tmp_path)
    first = made.content("sha256:base")
    file = tmp_path / "code" / "a.py"
    file.touch()
    assert made.content("sha256:base") == first
    seen = {first, made.content("sha256:other"), replace(made, labels={"kind": "y"}).content("sha256:base")}
    file.write_text("print(2)\n")
    seen.add(made.content("sha256:base"))
    file.chmod(0o755)
    seen.add(made.content("sha256:base"))
    file.rename(file.with_name("b.py"))
    seen.add(made.content("sha256:base"))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nUSER 1\n")
    seen.add(made.content("sha256:base"))
    assert len(seen) == 7


def test_equal_content_gives_an_equal_build_context(tmp_path: Path) -> None:
    """Compiled files are left out, and neither times nor owners are taken along: layers stay cached."""
    made = recipe(tmp_path)
    first = made.context().read()
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / "code" / "a.py").touch()
    assert made.context().read() == first
    with tarfile.open(fileobj=made.context()) as tar:
        assert tar.getnames() == ["Dockerfile", "code/a.py"]


def test_the_service_image_holds_the_code_and_no_files_of_people() -> None:
    """Designs, compose files and Dockerfiles may change without a new image."""
    names = [inside for inside, _ in Recipe("x", SYSTEM / "Dockerfile", code_files(), "", {}).entries()]
    assert "reference_system/services/billing/__main__.py" in names
    assert "reference_system/requirements.txt" in names
    assert not [name for name in names if name.endswith((".yaml", ".pyc", "Dockerfile"))]
    assert len(code_hash()) == 16


def imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield node.module.split(".")[0]


def pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def test_the_image_gets_what_the_services_import_at_the_project_s_pins() -> None:
    """A package that a service imports is in its requirements, with the same pin as everywhere."""
    packages = {
        "nats": "nats-py",
        "opentelemetry": "opentelemetry-sdk",
        "prometheus_client": "prometheus-client",
        "google": "opentelemetry-proto",  # protobuf comes with it
    }
    needed = {
        packages.get(name, name)
        for part in ("services", "common")
        for name in imported(SYSTEM / part)
        if name not in {*sys.stdlib_module_names, "reference_system"}
    }
    inside, everywhere = pins(SYSTEM / "requirements.txt"), pins(ROOT / "requirements.in")
    assert needed <= set(inside)
    assert inside.items() <= everywhere.items()


def test_the_stores_come_from_their_wheels_or_as_the_same_official_version() -> None:
    """Both ways to images of PostgreSQL and NATS give the same versions."""
    assert [one.image for one in store_recipes("base")] == ["postgres", "bus"]
    official = {one.image: one.base for one in official_recipes()}
    assert official["postgres"].startswith("postgres:18.")
    assert official["bus"].startswith("nats:2.")


def test_toxiproxy_is_the_real_one_unless_none_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where no server is found the image holds the embedded one, on the image of the services."""
    server = tmp_path / "toxiproxy-server"
    server.write_text("")
    server.chmod(0o755)
    monkeypatch.setenv("TOXIPROXY_SERVER", str(server))
    real = toxiproxy_recipe("base")
    assert (real.base, real.labels["codeblue.kind"]) == ("base", "real")
    assert real.files == {"toxiproxy-server": server}
    monkeypatch.setenv("TOXIPROXY_SERVER", "embedded")
    embedded = toxiproxy_recipe("base")
    assert (embedded.base, embedded.labels["codeblue.kind"]) == ("codeblue/service:current", "embedded")


def test_wheels_that_were_brought_along_must_be_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, journal: Journal
) -> None:
    """The folder that CODEBLUE_WHEELHOUSE names is used as it is, when pip is in it."""
    monkeypatch.setenv("CODEBLUE_WHEELHOUSE", str(tmp_path))
    with pytest.raises(StartError, match="expected a folder of wheels, pip's among them"):
        wheelhouse(SYSTEM / "requirements.txt", tmp_path, "3.11", journal)
    (tmp_path / "pip-1-py3-none-any.whl").write_text("")
    assert wheelhouse(SYSTEM / "requirements.txt", tmp_path, "3.11", journal) == tmp_path


def test_the_name_of_the_base_changes_with_what_it_is_made_of() -> None:
    """The base holds what acts on clocks and packets, and no compiler."""
    assert reference().startswith("codeblue/base:bookworm-")
    included = next(option for option in OPTIONS if option.startswith("--include="))
    assert {"libfaketime", "nftables"} <= set(included.removeprefix("--include=").split(","))
    assert not {"gcc", "build-essential", "python3-pip"} & set(included.split(","))


@pytest.mark.parametrize("path", sorted(DOCKERFILES.glob("*.Dockerfile")), ids=lambda path: path.stem)
def test_no_image_but_the_toolbox_runs_as_root(path: Path) -> None:
    """The toolbox needs to be root inside its own container to act on packets."""
    users = [line for line in path.read_text().splitlines() if line.startswith("USER ")]
    assert bool(users) == (path.stem != "toolbox")
    assert not [line for line in users if line.startswith(("USER 0", "USER root"))]


@pytest.mark.parametrize("path", sorted(DOCKERFILES.glob("*.Dockerfile")), ids=lambda path: path.stem)
def test_every_image_that_listens_tells_whether_it_is_well(path: Path) -> None:
    """compose.yaml starts what calls others once these are healthy; the toolbox never listens."""
    checks = [line for line in path.read_text().splitlines() if line.startswith("HEALTHCHECK ")]
    assert len(checks) == (path.stem != "toolbox")


def test_the_pinned_base_is_the_default_of_the_dockerfile() -> None:
    """`docker build` by hand gives the image that `make images` gives."""
    assert f"ARG BASE_IMAGE={PYTHON_IMAGE}\n" in (SYSTEM / "Dockerfile").read_text()
