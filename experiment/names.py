"""Names that become parts of file names, URLs and metrics: letters, digits, `-`, `_` and inner dots."""

from __future__ import annotations

import re

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$"
_NAME = re.compile(PATTERN)


def require_name(name: str) -> None:
    """Raises ValueError, in the words of a decoding problem, unless the name can stand anywhere."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f'the name "{name}"; expected at most 80 letters, digits, "-", "_" and dots, '
            "with a letter or digit first"
        )
