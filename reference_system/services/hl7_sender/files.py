"""Files of messages as they come at night: right, with a wrong count, cut, sent twice, with one bad
message."""

from __future__ import annotations

from dataclasses import dataclass

from reference_system.services.hl7_sender.generator import CONTENT, message

MESSAGES = 5
TAKEN, REFUSED = range(200, 300), range(422, 423)
DEFECTS = ("", "wrong_count", "cut", "twice", "bad_message")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as it goes out, and which statuses may come back."""

    content: bytes
    listed: range


@dataclass(frozen=True, slots=True)
class Night:
    """What a file comes to: one upload after the other, and the good messages of the last one, by control
    id."""

    uploads: tuple[Upload, ...]
    due: dict[str, bytes]


def night(key: str, patient: str, seed: int, defect: str) -> Night:
    """A wrong file is followed by the right one: somebody has seen to it. Raises KeyError for an unknown
    defect."""
    if defect not in DEFECTS:
        raise KeyError(defect)
    due = {f"{key}-{n}": message("ORU^R01", f"{key}-{n}", patient, seed) for n in range(MESSAGES)}
    messages = list(due.values())
    if defect == "bad_message":
        last = f"{key}-{MESSAGES - 1}"
        messages[-1] = CONTENT["wrong_type"][0](due.pop(last))
    right = Upload(batch_file(messages, key), TAKEN)
    before = {
        "wrong_count": Upload(batch_file(messages, key, MESSAGES + 1), REFUSED),
        "cut": Upload(batch_file(messages, key)[: -len(messages[-1]) // 2], REFUSED),
        "twice": right,
    }.get(defect)
    return Night((before, right) if before is not None else (right,), due)


def batch_file(messages: list[bytes], number: str, told: int | None = None) -> bytes:
    """A file of these messages, with a count of its own where `told` gives one."""
    head = f"FHS|^~\\&|LIS|LAB|GATEWAY|CODEBLUE|||nightly.hl7||{number}\rBHS|^~\\&|LIS|LAB|GATEWAY|CODEBLUE\r"
    tail = f"BTS|{len(messages) if told is None else told}\rFTS|1\r"
    return head.encode() + b"".join(messages) + tail.encode()
