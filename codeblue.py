"""`codeblue`: the entry point of an installed copy and of an editable one (see pyproject.toml).

All other modules lie beside this file: in the checkout, or in the folder of an installed copy. They are found
by their own names, also by `pytest -p codeblue`, which makes tests of scenario files.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

pytest_plugins = ("execution.pytest_plugin",)


def main() -> None:
    """Run the command line; never returns."""
    from execution.commands.command_line import main as run

    run()
