"""The gateway on a real database: acknowledgements, duplicates, dead letters, files, what a cut leaves."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reference_system.common.mllp import END, START, code_of, framed
from reference_system.services.hl7_gateway.messages import fingerprint
from reference_system.services.hl7_sender.files import night
from reference_system.services.hl7_sender.generator import CONTENT, DEFECTS, message
from tests.reference_system.cluster import OPTIONAL, Answer, Cluster, wait_for
from tests.reference_system.designs import with_service
from tests.reference_system.hl7.cases import FOLDER, Mllp, files, listed_cases, needs_data

pytestmark = pytest.mark.live


@pytest.fixture
def system(cluster: Cluster) -> Cluster:
    cluster.heal()
    cluster.reset(cluster.design("resilient"))
    return cluster


def connected(system: Cluster) -> Mllp:
    return Mllp(system.ports["hl7_gateway"])


def outcomes(system: Cluster) -> Counter[str]:
    """How many of each; their sum is what was received."""
    found = Counter(row["status"] for row in system.records("hl7_gateway", "hl7_outcome"))
    assert found.total() == len(system.records("hl7_gateway", "hl7_received"))
    return found


def result(system: Cluster, order: str) -> Answer:
    return system.call("hl7_gateway", "GET", f"/results/{order}")


def send(system: Cluster, path: str, **order: Any) -> Answer:
    return system.call("hl7_sender", "POST", path, {"patient": "pat-1", **order}, timeout=20)


def test_a_repeat_gets_the_same_acknowledgement_and_changes_nothing(system: Cluster) -> None:
    """The same bytes under the same control id: the very same acknowledgement. Other bytes: AE."""
    raw = message("ORU^R01", "m-1", "pat-1", 1)
    with connected(system) as line:
        line.send(framed(raw) * 2)
        assert line.ack() == line.ack() is not None
        assert line.code(raw.replace(b"||U", b"||O")) == "AE"
    assert outcomes(system) == {"applied": 1, "duplicate": 1, "dead-lettered": 1}
    assert len(system.records("hl7_gateway", "hl7_message")) == 1


def test_every_message_under_a_cut_is_whole_or_nothing(system: Cluster) -> None:
    """A connection that is cut after any byte of a block leaves nothing applied."""
    raw = framed(message("ORU^R01", "m-cut", "pat-1", 1))
    for at in (1, 40, len(raw) // 2, len(raw) - 3, len(raw) - 2):
        line = connected(system)
        line.send(raw[:at])
        time.sleep(0.05)
        line.cut()
    wait_for("cut blocks", lambda: len(system.records("hl7_gateway", "hl7_received")) >= 4)
    assert set(outcomes(system)) == {"rejected"}
    with connected(system) as line:
        for byte in raw[:-2]:
            line.send(bytes([byte]))
        line.send(raw[-2:])
        assert code_of(line.ack() or b"") == "AA"
    assert outcomes(system)["applied"] == 1


def test_acknowledged_before_the_end_is_applied_in_part(system: Cluster) -> None:
    """On receipt the header is enough for AA: what was cut behind it is applied as if it were whole."""
    system.reset(system.design("fragile"))
    raw = message("ADT^A01", "m-half", "pat-1", 1)
    line = connected(system)
    line.send(START + raw[:-5])
    assert code_of(line.ack() or b"") == "AA"
    line.cut()
    rows = wait_for("application", lambda: system.records("hl7_gateway", "hl7_message"))
    assert [(row["key"], row["value"]) for row in rows] == [("m-half", fingerprint(raw[:-5]))]


def test_a_connection_of_the_run_before_is_closed(system: Cluster) -> None:
    """It would go on by the design of that run: on receipt, where the next one stores first."""
    system.reset(system.design("fragile"))
    with connected(system) as line:
        assert line.code(message("ADT^A01", "m-1", "pat-1", 1)) == "AA"
        system.reset(system.design("resilient"))
        assert line.ack() is None
    assert outcomes(system) == {}


def test_blocks_without_an_end_are_answered_after_a_pause(system: Cluster) -> None:
    """Nobody waits for longer than 5 s: AR, and the connection closes."""
    with connected(system) as line:
        began = time.monotonic()
        line.send(START + message("ORU^R01", "m-1", "pat-1", 1))
        assert code_of(line.ack() or b"") == "AR"
        assert line.ack() is None
        assert time.monotonic() - began < 5


def test_an_empty_block_is_a_sign_of_life(system: Cluster) -> None:
    """It is answered and leaves nothing, also among many and one byte after the other."""
    with connected(system) as line:
        line.send(framed(b"") + framed(b" " * 5000))
        assert code_of(line.ack() or b"") == code_of(line.ack() or b"") == "AA"
    assert outcomes(system) == {}


def test_a_dead_letter_is_applied_once_it_is_put_right(system: Cluster) -> None:
    """It is kept with its reason; a replay as it is fails again, one with the right content applies it."""
    raw = message("ORU^R01", "m-1", "pat-1", 1)
    with connected(system) as line:
        assert line.code(CONTENT["wrong_type"][0](raw)) == "AE"
    (letter,) = system.call("hl7_gateway", "GET", "/dead-letters").body["dead_letters"]
    assert letter["reason"] == "OBX-5 is not a number, as OBX-2 says"
    path = f"/dead-letters/{letter['id']}/replay"
    assert system.call("hl7_gateway", "POST", path, b"").status == 422
    other = message("ORU^R01", "m-2", "pat-1", 1)
    assert system.call("hl7_gateway", "POST", path, other).status == 422
    assert result(system, "m-1").status == 404
    assert system.call("hl7_gateway", "POST", path, raw).status == 200
    assert result(system, "m-1").status == 200
    assert system.call("hl7_gateway", "POST", path, raw).status == 404
    assert outcomes(system) == {"applied": 1}


def test_a_correction_wins_and_an_older_message_does_not(system: Cluster) -> None:
    """By MSH-7, and of one time a correction before the final result that it corrects."""
    raw = message("ORU^R01", "m-1", "pat-1", 1)
    when = raw.split(b"|")[6]

    def version(control: str, value: bytes, status: bytes, time_: bytes) -> bytes:
        lines = raw.replace(b"|m-1|P|", f"|{control}|P|".encode()).replace(when, time_).split(b"\r")
        fields = lines[3].split(b"|")
        fields[5], fields[11] = value, status
        return b"\r".join([*lines[:3], b"|".join(fields), b""])

    with connected(system) as line:
        assert line.code(version("m-1", b"4.0", b"F", b"20260101120000+0000")) == "AA"
        assert line.code(version("m-2", b"5.0", b"C", b"20260101120000+0000")) == "AA"
        assert line.code(version("m-3", b"4.0", b"F", b"20260101120000+0000")) == "AA"
        assert line.code(version("m-4", b"3.0", b"F", b"20200101120000+0000")) == "AA"
        assert result(system, "m-1").body["results"][0] | {"code": ""} == {
            "code": "",
            "status": "C",
            "value": "5.0",
        }
        assert line.code(version("m-5", b"6.0", b"F", b"20260102120000+0000")) == "AA"
    assert result(system, "m-1").body["results"][0]["value"] == "6.0"


def test_the_instrument_gets_what_it_expects_for_every_defect(system: Cluster) -> None:
    """Every defect of the generator gets its acknowledgement over the wire, and everything is accounted
    for."""
    for number, defect in enumerate(DEFECTS):
        answer = send(system, "/odd-messages", key=f"hl7-t-{number:06}", defect=defect)
        assert answer.status == 200, (defect, answer)
    assert outcomes(system).total() >= len(DEFECTS)
    sent = {row["key"] for row in system.records("hl7_sender", "hl7_content")}
    applied = {row["key"] for row in system.records("hl7_gateway", "hl7_content")}
    lenient = {key for key in applied - sent if key.startswith(":")}
    assert applied - sent == lenient


def applied_after_a_loss(system: Cluster) -> int:
    """How often a message is applied whose first acknowledgement is lost."""
    behaviour = "/admin/behaviour/lost_response"
    system.call("hl7_gateway", "PUT", behaviour, {"share": 1.0, "caller": "hl7_sender"})
    with ThreadPoolExecutor(1) as user:
        answer = user.submit(send, system, "/messages", key="hl7-t-1", message="ORU^R01")
        wait_for("loss", lambda: system.call("hl7_gateway", "GET", behaviour).body["applied"] >= 1)
        system.call("hl7_gateway", "DELETE", behaviour)
        assert answer.result(20).status == 200
    return len(system.records("hl7_gateway", "hl7_message"))


def test_a_lost_acknowledgement_is_asked_for_again(system: Cluster) -> None:
    """The message is sent again and applied once; without dedupe it is applied again."""
    assert applied_after_a_loss(system) == 1
    system.reset(with_service(system.design("resilient"), "hl7_gateway", dedupe=False))
    assert applied_after_a_loss(system) >= 2


@pytest.mark.parametrize("design", ["fragile", "resilient"])
def test_the_gateway_misbehaves_on_request_in_every_design(system: Cluster, design: str) -> None:
    """A refusal leaves nothing, a lost acknowledgement a message: also where it is given on receipt."""
    system.reset(system.design(design))
    raw = message("ADT^A01", "m-1", "pat-1", 1)
    for name, parameters, code, kept in (
        ("error_share", {"share": 1.0}, "AR", 0),
        ("lost_response", {"share": 1.0}, "", 1),
    ):
        behaviour = f"/admin/behaviour/{name}"
        system.call("hl7_gateway", "PUT", behaviour, {**parameters, "caller": "hl7_sender"})
        with connected(system) as line:
            assert line.code(raw) == code
        assert system.call("hl7_gateway", "GET", behaviour).body["applied"] == 1
        system.call("hl7_gateway", "DELETE", behaviour)
        system.settled()
        assert len(system.records("hl7_gateway", "hl7_message")) == kept


@pytest.mark.parametrize("defect", ["", "wrong_count", "cut", "twice", "bad_message"])
def test_a_file_adds_what_is_right_once(system: Cluster, defect: str) -> None:
    """However it went wrong before, every good message of the right file is applied once."""
    answer = send(system, "/files", key="hl7-t-1", defect=defect)
    assert answer.status == 200, answer
    due = {row["key"] for row in system.records("hl7_sender", "hl7_due")}
    applied = Counter(row["key"] for row in system.records("hl7_gateway", "hl7_message"))
    assert due == set(applied) == set(night("hl7-t-1", "pat-1", 1, defect).due)
    assert set(applied.values()) == {1}
    assert result(system, "hl7-t-1-0").status == 200


def test_a_gateway_that_was_killed_goes_on_with_what_it_had(system: Cluster) -> None:
    """What was acknowledged after it was stored is there, and its repeat is a duplicate."""
    raw = message("ORU^R01", "m-1", "pat-1", 1)
    with connected(system) as line:
        assert line.code(raw) == "AA"
    system.kill("hl7_gateway")
    system.start("hl7_gateway")
    system.ready("hl7_gateway")
    with connected(system) as line:
        assert line.code(raw) == "AA"
    assert outcomes(system) == {"applied": 1, "duplicate": 1}


@needs_data
def test_the_acknowledgements_are_as_listed(system: Cluster) -> None:
    """All 19 mutations, each on a gateway that knows the original only where the case is about that; no
    answer takes 5 s, and everything received is accounted for."""
    original = (FOLDER / "valid" / "ORU-R01-RMGEAD.hl7").read_bytes()
    right, wrong, longest = 0, [], 0.0
    for case in listed_cases():
        system.reset(system.design("resilient"))
        with connected(system) as line:
            if "same-control" in case.name:
                assert line.code(original) == "AA"
            began = time.monotonic()
            code = line.code(case.raw)
            longest = max(longest, time.monotonic() - began)
        right += code in case.listed
        wrong += [] if code in case.listed else [(case.name, code)]
        outcomes(system)
    assert right + len(wrong) == 19
    assert right / 19 >= 0.95, wrong
    assert longest < 5


@needs_data
def test_an_older_order_does_not_override_a_newer_one(system: Cluster) -> None:
    """The dose change that comes late is accepted, and the newer dose stays. Its patient is not one of ours:
    without a part in the run the prescriptions are not asked about her."""
    system.reset(system.design("resilient"), without=(*OPTIONAL, "prescriptions"))
    newer = (FOLDER / "valid" / "RDE-O11-02.hl7").read_bytes()
    older = (FOLDER / "malformed" / "m18-rde-dose-change-older-timestamp.hl7").read_bytes()
    with connected(system) as line:
        assert [line.code(newer), line.code(older)] == ["AA", "AA"]
    assert outcomes(system) == {"applied": 2}


@needs_data
def test_everything_in_the_folder_is_accounted_for(system: Cluster) -> None:
    """All messages, broken frames and files one after the other: received = applied + duplicate +
    dead-lettered + rejected, and nothing stalls."""
    longest = 0.0
    for path in [*files("valid", "malformed"), *files("malformed", ending=".mllp")]:
        raw = path.read_bytes()
        with connected(system) as line:
            began = time.monotonic()
            line.send(raw if path.suffix == ".mllp" else framed(raw))
            for _ in range(max(1, raw.count(END))):
                assert line.ack() is not None, path.name
            longest = max(longest, time.monotonic() - began)
    upload: Callable[[str, bytes], Answer] = lambda name, raw: system.call(  # noqa: E731  one call, used twice
        "hl7_gateway", "POST", f"/batches?name={name}", raw
    )
    for path in files("batch"):
        statuses = [upload(path.stem, path.read_bytes()).status for _ in range(2)]
        assert statuses in ([200, 200], [422, 422]), path.name
    counts = outcomes(system)
    assert counts["applied"] >= 15, counts
    assert min(counts["duplicate"], counts["dead-lettered"], counts["rejected"]) > 0, counts
    assert longest < 5
    assert json.dumps(system.call("hl7_gateway", "GET", "/backlog").body)
