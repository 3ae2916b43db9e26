"""Python of a system, loaded by its path; what is wrong with it is told at its own line."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from experiment.errors import ConfigError
from experiment.python_source import load_python


def package(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_python(path, "a package of models")
    return str(caught.value)


def test_a_package_imports_its_own_files_relatively(tmp_path: Path) -> None:
    """The folder's own name is free: two systems may both call theirs `models`."""
    one = load_python(
        package(tmp_path / "a" / "models", __init__="from .part import X", part="X = 1"), "a package"
    )
    other = load_python(
        package(tmp_path / "b" / "models", __init__="from .part import X", part="X = 2"), "a package"
    )
    assert (one.X, other.X) == (1, 2)
    assert "models" not in sys.modules


def test_a_module_is_loaded_once_and_its_values_can_be_pickled(tmp_path: Path) -> None:
    """Another process that has loaded it by the same path can read what was pickled here."""
    path = tmp_path / "client.py"
    path.write_text("class Thing:\n    pass\n")
    module = load_python(path, "a module")
    assert load_python(tmp_path / "." / "client.py", "a module") is module
    assert type(pickle.loads(pickle.dumps(module.Thing()))) is module.Thing


def test_an_error_at_import_is_told_at_its_line(tmp_path: Path) -> None:
    """The place is the system's own line, also when the error was raised further below or in another file."""
    path = package(
        tmp_path / "models", __init__="from . import part\n", part="import json\njson.loads('{')\n"
    )
    assert refusal(path).startswith(f"{path}/part.py:2:1: found JSONDecodeError while it was imported")
    assert "expected a package of models that can be imported" in refusal(path)


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("x = (\n", ":1:", "SyntaxError"),
        ("import nothing_of_that_name\n", ":1:1", "ModuleNotFoundError"),
        ("raise SystemExit(3)\n", ":1:1", "SystemExit"),
        ("from . import missing\n", ":1:1", "ImportError"),
    ],
)
def test_every_kind_of_error_at_import_is_a_mistake_in_a_file(
    tmp_path: Path, text: str, place: str, found: str
) -> None:
    """None of them is a traceback, and none ends the command by itself."""
    path = package(tmp_path / "models", __init__=text)
    assert f"__init__.py{place}" in refusal(path)
    assert f"found {found} while it was imported" in refusal(path)


def test_after_an_error_nothing_half_loaded_is_left(tmp_path: Path) -> None:
    """A corrected file loads in the same process."""
    path = package(tmp_path / "models", __init__="from .part import X\n", part="X = 1 / 0\n")
    assert "part.py:1:1: found ZeroDivisionError" in refusal(path)
    (path / "part.py").write_text("X = 1.0 / 2\n")
    assert load_python(path, "a package").X == 0.5


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file and a folder that is not a package are two mistakes."""
    (tmp_path / "empty").mkdir()
    assert "found no such file, expected a package of models" in refusal(tmp_path / "client.py")
    assert "found a folder without an __init__.py" in refusal(tmp_path / "empty")
