"""A file of messages: FHS, BHS, the messages, BTS with their number, FTS with the number of batches."""

from __future__ import annotations

from dataclasses import dataclass

from reference_system.services.hl7_gateway.messages import normalised

ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")


@dataclass(frozen=True, slots=True)
class BatchFile:
    """The messages of a file, and why it must not be taken: its own counts say another number, or a part is
    missing. Empty when it may be."""

    messages: tuple[bytes, ...]
    fault: str


def read_batch(content: bytes) -> BatchFile:
    """Whatever it holds; never raises. A batch without trailer, a file without its own, and segments of no
    message are faults."""
    messages: list[bytes] = []
    faults: list[str] = []
    inside, batches, since = {"file": False, "batch": False}, 0, 0
    opened, in_message = False, False
    for segment in filter(None, normalised(content).split(b"\r")):
        name = segment[:3]
        if name == b"MSH":
            messages.append(segment + b"\r")
            since += 1
            in_message = True
        elif name not in ENVELOPE:
            if in_message:
                messages[-1] += segment + b"\r"
            else:
                faults.append(f"the segment {name.decode('latin-1')!r} outside of a message")
        else:
            in_message, opened = False, True
            level = "file" if name[:1] == b"F" else "batch"
            if name[1:] == b"HS":
                if inside[level]:
                    faults.append(f"a second {name.decode()} without the trailer of the first")
                inside[level], since = True, since if level == "file" else 0
                continue
            if not inside[level]:
                faults.append(f"{name.decode()} without its header")
            inside[level] = False
            told, count = _count(segment), since if level == "batch" else batches
            batches += level == "batch"
            if told is not None and told != count and (level == "batch" or batches):
                faults.append(f"{name.decode()}-1 says {told}, found {count}")
    faults += [f"the {level} has no trailer: it is cut" for level, still in inside.items() if still]
    if not messages:
        faults.append("no message")
    if not opened and len(messages) > 1:
        faults.append("several messages without FHS or BHS: nothing says how many there must be")
    return BatchFile(tuple(messages), faults[0] if faults else "")


def _count(segment: bytes) -> int | None:
    """None where the trailer gives no number: the count is optional."""
    fields = segment.split(segment[3:4]) if len(segment) > 3 else []
    text = fields[1].strip() if len(fields) > 1 else b""
    return int(text) if text.isdigit() else None
