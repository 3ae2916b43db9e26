"""Python that a system brings, loaded by its path as pytest loads a conftest.py."""

from __future__ import annotations

import hashlib
import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from experiment.errors import ConfigError, Location, Problem


def load_python(path: Path, what: str) -> ModuleType:
    """The module or package at `path`, imported once a process under a name of its own.

    A package is a folder with an `__init__.py`; its files import each other relatively, also when `path` is
    one of them. `what` says in errors what the file is, such as "a package of twin models". Raises
    ConfigError, also for an error at import, at the line of the system's own code that raised.
    """
    path = path.resolve()
    if path.is_file() and (path.parent / "__init__.py").is_file() and path.name != "__init__.py":
        package_name = load_python(path.parent, what).__name__
        name = f"{package_name}.{path.stem}"
        return sys.modules[name] if name in sys.modules else _executed(name, path, path, what)
    name = f"code_blue_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    package = path.is_dir()
    file = path / "__init__.py" if package else path
    if not file.is_file():
        found = "a folder without an __init__.py" if package else "no such file"
        raise ConfigError([Problem(Location(str(path)), found, what)])
    return _executed(name, file, path, what)


def _executed(name: str, file: Path, path: Path, what: str) -> ModuleType:
    """A module made from its file; `path` is the folder of a package."""
    package = path.is_dir()
    spec = spec_from_file_location(name, file, submodule_search_locations=[str(path)] if package else None)
    if spec is None or spec.loader is None:
        raise ConfigError([Problem(Location(str(path)), "a file that is not Python", f"{what} in Python")])
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            del sys.modules[loaded]
        found = f"{type(error).__name__} while it was imported: {error}"
        raise ConfigError([Problem(blamed(error, path), found, f"{what} that can be imported")]) from error
    return module


def blamed(error: BaseException, path: Path) -> Location:
    """The last line of a system's own code at `path` that an error passed through; of none, `path` itself."""
    if isinstance(error, SyntaxError) and error.filename:
        return Location(error.filename, error.lineno or 1, error.offset or 1)
    home = path if path.is_dir() else path.parent
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__) if home in Path(frame.filename).parents
    ]
    return Location(own[-1].filename, own[-1].lineno or 1) if own else Location(str(path))
