"""T25: what is spoken between services: plain text, TLS where it works, or nothing but TLS.

The callee decides. Where TLS is required, a service that asks in plain text is refused, and a caller that
cannot verify the callee (by the instance's own authority, its name, its dates) asks nothing at all. Where it
is only preferred, such a caller goes on in plain text: it is often built so, and gives away what TLS was for.

Users come through the hospital's edge, which is not a part of the system: their requests are plain, and so
are those of operators.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from reference_system.common.config import Certificates, Design
from reference_system.common.switches import Speaking, read_switches

HANDSHAKE = 0x16  # the first byte of a connection that speaks TLS
Mode = Literal["none", "preferred", "required"]


@dataclass(frozen=True, slots=True)
class Speech:
    """How a caller speaks to one callee: with a context TLS, and else plain text; `or_plain` allows that
    after a failed handshake. `name` is what the callee's certificate must name."""

    context: ssl.SSLContext | None = None
    name: str = ""
    or_plain: bool = False


PLAIN = Speech()


def mode_of(design: Design, service: str) -> Mode:
    """What a design wants of a service. Raises ValueError naming the switch."""
    return read_switches(Speaking, design, service).tls if service in design.services else "none"


@dataclass(slots=True)
class Transport:
    """One service's own side of TLS. `hang_up` closes what callers keep open by TLS."""

    certificates: Certificates | None
    mode: Mode = "none"
    expired: bool = False
    hang_up: Callable[[], None] = lambda: None
    _serving: ssl.SSLContext | None = field(default=None, init=False)
    _calling: ssl.SSLContext | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.certificates is not None:
            self._serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            _show(self._serving, self.certificates.own)
            self._calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain, name and dates
            self._calling.load_verify_locations(cadata=self.certificates.authority)

    def check(self, design: Design) -> None:
        """Raises ValueError when a design wants TLS of any service and there is nothing to speak it with."""
        wanted = [name for name in design.services if mode_of(design, name) != "none"]
        if wanted and self.certificates is None:
            raise ValueError(
                f"tls of {wanted[0]} is on; expected certificates in the service's configuration"
            )

    def apply(self, mode: Mode) -> None:
        """Follow a design from now on, with the certificate that is good."""
        self.mode = mode
        self.expire(False)

    @property
    def serving(self) -> ssl.SSLContext | None:
        """What a caller that begins with a handshake is answered by; None: it is not understood."""
        return None if self.mode == "none" else self._serving

    def refuses_plain(self, secure: bool) -> bool:
        """Whether a service's request that came so is not to be answered."""
        return self.mode == "required" and not secure

    def expire(self, expired: bool) -> None:
        """Show the certificate that has expired, or again the one that is good. What is open is closed, as by
        the restart that makes either known."""
        if self._serving is None or self.certificates is None or expired == self.expired:
            return
        self.expired = expired
        _show(self._serving, self.certificates.expired if expired else self.certificates.own)
        self.hang_up()

    def speech(self, design: Design, callee: str, name: str) -> Speech:
        """How to speak to a callee under a design; `name` is that in its certificate."""
        mode = mode_of(design, callee)
        if mode == "none":
            return PLAIN
        return Speech(self._calling, name, or_plain=mode == "preferred")


def _show(context: ssl.SSLContext, pem: str) -> None:
    """Load a certificate with its key. OpenSSL reads files only: this one is in memory, and nowhere else."""
    with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "w") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
