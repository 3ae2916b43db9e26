"""`open`: the newest report, in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, shown, tell

PAGES = ("report.html", "suite.html", "comparison.html", "gate.html", "trend.html")


@click.command(cls=Pasteable, epilog="Example: codeblue open")
@click.argument("folder", required=False, type=FILE)
@json_option
def open_(folder: Path | None, as_json: bool) -> int:
    """Shows the newest page below reports/runs, or the one of FOLDER: of a run, a suite, a comparison or a
    gate. Without a browser the path alone is printed.
    """
    from execution.options import Options
    from experiment.errors import ExitCode, UsageError

    place = folder or Options().out
    found = pages(place)
    if not found:
        begun = "`codeblue run smoke/control` writes one"
        raise UsageError(f"found no report in {shown(place)}, expected one of {', '.join(PAGES)}: {begun}")
    page = found[0].absolute()
    if as_json:
        dump({"page": str(page)})
        return int(ExitCode.PASS)
    say(shown(page))
    if has_browser():
        import webbrowser

        if not webbrowser.open(page.as_uri()):
            tell("no browser could be started: open the path above in one")
    return int(ExitCode.PASS)


def pages(place: Path) -> list[Path]:
    """The pages in a folder and in those directly below it, the newest first."""
    found = {path for name in PAGES for pattern in (name, f"*/{name}") for path in place.glob(pattern)}
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, str(path)), reverse=True)


def has_browser() -> bool:
    """Whether a window can be opened: a browser in a terminal would take the place of the command."""
    if os.environ.get("BROWSER") or sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
