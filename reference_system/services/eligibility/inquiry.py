"""What is asked of the payer, and what counts as its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The 270 of one encounter."""

    encounter: str
    coverage: str
    patient: str


class Answer(msgspec.Struct, frozen=True):
    """A 271. Any other state than these two is no answer: cover is never invented."""

    status: Literal["in-force", "not-covered"]
    receipt: str


class NoAnswer(Exception):
    """The payer said something that is no 271."""


_decode = msgspec.json.Decoder(Answer).decode


def read_answer(body: bytes) -> Answer:
    """Raises NoAnswer with what was found."""
    try:
        return _decode(body)
    except ValueError as error:
        raise NoAnswer(f"the payer's answer is no 271: {error}") from error
