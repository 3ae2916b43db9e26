"""What the gateway makes of the bytes of a message: its header, whether it may be applied, what it changes.

`hl7` parses. It takes text with LF alone for one segment and checks nothing else, so line ends and a byte
order mark are dealt with before, and everything that a message must have stands here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import hl7

BOM = b"\xef\xbb\xbf"
PRODUCTION = "P"
VERSION = re.compile(r"2\.(?:[1-8]|3\.1|5\.1|7\.1|8\.1|8\.2)(?:\^.*)?")
# Segments that each kind must have, by its event or by its type alone.
REQUIRED: dict[str, tuple[str, ...]] = {
    "ADT": ("PID",),
    "ADT^A40": ("PID", "MRG"),
    "ORU": ("PID", "OBR", "OBX"),
    "ORM": ("PID", "ORC"),
    "OML": ("PID", "ORC"),
    "RDE": ("PID", "ORC", "RXE"),
    "OMP": ("PID", "ORC", "RXO"),
    "RDS": ("PID", "ORC", "RXD"),
    "DFT": ("PID", "FT1"),
    "MDM": ("PID", "TXA"),
    "SIU": ("SCH",),
}
CHARSETS = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "8859/1": "latin-1",
    "8859/15": "iso8859-15",
}
TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)?(\d\d)?(?:\.\d{1,4})?)?([+-]\d{4})?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
CONTEXT = b"ZTC"  # a local segment, which every receiver that does not know it must pass over


@dataclass(frozen=True, slots=True)
class Header:
    """What MSH says, with the delimiters of the message's own."""

    sender: str = ""  # MSH-3 and MSH-4
    application: str = ""
    facility: str = ""
    time: str = ""
    kind: str = ""  # ORU^R01
    control: str = ""
    processing: str = ""
    version: str = ""
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """One state that a message sets: a result, an order, a dose, where a patient is."""

    kind: str
    key: str
    status: str
    value: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as far as it could be read. `code` is the acknowledgement that it gets: AA, AE for its
    content, AR for what its header says."""

    header: Header
    code: str = "AA"
    reason: str = ""
    patient: str = ""
    sent_at: float = 0.0  # unix seconds; 0: not told
    things: tuple[Thing, ...] = ()
    segments: tuple[hl7.Segment, ...] = ()


class _Unfit(Exception):
    """The content cannot be applied; the text says why."""


def fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def normalised(content: bytes) -> bytes:
    """Without a byte order mark, segments ended by CR alone."""
    return content.removeprefix(BOM).replace(b"\r\n", b"\r").replace(b"\n", b"\r").lstrip(b"\r \t")


def header_of(content: bytes) -> Header | None:
    """From the first segment; None where there is no MSH. Nothing else of the message is looked at."""
    text = normalised(content)[:4096].decode("latin-1").replace("\0", "").split("\r", 1)[0]
    if not text.startswith("MSH") or len(text) < 8 or text[3].isalnum():
        return None
    fields = text.split(text[3])
    component = text[4]
    fields += [""] * (19 - len(fields))

    def first(n: int) -> str:
        return fields[n].split(component)[0].strip()

    kind = "^".join(fields[8].split(component)[:2]).strip()
    application, facility = first(2), first(3)
    return Header(
        "/".join(part for part in (application, facility) if part)[:80],
        fields[2],
        fields[3],
        first(6),
        kind[:40],
        first(9)[:199],
        first(10),
        first(11),
        first(17).split("~")[0],
    )


def read(content: bytes) -> Reading:
    """The whole judgement of a message. Never raises for what came from outside."""
    header = header_of(content)
    if header is None:
        return Reading(Header(), "AR", "no MSH segment at the start")
    if refusal := _refusal(header):
        return Reading(header, "AR", refusal)
    try:
        return _content(header, normalised(content))
    except _Unfit as unfit:
        return Reading(header, "AE", str(unfit))
    except (hl7.HL7Exception, LookupError, ValueError) as error:
        return Reading(header, "AE", f"illegible: {type(error).__name__}")


def _refusal(header: Header) -> str:
    if not header.control:
        return "MSH-10 is empty: a repeat could not be told from a new message"
    if not VERSION.fullmatch(header.version):
        return f"MSH-12 {header.version!r}; expected a version 2.x"
    if _required(header.kind) is None:
        return f"MSH-9 {header.kind!r}; expected one of {', '.join(sorted(REQUIRED))}"
    if header.processing != PRODUCTION:
        return f"MSH-11 {header.processing!r}; expected P, since what arrives here is applied"
    return ""


def _required(kind: str) -> tuple[str, ...] | None:
    return REQUIRED.get(kind, REQUIRED.get(kind.partition("^")[0]))


def _content(header: Header, raw: bytes) -> Reading:
    charset = CHARSETS.get(header.charset)
    if charset is None:
        raise _Unfit(f"MSH-18 {header.charset!r}; expected one of {', '.join(filter(None, CHARSETS))}")
    try:
        text = raw.decode(charset)
    except UnicodeDecodeError as error:
        raise _Unfit(f"byte {error.start} is not {charset}, as MSH-18 says") from None
    if CONTROL.search(text):
        raise _Unfit("a control character inside the message")
    segments = list(hl7.parse(text))
    names = {field(segment, 0) for segment in segments}
    if missing := [name for name in _required(header.kind) or () if name not in names]:
        raise _Unfit(f"no segment {missing[0]}")
    sent_at = _time(header.time, "MSH-7")
    patient = next((first(segment, 3) for segment in segments if field(segment, 0) == "PID"), "")
    if "PID" in (_required(header.kind) or ()) and not patient:
        patient = next((first(segment, 2) for segment in segments if field(segment, 0) == "PID"), "")
    things = {(one.kind, one.key): one for one in _things(header.kind, segments)}
    return Reading(header, "AA", "", patient[:80], sent_at, tuple(things.values()), tuple(segments))


def _things(kind: str, segments: Iterable[hl7.Segment]) -> Iterator[Thing]:
    of, event = kind.partition("^")[::2]
    order, dose = "", ""
    for segment in segments:
        name = field(segment, 0)
        if name == "PID" and of == "ADT":
            yield Thing("patient", first(segment, 3), event, "")
        elif name == "ORC":
            order = first(segment, 2) or first(segment, 3)
            if of in ("ORM", "OML"):
                yield Thing("order", order, first(segment, 1), "")
        elif name == "RXE" and of == "RDE":
            dose = first(segment, 3)
            yield Thing("dose", order, "", dose)
        elif name == "OBR":
            order = first(segment, 3) or first(segment, 2) or order
        elif name == "OBX":
            _check_observation(segment, strict=of == "ORU")
            if of == "ORU":
                status, value = first(segment, 11), field(segment, 5)
                yield Thing("result", f"{order}/{first(segment, 3)}"[:200], status, value[:200])


def _check_observation(segment: hl7.Segment, *, strict: bool) -> None:
    """OBX-2 says what OBX-5 is, OBX-11 what it is worth; OBX-12 and OBX-14 are times. A separator that was
    not escaped moves text to where a time must stand."""
    kind, value = first(segment, 2), field(segment, 5)
    if kind == "NM":
        for one in filter(None, value.split("~")):
            try:
                float(one)
            except ValueError:
                raise _Unfit("OBX-5 is not a number, as OBX-2 says") from None
    if strict and not first(segment, 3):
        raise _Unfit("OBX-3 is empty: nothing says what was observed")
    if strict and value and not first(segment, 11):
        raise _Unfit("OBX-11 is empty: the segment is incomplete")
    for number in (12, 14):
        _time(first(segment, number), f"OBX-{number}")


def field(segment: hl7.Segment, number: int) -> str:
    """All of a field, with the delimiters of the message; empty where there is none."""
    return str(segment[number]) if number < len(segment) else ""


def first(segment: hl7.Segment, number: int) -> str:
    """The first component of the first repetition."""
    field = segment[number] if number < len(segment) else ""
    while not isinstance(field, str):
        field = field[0] if len(field) else ""
    return field.strip()


def part(segment: hl7.Segment, number: int, which: int) -> str:
    """A component, counted from 1, of the first repetition; empty where there is none."""
    repetition = segment[number][0] if number < len(segment) and len(segment[number]) else ""
    if isinstance(repetition, str):
        return repetition.strip() if which == 1 else ""
    found = repetition[which - 1] if which <= len(repetition) else ""
    while not isinstance(found, str):
        found = found[0] if len(found) else ""
    return found.strip()


def context_of(content: bytes) -> str | None:
    """The trace in which a message was sent: what the local segment ZTC says, in the form of W3C's
    traceparent. A repeat says the same, since its bytes are the same."""
    text = normalised(content)
    separator = text[3:4]
    start = text.find(b"\r" + CONTEXT + separator) if separator else -1
    if start < 0:
        return None
    segment = text[start + 5 :].split(b"\r", 1)[0]
    return segment.split(separator, 1)[0].decode("latin-1").strip()


def _time(text: str, place: str) -> float:
    """Unix seconds of an HL7 time; a time without a zone is taken for UTC. 0.0 for none. Raises _Unfit."""
    if not text:
        return 0.0
    found = TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        *numbers, zone = found.groups()
        year, month, day, hour, minute, second = (int(part or 0) for part in numbers)
        offset = UTC
        if zone:
            minutes = int(zone[1:3]) * 60 + int(zone[3:])
            offset = timezone(timedelta(minutes=minutes if zone[0] == "+" else -minutes))
        moment = datetime(year, month or 1, day or 1, hour, minute, min(second, 59), tzinfo=offset)
    except ValueError:
        raise _Unfit(f"{place} is not a time") from None
    return max(0.0, moment.timestamp())
