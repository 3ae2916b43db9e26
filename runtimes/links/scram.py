"""Logging in to PostgreSQL by SCRAM-SHA-256 (RFC 5802, RFC 7677), as far as a measuring client needs it.

The client proves that it knows the password without sending it. That the server knows it too is not checked:
both ends are ours, and nothing but the time of an answer is wanted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

SASL, SASL_CONTINUE = 10, 11
MECHANISM = b"SCRAM-SHA-256"


class Scram:
    """One login. PostgreSQL takes the user's name from the start of the session."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._first = b"n=,r=" + base64.b64encode(secrets.token_bytes(18))

    def answer(self, message: bytes) -> bytes:
        """What to send for one authentication message of the server, whole and with its head; empty for
        nothing."""
        kind, said = int.from_bytes(message[5:9]), message[9:]
        if kind == SASL:
            hello = b"n,," + self._first
            return _framed(MECHANISM + b"\0" + len(hello).to_bytes(4) + hello)
        return _framed(self._proof(said)) if kind == SASL_CONTINUE else b""

    def _proof(self, said: bytes) -> bytes:
        parts = dict(part.split(b"=", 1) for part in said.split(b","))
        salt, rounds = base64.b64decode(parts[b"s"]), int(parts[b"i"])
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        key = _signed(salted, b"Client Key")
        last = b"c=biws,r=" + parts[b"r"]
        signature = _signed(hashlib.sha256(key).digest(), b",".join((self._first, said, last)))
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return last + b",p=" + base64.b64encode(proof)


def _signed(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _framed(content: bytes) -> bytes:
    return b"p" + (len(content) + 4).to_bytes(4) + content
