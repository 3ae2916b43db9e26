"""The real HL7 messages, where CODEBLUE_DATA leads to them, and how a test talks MLLP."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reference_system.common.mllp import Framing, code_of, framed

DATA = os.environ.get("CODEBLUE_DATA", "")
FOLDER = Path(DATA) / "hl7v2"
needs_data = pytest.mark.skipif(
    not DATA or not FOLDER.is_dir(), reason="CODEBLUE_DATA names no folder with hl7v2"
)
CODE = re.compile(r"\b(?:AA|AE|AR|CR)\b")


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and the acknowledgements that it may get."""

    name: str
    raw: bytes
    listed: frozenset[str]


def listed_cases() -> Iterator[Case]:
    """The mutations of the manifest with what each must get."""
    for entry in json.loads((FOLDER / "malformed" / "manifest.json").read_text()):
        if entry.get("expect_ack"):
            raw = (FOLDER / "malformed" / entry["file"]).read_bytes()
            yield Case(entry["file"], raw, frozenset(CODE.findall(entry["expect_ack"])))


def files(*folders: str, ending: str = ".hl7") -> list[Path]:
    return [path for folder in folders for path in sorted((FOLDER / folder).glob(f"*{ending}"))]


class Mllp:
    """A plain sender: bytes go out as they are, acknowledgements come back."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5)
        self._framing = Framing()
        self._came: list[bytes] = []

    def __enter__(self) -> Mllp:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def ack(self, within: float = 5.0) -> bytes | None:
        """The next one; None when the other side closes. Raises TimeoutError."""
        end = time.monotonic() + within
        while not self._came:
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            data = self._socket.recv(65_536)
            if not data:
                return None
            self._came += [block.content for block in self._framing.feed(data)]
        return self._came.pop(0)

    def code(self, raw: bytes) -> str:
        """The acknowledgement of one message, as MSA-1 says it."""
        self.send(framed(raw))
        return code_of(self.ack() or b"")

    def cut(self) -> None:
        """Close with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()
