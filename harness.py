"""Code Blue from a checkout: `python harness.py COMMAND`, the same as the installed `codeblue COMMAND`.

Any Python will do: without the packages it starts again in `.venv` beside it, or says what to do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

NEEDED = (
    *("click", "msgspec", "yaml", "polars", "scipy", "simpy", "locust", "docker", "psutil", "matplotlib"),
    "rich",
)
OLDEST = (3, 11)
BAD_CONFIGURATION = 64  # experiment.errors.ExitCode, which needs a newer Python


def enter(script: str) -> None:
    """Go on when everything is here; else start again in `.venv`, once, or end with what to do."""
    places = [place or "." for place in sys.path]
    lacking = [name for name in NEEDED if not any(os.path.isdir(f"{place}/{name}") for place in places)]
    if sys.version_info >= OLDEST and not lacking:
        return
    folder = Path(script).resolve().parent / ".venv"
    python = folder / "bin" / "python"
    if python.is_file() and Path(sys.prefix).resolve() != folder.resolve():
        sys.stdout.flush()
        os.execv(python, [str(python), script, *sys.argv[1:]])
    why = f"the package {lacking[0]} is not installed" if lacking else "Python 3.11 or newer is needed"
    where = f"{Path(script).resolve().parent}: " if Path.cwd() != Path(script).resolve().parent else ""
    print(f"error: {why}; {where}run `make install`, then .venv/bin/codeblue", file=sys.stderr)
    sys.exit(BAD_CONFIGURATION)


if __name__ == "__main__":
    enter(__file__)

from execution.commands.command_line import cli, main  # noqa: E402 - needs the packages

__all__ = ["cli", "main"]

if __name__ == "__main__":
    main()
