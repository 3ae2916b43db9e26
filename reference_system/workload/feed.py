"""HL7 v2 messages of a folder: `valid/` as they must be, `malformed/` with the acknowledgement that each must
get in its `manifest.json`. Bytes stay as they are."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment.errors import ConfigError, Location, Problem
from experiment.regular_files import TooLarge, read_regular

VALID, MALFORMED, MANIFEST = "valid", "malformed", "manifest.json"
GOOD, ODD = "good", "odd"
ENDINGS = (".hl7", ".mllp")
MOST_BYTES = 1_000_000  # of one message
CODE = re.compile(r"\b(?:AA|AE|AR|CR)\b")
REUSE = re.compile(r"\breuse\b")


def read_messages(folder: Path) -> list[dict[str, Any]]:
    """`{name, where, raw, listed, first}` of each, by name. `where` is "good" or "odd", `raw` is Base64,
    `listed` are the acknowledgements that it may get (none where nothing is listed), `first` goes out before
    it under the same control id. Raises ConfigError."""
    if not (folder / VALID).is_dir():
        expected = f"a folder with {VALID}/ and perhaps {MALFORMED}/"
        raise ConfigError([Problem(Location(str(folder)), "no such folder of messages", expected)])
    valid = []
    for path in _files(folder / VALID):
        taken = _for_production(_bytes(path))
        valid.append(_entry(path, GOOD if taken else ODD, ["AA"] if taken else ["AR"]))
    if not valid:
        raise ConfigError([Problem(Location(str(folder / VALID)), "no message", "files that end with .hl7")])
    listed = _manifest(folder / MALFORMED / MANIFEST)
    malformed = []
    for path in _files(folder / MALFORMED):
        told = listed.get(path.name)
        if told is None:
            continue  # files of messages, which no connection carries
        entry = _entry(path, ODD, sorted(set(CODE.findall(told))))
        if REUSE.search(told):
            entry["first"] = _original(path, valid)
        malformed.append(entry)
    return valid + malformed


def _entry(path: Path, where: str, listed: list[str]) -> dict[str, Any]:
    raw = b64encode(_bytes(path)).decode()
    return {"name": path.name, "where": where, "raw": raw, "listed": listed, "first": None}


def _for_production(raw: bytes) -> bool:
    """MSH-11 is P: a message for tests must be refused, however right it is."""
    head = raw[max(0, raw.find(b"MSH")) :].split(b"\r", 1)[0].split(b"\n", 1)[0]
    fields = head.split(head[3:4]) if len(head) > 3 else []
    return len(fields) > 10 and fields[10].strip() == b"P"


def _original(path: Path, valid: list[dict[str, Any]]) -> str | None:
    """The valid message with the same MSH-10."""
    control = _control(_bytes(path))
    for entry in valid:
        if _control(b64decode(entry["raw"])) == control:
            return str(entry["raw"])
    return None


def _control(raw: bytes) -> bytes:
    fields = raw[max(0, raw.find(b"MSH")) :].split(b"|", 10)
    return fields[9] if len(fields) > 9 else b""


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES)
    except TooLarge:
        found, expected = "a message that is too large", f"{MOST_BYTES:,} bytes at most"
    except OSError as error:
        found, expected = f"a file that cannot be read: {error.strerror}", "a message"
    raise ConfigError([Problem(Location(str(path)), found, expected)])


def _manifest(path: Path) -> dict[str, str]:
    """What each file must get, in words; empty for one of which nothing is listed."""
    if not path.is_file():
        return {}
    try:
        entries = json.loads(_bytes(path))
        return {str(entry["file"]): str(entry.get("expect_ack", "")) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        found, expected = f"no manifest ({type(error).__name__})", "a list of {file, expect_ack}"
        raise ConfigError([Problem(Location(str(path)), found, expected)]) from None
