"""What a command says: results to stdout, everything else to stderr."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from execution.program import as_started_here, pasteable


def say(text: str) -> None:
    click.echo(text)


def tell(text: str) -> None:
    """To stderr: what is not a result. Commands in it can be pasted."""
    click.echo(as_started_here(text), err=True)


def dump(plain: Any) -> None:
    import json

    say(json.dumps(plain, indent=1, default=str))


def shown(path: Path) -> str:
    """A path as a person would type it here."""
    return pasteable(path)


def say_results(lines: Iterable[str], page: Path, as_json: bool) -> None:
    """What a command found: in words and where the page is, or the JSON that lies beside the page."""
    if as_json:
        say(page.with_suffix(".json").read_text(encoding="utf-8"))
        return
    for text in lines:
        say(text)
    say(f"report: {shown(page)}")
