"""The acknowledgement of a message, as bytes of HL7 v2."""

from __future__ import annotations

import time

from reference_system.services.hl7_gateway.messages import Header, fingerprint

ERRORS = {"AE": "207^Application internal error^HL70357", "AR": "200^Unsupported message type^HL70357"}


def acknowledgement(header: Header | None, code: str, reason: str = "") -> bytes:
    """MSH and MSA, and of a refusal ERR with its reason. Who sent the message is who gets it."""
    to = header or Header()
    event = to.kind.partition("^")[2]
    own = f"A{fingerprint(f'{to.sender}/{to.control}/{code}/{reason}'.encode())}"
    at = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime())
    kind = f"ACK^{event}^ACK" if event else "ACK"
    lines = [
        f"MSH|^~\\&|GATEWAY|CODEBLUE|{_kept(to.application)}|{_kept(to.facility)}|{at}||{kind}|{own}|P|2.5",
        f"MSA|{code}|{_kept(to.control)}",
    ]
    if reason:
        lines.append(f"ERR|||{ERRORS.get(code, '')}|E||||{_kept(reason)}")
    return ("\r".join(lines) + "\r").encode()


def _kept(text: str) -> str:
    """Text of another message with nothing in it that would end a field here."""
    return text.replace("\\", " ").replace("|", " ").replace("\r", " ")
