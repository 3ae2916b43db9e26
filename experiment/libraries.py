"""NumPy and Polars, loaded when they are first used and not when a module names them.

Both take a tenth to a fifth of a second to load. A command that only reads files (`validate`, `list`, `plan`)
imports the kinds of properties, and so every module that could judge them, but judges nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

__all__ = ["np", "pl"]


class Later:
    """Stands for a module until one of its names is asked for; what was asked for once is kept."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # whoever looks at all modules, as doctest does, loads none
            raise AttributeError(name)
        found = getattr(import_module(self._module), name)
        setattr(self, name, found)
        return found


if not TYPE_CHECKING:
    np = Later("numpy")
    pl = Later("polars")
