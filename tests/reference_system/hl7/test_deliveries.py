"""What a message asks of the laboratory, the registry and the prescriptions reaches them, in order, once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reference_system.common.mllp import framed
from reference_system.services.hl7_sender.generator import Who, message
from tests.reference_system.cluster import Cluster, wait_for
from tests.reference_system.designs import with_service
from tests.reference_system.hl7.cases import Mllp

pytestmark = pytest.mark.live

LINK = "hl7_gateway -> lab"


@pytest.fixture
def system(cluster: Cluster) -> Cluster:
    cluster.heal()
    cluster.reset(cluster.design("resilient"))
    return cluster


def send(system: Cluster, *messages: bytes) -> None:
    with Mllp(system.ports["hl7_gateway"]) as line:
        assert {line.code(raw) for raw in messages} == {"AA"}


def delivered(system: Cluster) -> None:
    wait_for(
        "deliveries",
        lambda: system.call("hl7_gateway", "GET", "/backlog").body["deliveries"] == 0,
        20,
    )


def versions(system: Cluster, key: str) -> list[tuple[int, str]]:
    rows = [row for row in system.records("lab", "report_version") if row["key"] == key]
    return [(row["version"], row["status"]) for row in rows]


def corrected(raw: bytes, control: str, at: str, status: bytes = b"C") -> bytes:
    """The same order once more: another message, sent later, with another status."""
    fields = raw.split(b"|")
    fields[6], fields[9] = at.encode(), control.encode()
    return b"|".join(fields).replace(b"|||F|||", b"|||" + status + b"|||")


def at(seconds: int) -> str:
    return time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(time.time() + seconds))


def outcomes(system: Cluster) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in system.records("hl7_gateway", "hl7_outcome"):
        found[row["status"]] = found.get(row["status"], 0) + 1
    return found


def test_each_kind_of_message_reaches_who_keeps_what_it_says(system: Cluster) -> None:
    """ORU a report, RDE a prescription, ADT the patient's record; an order of a test nobody."""
    who = Who("Moved", "Jo", "19810203", "F")
    send(
        system,
        message("ORU^R01", "m-1", "pat-1", 1),
        message("RDE^O11", "m-2", "pat-2", 1),
        message("ADT^A08", "m-3", "pat-3", 1, who),
        message("ORM^O01", "m-4", "pat-4", 1),
    )
    delivered(system)
    report = system.call("lab", "GET", "/fhir/DiagnosticReport/LIS-LAB-m-1").body
    assert report["subject"] == {"reference": "Patient/pat-1"}
    assert report["status"] == "final"
    order = system.call("prescriptions", "GET", "/fhir/MedicationRequest/PHIS-PHARM-m-2").body
    assert order["dosageInstruction"][0]["text"].endswith(" MG")
    person = system.call("registry", "GET", "/fhir/Patient/pat-3").body
    assert (person["name"], person["birthDate"], person["gender"]) == (
        [{"family": "Moved", "given": ["Jo"]}],
        "1981-02-03",
        "female",
    )
    asked = {(row["key"], row["status"]) for row in system.records("hl7_gateway", "hl7_asked")}
    assert asked == {("LIS-LAB-m-1", "lab"), ("PHIS-PHARM-m-2", "prescriptions")}


def test_messages_of_a_patient_arrive_in_their_order_when_the_laboratory_is_back(system: Cluster) -> None:
    """A correction that was sent while the laboratory was away is its second version, not its first."""
    system.refuse(LINK)
    first = message("ORU^R01", "m-1", "pat-1", 1)
    send(system, first, corrected(first, "m-2", at(1)), message("RDE^O11", "m-3", "pat-2", 1))
    wait_for("another patient's", lambda: system.records("prescriptions", "rx_version"))
    assert versions(system, "LIS-LAB-m-1") == []
    assert outcomes(system) == {"applied": 3}
    system.heal()
    delivered(system)
    assert versions(system, "LIS-LAB-m-1") == [(1, "final"), (2, "corrected")]


def test_what_is_older_than_what_is_known_is_not_told(system: Cluster) -> None:
    """By MSH-7: a final result that comes behind its correction changes nothing, here and there."""
    first = message("ORU^R01", "m-1", "pat-1", 1)
    send(system, corrected(first, "m-2", at(5)), first)
    delivered(system)
    assert versions(system, "LIS-LAB-m-1") == [(1, "corrected")]
    assert outcomes(system) == {"applied": 2}


def test_a_newer_result_of_what_was_corrected_is_a_correction_too(system: Cluster) -> None:
    """Its sender calls it final once more; the laboratory would refuse to take a correction back."""
    first = message("ORU^R01", "m-1", "pat-1", 1)
    send(system, first, corrected(first, "m-2", at(1)), corrected(first, "m-3", at(2), b"F"))
    delivered(system)
    assert [status for _, status in versions(system, "LIS-LAB-m-1")] == ["final", "corrected", "corrected"]
    assert outcomes(system) == {"applied": 3}


@pytest.mark.parametrize(("outbox", "reports"), [(True, 3), (False, 0)])
def test_only_the_outbox_outlasts_a_crash_while_the_laboratory_is_away(
    system: Cluster, outbox: bool, reports: int
) -> None:
    """Acknowledged, then kill -9: with the outbox the laboratory learns of them after the restart."""
    system.reset(with_service(system.design("resilient"), "hl7_gateway", outbox=outbox))
    system.refuse(LINK)
    send(system, *(message("ORU^R01", f"m-{n}", f"pat-{n}", 1) for n in range(3)))
    system.kill("hl7_gateway")
    system.heal()
    system.start("hl7_gateway")
    system.ready("hl7_gateway")
    delivered(system)
    assert len(system.records("lab", "report")) == reports


def test_what_the_callee_refuses_becomes_a_dead_letter_and_can_be_put_right(system: Cluster) -> None:
    """An order for a patient whom nobody knows; every message is still accounted for once."""
    raw = message("RDE^O11", "m-1", "pat-unknown", 1)
    send(system, raw)
    letters: list[dict[str, Any]] = wait_for(
        "dead letter", lambda: system.call("hl7_gateway", "GET", "/dead-letters").body["dead_letters"]
    )
    assert letters[0]["reason"] == "prescriptions answered 404: not-found"
    assert outcomes(system) == {"dead-lettered": 1}
    put_right = raw.replace(b"pat-unknown", b"pat-1")
    path = f"/dead-letters/{letters[0]['id']}/replay"
    assert system.call("hl7_gateway", "POST", path, put_right).status == 200
    delivered(system)
    assert outcomes(system) == {"applied": 1}
    assert [row["key"] for row in system.records("prescriptions", "rx_version")] == ["PHIS-PHARM-m-1"]


def test_a_change_and_a_stop_find_the_prescription_that_they_are_about(system: Cluster) -> None:
    """ORC-1 XO changes the dose and DC stops it, each against the version that stands."""
    new = message("RDE^O11", "m-1", "pat-1", 1)
    change = corrected(new, "m-2", at(1)).replace(b"ORC|NW", b"ORC|XO").replace(b"||MG|", b"||ML|")
    stop = corrected(new, "m-3", at(2)).replace(b"ORC|NW", b"ORC|DC")
    send(system, new, change, stop)
    delivered(system)
    rows = system.records("prescriptions", "rx_version")
    assert [(row["version"], row["status"]) for row in rows] == [
        (1, "active"),
        (2, "active"),
        (3, "stopped"),
    ]
    assert rows[1]["value"].endswith(" ML")


def test_a_merge_says_in_the_old_record_which_one_replaces_it(system: Cluster) -> None:
    """ADT^A40: the record of MRG-1 is not active any more and names the other."""
    raw = (
        message("ADT^A08", "m-1", "pat-1", 1).replace(b"ADT^A08", b"ADT^A40").replace(b"EVN|A08", b"EVN|A40")
    )
    send(system, raw + b"MRG|pat-2^^^HOSP^MR\r")
    delivered(system)
    merged = system.call("registry", "GET", "/fhir/Patient/pat-2").body
    assert merged["active"] is False
    assert merged["link"] == [{"other": {"reference": "Patient/pat-1"}, "type": "replaced-by"}]
    assert merged["name"]
    send(system, raw.replace(b"m-1", b"m-2") + b"MRG|pat-nobody^^^HOSP^MR\r")
    delivered(system)
    assert outcomes(system) == {"applied": 2}


def test_a_service_without_a_part_in_the_run_is_told_nothing(system: Cluster) -> None:
    """The message is applied in the gateway, and nothing waits."""
    system.reset(system.design("resilient"), without=("telemetry", "authz", "audit", "lab"))
    send(system, message("ORU^R01", "m-1", "pat-1", 1))
    assert system.call("hl7_gateway", "GET", "/backlog").body["deliveries"] == 0
    assert system.records("hl7_gateway", "hl7_asked") == []


def test_a_line_that_sends_faster_than_deliveries_go_is_still_answered(system: Cluster) -> None:
    """The acknowledgement does not wait for the laboratory."""
    system.blackhole(LINK)
    began = time.monotonic()
    with Mllp(system.ports["hl7_gateway"]) as line:
        line.send(b"".join(framed(message("ORU^R01", f"m-{n}", f"pat-{n % 20}", 1)) for n in range(40)))
        for _ in range(40):
            assert line.ack() is not None
    assert time.monotonic() - began < 5
    system.heal()
    delivered(system)
    assert len(system.records("lab", "report")) == 40
