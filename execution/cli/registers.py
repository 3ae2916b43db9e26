"""`linearizable`; in a file of its own, since it must start quickly."""

from __future__ import annotations

from pathlib import Path

import click

from execution.cli.parameters import FiniteRange, json_option


@click.command(epilog="Example: python harness.py linearizable history.jsonl --initial 0")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--initial", help="value of every register at the start (default: empty), as JSON")
@click.option(
    "--within", type=FiniteRange(0.001), default=60.0, show_default=True, help="seconds for each file"
)
@json_option
def linearizable(files: tuple[Path, ...], initial: str | None, within: float, as_json: bool) -> int:
    """Judge histories of register operations (JSON Lines; - is standard input).

    Exit 0 linearizable, 1 not, 2 not known; of several files the worst, 64 when one is refused. Not known is
    what the time allowed did not suffice for, and a file without any event. A history in which no operation
    completed is linearizable: it rules no order out. Lines of the process "nemesis" are skipped.
    """
    from execution.commands import registers as registers_commands

    return registers_commands.linearizable(files, initial, within, as_json)
