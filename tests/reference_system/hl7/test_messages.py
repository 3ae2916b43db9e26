"""What is made of blocks and messages: framing, judgement, acknowledgements, files."""

from __future__ import annotations

from itertools import cycle

import hl7
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reference_system.common.mllp import END, START, Block, Framing, code_of, framed, text_of
from reference_system.services.hl7_gateway.acknowledgements import acknowledgement
from reference_system.services.hl7_gateway.batches import read_batch
from reference_system.services.hl7_gateway.messages import header_of, read
from reference_system.services.hl7_sender.feed import Feed, stamped
from reference_system.services.hl7_sender.files import DEFECTS as OF_FILES
from reference_system.services.hl7_sender.files import MESSAGES, REFUSED, night
from reference_system.services.hl7_sender.generator import CONTENT, DEFECTS, FRAMES, REUSED, message, sending
from reference_system.workload.twin import hl7 as twin
from tests.reference_system.hl7.cases import FOLDER, Case, files, listed_cases, needs_data

KINDS = ("ADT^A01", "ADT^A08", "ORU^R01", "ORM^O01", "RDE^O11")
GOOD = message("ORU^R01", "m-1", "pat-1", 1)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_blocks_are_the_same_however_they_are_cut(pieces: list[int], count: int) -> None:
    """Whatever pieces a connection brings, the same blocks come out, and none before its end is there."""
    raw, framing, found = framed(GOOD) * count, Framing(), []
    at, sizes = 0, cycle(pieces)
    while at < len(raw):
        size = next(sizes)
        found += framing.feed(raw[at : at + size])
        at += size
        assert len(found) <= raw[:at].count(END)
    assert found == [Block(GOOD)] * count
    assert framing.pause() is None


@pytest.mark.parametrize(
    ("raw", "blocks", "last"),
    [
        (b"MSH|a\r" + END, [Block(b"MSH|a\r", "a block without its start")], None),
        (START + b"MSH|a\r", [], Block(b"MSH|a\r", "a block without its end")),
        (START + b"MSH|a\r\x1c", [], Block(b"MSH|a\r")),
        (START + b"a\x1cb" + END, [Block(b"a\x1cb")], None),
        (START + b"a" + START + b"b" + END, [Block(b"a", "a block without its end"), Block(b"b")], None),
        (framed(b"a") + b"junk" + framed(b"b"), [Block(b"a"), Block(b"b")], None),
        (b"junk", [], Block(b"junk", "bytes outside of a block")),
        (b"\r\n", [], None),
        (framed(b"  "), [Block(b"  ")], None),
    ],
)
def test_wrong_frames_are_told_as_such(raw: bytes, blocks: list[Block], last: Block | None) -> None:
    """A block that has no start or no end is a block with a fault, never a message."""
    framing = Framing()
    assert framing.feed(raw) == blocks
    assert framing.pause() == last


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_generator_makes_is_accepted(kind: str) -> None:
    """The gateway's own rules find nothing wrong with a generated message, and it changes something."""
    reading = read(message(kind, "m-1", "pat-1", 7))
    assert (reading.code, reading.reason, reading.patient) == ("AA", "", "pat-1")
    assert reading.header.kind == kind
    assert reading.things


def test_the_same_seed_gives_the_same_message() -> None:
    """Apart from its times a message follows from seed and control id."""
    cut = [len(message("RDE^O11", "m-1", "pat-1", seed).split(b"|")) for seed in (3, 3)]
    values = [read(message("RDE^O11", "m-1", "pat-1", 3)).things for _ in range(2)]
    assert cut[0] == cut[1]
    assert values[0] == values[1]


@pytest.mark.parametrize("defect", CONTENT)
def test_a_defect_gets_its_acknowledgement(defect: str) -> None:
    """What the instrument says a defect must get is what the gateway makes of it."""
    what = sending("ORU^R01", "m-1", "pat-1", 1, defect)
    (block,) = Framing().feed(what.raw)
    assert (read(block.content).code,) == what.listed


def test_the_twin_knows_the_same_defects() -> None:
    """Model and instrument agree on every defect: its acknowledgement, and how often the message comes."""
    listed = {name: (code, 1) for name, (_, code) in CONTENT.items()}
    listed |= {name: (code, count) for name, (_, code, count) in FRAMES.items()}
    assert {**listed, REUSED: ("AE", 1)} == twin.DEFECTS
    assert set(DEFECTS) == set(twin.DEFECTS)
    assert MESSAGES == twin.MESSAGES


@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
def test_an_acknowledgement_is_a_message_itself(code: str) -> None:
    """It parses, names the message that it is for, and its reason cannot break a field."""
    ack = acknowledgement(header_of(GOOD), code, "" if code == "AA" else "a|b\rc")
    parsed = hl7.parse(ack.decode())
    assert str(parsed.segment("MSA")[1]) == code == code_of(ack)
    assert str(parsed.segment("MSA")[2]) == "m-1"
    assert text_of(ack) == ("" if code == "AA" else "a b c")


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: GOOD[:120] + tail))
@example(b"BTS")
@example(b"MSH")
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_the_judgement(content: bytes) -> None:
    """Whatever comes gets one of three answers."""
    assert read(content).code in ("AA", "AE", "AR")
    assert code_of(acknowledgement(header_of(content), "AR", "no")) == "AR"
    read_batch(content)


def test_every_cut_message_is_refused_or_whole_segments() -> None:
    """A message that ends inside its header or before its results is never accepted."""
    upto = GOOD.index(b"\rOBX")
    assert {read(GOOD[:length]).code for length in range(upto + 1)} <= {"AR", "AE"}


@pytest.mark.parametrize("defect", OF_FILES)
def test_a_file_is_taken_or_quarantined(defect: str) -> None:
    """The counts of a wrong or cut file do not agree; of the right one every good message is there."""
    files_of = night("hl7-x-1", "pat-1", 1, defect)
    *before, right = files_of.uploads
    found = read_batch(right.content)
    assert found.fault == ""
    assert set(files_of.due.values()) <= set(found.messages)
    assert len(found.messages) == MESSAGES
    for upload in before:
        assert bool(read_batch(upload.content).fault) == (upload.listed == REFUSED)


def test_a_feed_is_played_in_order_with_control_ids_of_its_own() -> None:
    """MSH-10 of every message is the one asked for, nothing else is changed, and none is given where none
    was."""
    assert stamped(GOOD, "other") == GOOD.replace(b"m-1", b"other", 1)
    nameless = CONTENT["no_control"][0](GOOD)
    assert stamped(nameless, "other") == nameless
    assert stamped(b"PID|1\r", "other") == b"PID|1\r"
    assert Feed(()).sending("good", 0, "x") is None


# the real data


@needs_data
def test_every_valid_message_is_accepted_unless_it_is_for_tests() -> None:
    """35 messages as they occur: those with MSH-11 = T are refused for that alone."""
    readings = {path.name: read(path.read_bytes()) for path in files("valid")}
    assert len(readings) == 35
    for name, reading in readings.items():
        expected = "AA" if reading.header.processing == "P" else "AR"
        assert reading.code == expected, (name, reading.reason)


@needs_data
@pytest.mark.parametrize("case", listed_cases() if FOLDER.is_dir() else [], ids=lambda case: case.name)
def test_each_mutation_is_judged_as_listed(case: Case) -> None:
    """The judgement of the content alone; that of a control id used again needs the store."""
    if "reuse" not in case.name and "same-control" not in case.name:
        assert read(case.raw).code in case.listed


@needs_data
def test_files_of_the_night_are_taken_only_where_their_counts_agree() -> None:
    """Of 13 files and 8 bad ones: whole ones are taken, cut and miscounted ones are not."""
    taken = {path.name for path in files("batch") if not read_batch(path.read_bytes()).fault}
    assert taken == {
        "fhs-bhs-nightly-4.hl7",
        "python-hl7-sample_batch.hl7",
        "python-hl7-sample_batch1.hl7",
        "python-hl7-sample_file.hl7",
        "python-hl7-sample_file1.hl7",
        "python-hl7-sample_file2.hl7",
    }
    bad = [path for path in files("malformed") if path.name.startswith(("fhs", "python"))]
    assert len(bad) == 8
    assert all(read_batch(path.read_bytes()).fault for path in bad)
