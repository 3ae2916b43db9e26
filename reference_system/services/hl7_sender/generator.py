"""HL7 v2 as a hospital's old systems send it: five kinds of messages, and what goes wrong with them. The same
seed and control id give the same message, but for its time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reference_system.common.mllp import END, FS, START, framed

SENDERS = {"ADT": "ADT1|WARD", "ORU": "LIS|LAB", "ORM": "OE|CLINIC", "RDE": "PHIS|PHARM"}
TESTS = (
    ("2823-3^Potassium^LN", "mmol/L", 3.5, 5.1, 1),
    ("2345-7^Glucose^LN", "mg/dL", 70, 105, 0),
    ("718-7^Hemoglobin^LN", "g/dL", 12, 17, 1),
    ("2160-0^Creatinine^LN", "mg/dL", 0.6, 1.3, 2),
)
DRUGS = ("Metformin", "Lisinopril", "Amlodipine", "Simvastatin")


@dataclass(frozen=True, slots=True)
class Sending:
    """The bytes that go out, which acknowledgements may come back, and how many of them."""

    raw: bytes
    listed: tuple[str, ...]  # empty: none is listed
    answers: int = 1
    first: bytes | None = None  # what goes out before it, under the same control id
    contents: tuple[bytes, ...] = ()  # of the blocks, as they are to be applied
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """What PID says of a patient."""

    family: str = "TEST"
    given: str = "PATIENT"
    born: str = "19700101"
    sex: str = "U"


def who_is(patient: dict[str, Any]) -> Who:
    """A Patient of FHIR as PID says it; what is not known there is as in a message for tests."""
    name, sexes = (patient.get("name") or [{}])[0], {"female": "F", "male": "M", "other": "O"}
    given = (name.get("given") or [""])[0]
    born = str(patient.get("birthDate") or "").replace("-", "")
    return Who(str(name.get("family") or ""), str(given), born, sexes.get(str(patient.get("gender")), "U"))


def message(kind: str, control: str, patient: str, seed: int, who: Who = Who(), context: str = "") -> bytes:
    """One message of ADT^A01, ADT^A08, ORU^R01, ORM^O01 or RDE^O11; its order is called as its control id.
    `context` is the trace in which it is sent: a local segment, since MSH has no field for it that receivers
    pass over."""
    rng = random.Random(f"{seed}/{control}")
    at = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime())
    of, event = kind.split("^")
    structure = f"{of}_{'A01' if of == 'ADT' else event}"
    lines = [
        f"MSH|^~\\&|{SENDERS[of]}|GATEWAY|CODEBLUE|{at}||{of}^{event}^{structure}|{control}"
        "|P|2.5.1|||AL|NE||UNICODE UTF-8",
        f"PID|1||{patient}^^^HOSP^MR||{who.family}^{who.given}||{who.born}|{who.sex}",
    ]
    if of == "ADT":
        lines.insert(1, f"EVN|{event}|{at}")
        lines.append(f"PV1|1|I|{rng.choice('ABCD')}^{rng.randint(100, 399)}^{rng.randint(1, 4)}")
    elif of == "ORU":
        lines.append(f"OBR|1|{control}|{control}|24331-1^Panel^LN|||{at}|||||||||||||||{at}|||F")
        for number, (code, unit, low, high, digits) in enumerate(rng.sample(TESTS, rng.randint(1, 4)), 1):
            value = round(rng.uniform(low * 0.8, high * 1.3), digits)
            flag = "H" if value > high else "L" if value < low else "N"
            lines.append(f"OBX|{number}|NM|{code}||{value}|{unit}|{low}-{high}|{flag}|||F|||{at}")
    elif of == "ORM":
        lines += [f"ORC|NW|{control}", f"OBR|1|{control}||24331-1^Panel^LN|||{at}"]
    else:
        dose = rng.choice((2.5, 5, 10, 20))
        lines += [f"ORC|NW|{control}", f"RXE|^^^{at}|{rng.choice(DRUGS)}|{dose}||MG|TAB"]
    if context:
        lines.append(f"ZTC|{context}")
    return ("\r".join(lines) + "\r").encode()


def _fields(raw: bytes, segment: bytes, number: int, value: bytes) -> bytes:
    """The message with another value in one field of a segment."""
    lines = raw.split(b"\r")
    for at, line in enumerate(lines):
        if line.startswith(segment + b"|"):
            fields = line.split(b"|")
            fields[number - (segment == b"MSH")] = value
            lines[at] = b"|".join(fields)
            break
    return b"\r".join(lines)


def _without(raw: bytes, segment: bytes) -> bytes:
    return b"\r".join(line for line in raw.split(b"\r") if not line.startswith(segment + b"|"))


def _own_delimiters(raw: bytes) -> bytes:
    return raw.replace(b"^~\\&", b"@!%$").replace(b"|", b"#").replace(b"^", b"@")


Change = Callable[[bytes], bytes]
# What a message can come with: how its content is changed, and the acknowledgement that it must get.
CONTENT: dict[str, tuple[Change, str]] = {
    "lf": (lambda raw: raw.replace(b"\r", b"\n"), "AA"),
    "crlf": (lambda raw: raw.replace(b"\r", b"\r\n"), "AA"),
    "bom": (lambda raw: b"\xef\xbb\xbf" + raw, "AA"),
    "local_segment": (lambda raw: raw + b"ZLB|1|LOCAL\r", "AA"),
    "own_delimiters": (_own_delimiters, "AA"),
    "no_header": (lambda raw: _without(raw, b"MSH"), "AR"),
    "no_control": (lambda raw: _fields(raw, b"MSH", 10, b""), "AR"),
    "unknown_version": (lambda raw: _fields(raw, b"MSH", 12, b"9.9"), "AR"),
    "unknown_type": (lambda raw: _fields(raw, b"MSH", 9, b"ZZZ^Z99"), "AR"),
    "for_tests": (lambda raw: _fields(raw, b"MSH", 11, b"T"), "AR"),
    "no_patient": (lambda raw: _without(raw, b"PID"), "AE"),
    "cut": (lambda raw: raw[: raw.index(b"\rOBX") - 20], "AE"),
    "no_time": (lambda raw: _fields(raw, b"MSH", 7, b"2026-13-45T99:99"), "AE"),
    "wrong_charset": (lambda raw: raw.replace(b"TEST^", b"T\xc4ST^"), "AE"),
    "wrong_type": (lambda raw: _fields(raw, b"OBX", 5, b"NOT-A-NUMBER"), "AE"),
}
# What a block can come with: its bytes, the acknowledgement, and how many there must be.
FRAMES: dict[str, tuple[Change, str, int]] = {
    "no_start": (lambda raw: raw + END, "AR", 1),
    "no_end": (lambda raw: START + raw, "AR", 1),
    "no_carriage_return": (lambda raw: START + raw + FS, "AA", 1),
    "twice_in_one": (lambda raw: framed(raw) * 2, "AA", 2),
    "junk_between": (lambda raw: framed(raw) + b"\r\nJUNK" + framed(raw), "AA", 2),
}
REUSED = "reused_control"
DEFECTS = (*CONTENT, *FRAMES, REUSED)


def sending(
    kind: str, control: str, patient: str, seed: int, defect: str = "", *, who: Who = Who(), context: str = ""
) -> Sending:
    """A message as it goes out; with a defect it is an ORU^R01. Only ADT says who a patient is. Raises
    KeyError for an unknown defect."""
    if not defect:
        raw = message(kind, control, patient, seed, who if kind.startswith("ADT") else Who(), context)
        return Sending(framed(raw), ("AA",), contents=(raw,), kind=kind)
    kind = "ORU^R01"
    raw = message(kind, control, patient, seed, context=context)
    if defect == REUSED:
        other = _fields(raw, b"PID", 8, b"O")
        return Sending(framed(other), ("AE",), first=framed(raw), contents=(raw, other), kind=kind)
    if defect in FRAMES:
        wrap, code, answers = FRAMES[defect]
        return Sending(wrap(raw), (code,), answers, contents=(raw,), kind=kind)
    change, code = CONTENT[defect]
    return Sending(framed(change(raw)), (code,), contents=(change(raw),), kind=kind)
