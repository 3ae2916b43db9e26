"""Certificates of an instance: an authority of its own, and what each service shows of itself.

They are made anew for each instance and end with it. Beside the good certificate a service gets one that has
expired, to show on request.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import trustme

BEGAN, EXPIRED = datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1)


def name_in_certificate(service: str) -> str:
    """The name that a service is known by: as in system.yaml, with the characters of a host's name."""
    return service.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a service needs to speak TLS, as PEM: its own certificates have their keys with them."""

    authority: str
    own: str
    expired: str


class Authority:
    """Signs for the services of one instance."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="Code Blue", organization_unit_name="one instance")
        self._made: dict[str, Shown] = {}

    def of(self, service: str) -> Shown:
        """The certificates of a service; the same whenever it is asked for."""
        if service not in self._made:
            name = name_in_certificate(service)
            own = self._authority.issue_cert(name)
            expired = self._authority.issue_cert(name, not_before=BEGAN, not_after=EXPIRED)
            authority = self._authority.cert_pem.bytes().decode()
            self._made[service] = Shown(authority, _pem(own), _pem(expired))
        return self._made[service]


def _pem(leaf: trustme.LeafCert) -> str:
    return leaf.private_key_and_cert_chain_pem.bytes().decode()
