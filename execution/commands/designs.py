"""`designs`: the designs of a system, and how far each is from the strong one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say_table

if TYPE_CHECKING:
    from execution.catalogue import Catalogue


@click.command(cls=Pasteable, epilog="Example: codeblue designs --system examples/shop")
@system_option
@json_option
def designs(system: Path | None, as_json: bool) -> int:
    """Shows the role of each design, and in how many settings it differs from the one that is meant where
    none is named. `diff` shows which.
    """
    from execution.catalogue import default_catalogue
    from experiment.errors import ExitCode
    from experiment.tables import Table

    rows = described(default_catalogue(system))
    if as_json:
        keys = ("name", "role", "differences", "title")
        dump([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        head = ("design", "role", "differences", "what it does otherwise")
        say_table(Table("", head, tuple(rows) or (("(none)", "", "", ""),)))
    return int(ExitCode.PASS)


def described(catalogue: Catalogue) -> list[tuple[str, str, str, str]]:
    """Name, role, differences and title of each design; a broken file is listed with its mistake."""
    from execution.catalogue import unique
    from execution.spelling import design_rows
    from experiment.errors import CodeBlueError, UsageError

    system = catalogue.system()
    try:
        usual = catalogue.design(catalogue.usual_design(), system)
    except UsageError:
        usual = None
    roles = {system.roles.strong: "strong", system.roles.weak: "weak"}
    rows = []
    for name in unique(catalogue.design_files()):
        try:
            design = catalogue.design(name, system)
        except CodeBlueError as error:
            rows.append((name, roles.get(name, ""), "", f"(has mistakes: {str(error).splitlines()[0]})"))
            continue
        count = "" if usual is None else str(len(list(design_rows(usual, design, system))))
        rows.append((name, roles.get(name, ""), count, design.title))
    return rows
