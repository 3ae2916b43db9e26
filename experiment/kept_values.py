"""What a request takes from elsewhere than the plan: `{kept.NAME}` from an earlier answer of its visit, which
a login or a first step gave, and `{env.NAME}` from the environment, where secrets stand and nowhere else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from experiment.decoding import Decoder
from experiment.templates import placeholders
from experiment.yaml_source import Node, place

KEPT, ENVIRONMENT = "kept.", "env."
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Form(Protocol):
    """A request with placeholders."""

    def placeholders(self) -> Iterator[tuple[tuple[str | int, ...], str]]: ...


class Keeping(Protocol):
    """An answer of which something is kept for the visit: name to place."""

    @property
    def keep(self) -> dict[str, str]: ...


class Asking(Protocol):
    """A journey, as far as it matters here."""

    @property
    def request(self) -> Form | None: ...
    @property
    def answer(self) -> Keeping | None: ...


class Following(Protocol):
    """A step of a mix."""

    @property
    def journey(self) -> str: ...
    @property
    def needs(self) -> str | None: ...


def is_elsewhere(name: str) -> bool:
    """Whether a placeholder is of one of the two kinds."""
    return any(name.startswith(kind) and NAME.fullmatch(name[len(kind) :]) for kind in (KEPT, ENVIRONMENT))


def from_environment(template: Any) -> dict[str, str]:
    """Placeholder to value of every variable that a text or JSON value names; of one that is not set nothing:
    see `not_set`."""
    return {f"{ENVIRONMENT}{name}": os.environ.get(name, "") for name in _variables(template)}


def not_set(template: Any) -> list[str]:
    """The variables that a text or JSON value names and the environment does not have. A live run is refused
    then; on the twin nothing is sent."""
    return sorted(name for name in _variables(template) if not os.environ.get(name))


def _variables(template: Any) -> set[str]:
    names = {name for _, name in placeholders(template) if name.startswith(ENVIRONMENT)}
    return {name.removeprefix(ENVIRONMENT) for name in names}


def names_kept(journeys: Mapping[str, Asking]) -> set[str]:
    """What any answer gives to later steps."""
    return {name for journey in journeys.values() if journey.answer for name in journey.answer.keep}


def check_kept(
    decoder: Decoder, node: Node, journeys: Mapping[str, Asking], mixes: Mapping[str, Sequence[Following]]
) -> None:
    """Every `{kept.NAME}` of a step is given by an earlier one that it needs; each mistake at its step."""
    gives = {name: set(one.answer.keep) if one.answer else set() for name, one in journeys.items()}
    for mix, steps in mixes.items():
        for index, step in enumerate(steps):
            for name in _taken(journeys.get(step.journey)):
                if name not in _given(steps[:index], step.needs, gives):
                    found = (
                        f"{{{KEPT}{name}}} in the request of {step.journey}, which no step before it gives"
                    )
                    expected = "needs: an earlier step whose answer has it under keep"
                    where = place(node, "mixes", mix, index)
                    decoder.fail(where, found, expected, decoder.nearest(name, names_kept(journeys)))


def _taken(journey: Asking | None) -> list[str]:
    if journey is None or journey.request is None:
        return []
    names = dict.fromkeys(name for _, name in journey.request.placeholders())
    return [name.removeprefix(KEPT) for name in names if name.startswith(KEPT)]


def _given(earlier: Sequence[Following], needs: str | None, gives: Mapping[str, Collection[str]]) -> set[str]:
    """What the step that is needed gives, and those that it needs itself."""
    found: set[str] = set()
    for step in reversed(earlier):
        if step.journey == needs:
            found |= set(gives.get(step.journey, ()))
            needs = step.needs
    return found
