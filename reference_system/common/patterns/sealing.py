"""Encryption at rest: what identifies a patient leaves the process for the database only in a sealed form.

AES-256-GCM with a key derived from the service's own secret, which stands in its configuration and not in
the database. Rows written with and without the pattern can be read side by side.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MARK = b"\x01"  # no JSON text begins so
TEXT_MARK = "sealed:"
NONCE_BYTES = 12


class Sealer:
    """Seals values of one service. `apply` decides about new ones; sealed ones are always opened."""

    def __init__(self, secret: str, service: str) -> None:
        self._secret = secret
        self._key = hmac.new(secret.encode(), f"at rest/{service}".encode(), hashlib.sha256).digest()
        self._cipher: AESGCM | None = None
        self.enabled = False

    def apply(self, enabled: bool) -> None:
        """Raises ValueError where there is no secret to make a key of."""
        if enabled and not self._secret:
            raise ValueError("encryption at rest is on; expected a secret in the service's configuration")
        self.enabled = enabled

    def seal(self, plain: bytes) -> bytes:
        if not self.enabled:
            return plain
        nonce = os.urandom(NONCE_BYTES)
        return MARK + nonce + self._aead().encrypt(nonce, plain, None)

    def open(self, kept: bytes) -> bytes:
        """Raises cryptography's InvalidTag for what was changed, or sealed with another key."""
        if not kept.startswith(MARK):
            return kept
        body = kept[len(MARK) :]
        return self._aead().decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], None)

    def seal_text(self, plain: str | None) -> str | None:
        """For columns of text."""
        if plain is None or not self.enabled:
            return plain
        return TEXT_MARK + base64.b64encode(self.seal(plain.encode())).decode()

    def open_text(self, kept: str | None) -> str | None:
        if kept is None or not kept.startswith(TEXT_MARK):
            return kept
        return self.open(base64.b64decode(kept[len(TEXT_MARK) :])).decode()

    def _aead(self) -> AESGCM:
        """Made when it is first needed: the library costs a service several MB."""
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self._key)
        return self._cipher
