"""T8: one effect per key: the first request's fingerprint is kept, a repeat is answered from what was
stored."""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b
from uuid import uuid4

HEADER = "idempotency-key"


class Repeat(Enum):
    """What a second request under a known key is."""

    REPLAY = "the same request: give the stored answer again"
    MISMATCH = "the key was used with another payload: 422"


def fingerprint(*parts: bytes | str) -> str:
    """A digest of what makes a request the same request."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\x00")
    return digest.hexdigest()


def judge(stored: str, offered: str) -> Repeat:
    return Repeat.REPLAY if stored == offered else Repeat.MISMATCH


def guard(enabled: bool, key: str | None) -> str:
    """The value of a row's unique guard column: the key, or a fresh value that never collides when keys are
    off."""
    return key if enabled and key else f"unguarded-{uuid4().hex}"
