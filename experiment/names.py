"""Names: what they may look like where they are given, and what they must name where they are used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$"
_NAME = re.compile(PATTERN)


@dataclass(frozen=True, slots=True)
class Reference:
    """A kind of name that must be defined elsewhere; `home` is what it has to be: a link of the system."""

    what: str
    home: str


LINK = Reference("link", "a link of the system")
SERVICE = Reference("service", "a service of the system")
JOURNEY = Reference("journey", "a journey of the system")
MIX = Reference("journey mix", "a mix of the system")
PROPERTY = Reference("property", "a property of the system")
ARGUMENT = Reference("argument", "text")  # of a command: the same one may stand there twice
STORE = Reference("store", "a store of the system that keeps records")

LinkName = Annotated[str, LINK]
ServiceName = Annotated[str, SERVICE]
JourneyName = Annotated[str, JOURNEY]
MixName = Annotated[str, MIX]
PropertyName = Annotated[str, PROPERTY]
Argument = Annotated[str, ARGUMENT]
StoreName = Annotated[str, STORE]


def require_name(name: str) -> None:
    """Raises ValueError, in the words of a decoding problem, unless the name can stand in file names, URLs
    and metrics: letters, digits, `-`, `_` and inner dots."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f'the name "{name}"; expected at most 80 letters, digits, "-", "_" and dots, '
            "with a letter or digit first"
        )
