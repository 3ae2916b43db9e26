"""What a shell is offered for a word that is begun: names of the system that the line means, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from execution.catalogue import Catalogue


Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _completer(names: Callable[[Catalogue], Iterable[str]]) -> Completer:
    """Offers names that begin so; where none does, files. A system that cannot be read offers files alone."""

    def offered(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from execution.catalogue import default_catalogue
        from experiment.errors import CodeBlueError

        system = context.params.get("system")
        try:
            known = sorted(set(names(default_catalogue(system if isinstance(system, Path) else None))))
        except CodeBlueError:
            known = []
        head, comma, last = begun.rpartition(",")  # designs may stand in one word
        found = [CompletionItem(f"{head}{comma}{name}") for name in known if name.startswith(last)]
        return found or [CompletionItem(begun, type="file")]

    return offered


def _scenarios(catalogue: Catalogue) -> Iterable[str]:
    from execution.catalogue import unique

    return unique(catalogue.scenario_files())


def _designs(catalogue: Catalogue) -> Iterable[str]:
    from execution.catalogue import unique

    return unique(catalogue.design_files())


def _suites(catalogue: Catalogue) -> Iterable[str]:
    from execution.catalogue import unique

    return unique(catalogue.suite_files())


def _faults(_catalogue: Catalogue) -> Iterable[str]:
    from faults import KINDS

    return KINDS


scenarios = _completer(_scenarios)
designs = _completer(_designs)
suites = _completer(_suites)
designs_or_scenarios = _completer(lambda found: (*_designs(found), *_scenarios(found)))
suites_or_scenarios = _completer(lambda found: (*_suites(found), *_scenarios(found)))
scenarios_or_faults = _completer(lambda found: (*_scenarios(found), *_faults(found)))
