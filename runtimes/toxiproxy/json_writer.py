"""Writes JSON as the original does: no spaces, ``<``, ``>`` and ``&`` escaped, shortest numbers."""

from __future__ import annotations

import re
import struct

JsonOut = dict[str, "JsonOut"] | list["JsonOut"] | str | float | bool | None

_TO_ESCAPE = re.compile(r'["\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# The bounds of plain notation, as 32-bit floats like the numbers compared with them.
(SMALLEST_PLAIN,) = struct.unpack("<f", struct.pack("<f", 1e-6))
(LARGEST_PLAIN,) = struct.unpack("<f", struct.pack("<f", 1e21))


def write(value: JsonOut) -> str:
    """``value`` as JSON text. Floats are written with single precision, as a toxicity is kept."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return single_precision(value)
        case str():
            return _string(value)
        case list():
            return "[" + ",".join(map(write, value)) + "]"
    return "{" + ",".join(f"{_string(key)}:{write(member)}" for key, member in value.items()) + "}"


def single_precision(number: float) -> str:
    """The shortest decimal text that reads back as the same 32-bit float."""
    wanted = struct.pack("<f", number)
    exact: float = struct.unpack("<f", wanted)[0]
    digits = next(n for n in range(1, 10) if n == 9 or _packed(f"{exact:.{n - 1}e}") == wanted)
    scientific = f"{exact:.{digits - 1}e}"
    if exact == 0:
        return "-0" if scientific.startswith("-") else "0"
    if SMALLEST_PLAIN <= abs(exact) < LARGEST_PLAIN:
        power = int(scientific.split("e")[1])
        decimals = max(0, digits - 1 - power)
        plain = f"{float(scientific):.{decimals}f}"
        return plain
    mantissa, power_text = scientific.split("e")
    sign = "-" if power_text.startswith("-") else "+"
    magnitude = power_text.lstrip("+-").lstrip("0")
    return f"{mantissa}e{sign}{magnitude.zfill(2) if sign == '+' else magnitude}"


def _packed(text: str) -> bytes:
    """The 32-bit float that a text reads as; nothing when it is beyond all of them."""
    try:
        return struct.pack("<f", float(text))
    except OverflowError:
        return b""


def _string(text: str) -> str:
    return '"' + _TO_ESCAPE.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if "\ud800" <= char <= "\udfff":
        return "\\ufffd"
    return _SHORT.get(char) or f"\\u{ord(char):04x}"
