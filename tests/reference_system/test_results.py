"""Results of the laboratory and the dashboard that shows them, over real PostgreSQL and NATS: what is kept,
what changes under the readers, and what they see then."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from experiment.design import Design
from tests.reference_system import journeys
from tests.reference_system.cluster import Answer, Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live


@pytest.fixture
def system(cluster: Cluster) -> Cluster:
    cluster.reset(cluster.design("resilient"))
    return cluster


def other(cluster: Cluster, **services: dict[str, Any]) -> Design:
    """The resilient design with switches of some services changed, now in force."""
    design = cluster.design("resilient")
    for service, changes in services.items():
        design = with_service(design, service, **changes)
    cluster.reset(design)
    return design


def change(cluster: Cluster, service: str, name: str, *, made: bool = True) -> None:
    """Ask for a planned change, or for its end, and wait until the service says that it is so."""
    path = f"/admin/behaviour/{name}"
    assert cluster.call(service, "PUT" if made else "DELETE", path, b"").status == 200
    wanted = {"active": made, "done": made}
    wait_for(f"{name}: {wanted}", lambda: cluster.call(service, "GET", path).body == wanted)


def shown(cluster: Cluster, n: int = 0) -> dict[str, Any]:
    """What the dashboard shows of a patient's results: by report its version, value and flag."""
    entries = cluster.call("dashboard", "GET", f"/dashboard/pat-{n}").body["parts"]["results"]["entries"]
    return {one["report"]: (one["version"], one["value"], one["flag"]) for one in entries}


def listed(cluster: Cluster, version: str) -> Answer:
    return cluster.call("lab", "GET", f"/results?patient=pat-0&contract={version}")


def test_a_result_is_on_record_once_and_a_correction_wins(system: Cluster) -> None:
    """A repeat changes nothing, whichever version it repeats; a late original never replaces a correction."""
    assert journeys.report(system, "lab-a").status == 201
    again = journeys.report(system, "lab-a")
    assert (again.status, again.headers["etag"]) == (200, 'W/"1"')
    corrected = journeys.report(system, "lab-a", 5.5, "corrected", "H")
    assert (corrected.status, corrected.headers["etag"]) == (200, 'W/"2"')
    assert journeys.report(system, "lab-a").headers["etag"] == 'W/"2"'
    assert journeys.report(system, "lab-a", 6.0).status == 409
    rows = system.records("lab", "report_version")
    assert [(row["version"], row["value"]) for row in rows] == [(1, "4.1"), (2, "5.5")]


def test_concurrent_reports_of_one_result_form_a_chain(system: Cluster) -> None:
    """Nobody's correction is lost, and no version is given twice."""
    journeys.report(system, "lab-b")
    answers: list[Answer] = []
    writers = [
        threading.Thread(
            target=lambda v=value: answers.append(journeys.report(system, "lab-b", v, "corrected"))
        )
        for value in (5.1, 5.2, 5.3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(answer.headers["etag"] for answer in answers) == ['W/"2"', 'W/"3"', 'W/"4"']


def test_every_resource_is_valid_fhir(system: Cluster) -> None:
    """Orders, reports and search results, as a full validator reads them."""
    made = system.call("lab", "POST", "/fhir/ServiceRequest", journeys.order("lab-c"))
    assert made.status == 201
    assert system.call("lab", "POST", "/fhir/ServiceRequest", journeys.order("lab-c")).status == 200
    assert system.call("lab", "POST", "/fhir/ServiceRequest", journeys.order("lab-c", 3)).status == 422
    journeys.report(system, "lab-c", 6.9, flag="HH")
    for path in ("ServiceRequest/lab-c", "DiagnosticReport/lab-c", "DiagnosticReport?identifier=lab-c"):
        body = system.call("lab", "GET", f"/fhir/{path}").body
        get_fhir_model_class(body["resourceType"]).model_validate(body)
    assert [row["status"] for row in system.records("lab", "report")] == ["critical"]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"contained": []}, "without a contained Observation"),
        ({"status": "guessed"}, "a status of"),
        ({"identifier": [{"value": "lab-other"}]}, "expected the same"),
        ({"contained": [{"resourceType": "Observation"}]}, "needs a code"),
    ],
)
def test_what_is_no_report_is_refused(system: Cluster, spoilt: dict[str, Any], said: str) -> None:
    """400 with what was found; nothing is on record."""
    body = {**journeys.report_body("lab-d"), **spoilt}
    answer = system.call("lab", "PUT", "/fhir/DiagnosticReport?identifier=lab-d", body)
    assert answer.status == 400
    assert said in answer.body["issue"][0]["diagnostics"]
    assert system.records("lab", "report") == []


def test_the_columns_change_under_load_and_both_contracts_are_served(system: Cluster) -> None:
    """By expand and contract no write and no read fails, before, meanwhile and after, and the values stay."""
    for number in range(30):
        journeys.report(system, f"lab-e{number}")
    answers: list[int] = []
    stop = threading.Event()

    def users() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            answers.append(journeys.report(system, f"lab-f{number}", flag="H").status)
            answers.append(listed(system, "v1").status)

    user = threading.Thread(target=users)
    user.start()
    try:
        change(system, "lab", "results_v2")
        one, two = listed(system, "v1").body["results"][0], listed(system, "v2").body["results"][0]
        time.sleep(0.2)
        change(system, "lab", "results_v2", made=False)
    finally:
        stop.set()
        user.join()
    assert set(answers) <= {200, 201}
    assert {"code": "2823-3", "value": 4.1, "unit": "mmol/L"}.items() <= one.items()
    assert two["observation"] == {"code": "2823-3", "quantity": {"value": 4.1, "unit": "mmol/L"}}
    assert {row["interpretation"] for row in listed(system, "v1").body["results"]} <= {"N", "H"}


def test_a_rename_in_place_breaks_who_reads_the_first_version(cluster: Cluster) -> None:
    """What was served a moment ago is gone, until the change is taken back."""
    other(cluster, lab={"result_contract": "breaking"})
    journeys.report(cluster, "lab-g")
    assert (listed(cluster, "v1").status, listed(cluster, "v2").status) == (200, 410)
    change(cluster, "lab", "results_v2")
    assert (listed(cluster, "v1").status, listed(cluster, "v2").status) == (410, 200)
    assert journeys.report(cluster, "lab-h").status == 201
    change(cluster, "lab", "results_v2", made=False)
    assert len(listed(cluster, "v1").body["results"]) == 2


def test_a_reset_takes_a_change_back(system: Cluster) -> None:
    """The next run finds the laboratory as it was, whoever left it changed."""
    change(system, "lab", "v2_only")
    system.reset(system.design("resilient"))
    assert system.call("lab", "GET", "/admin/behaviour/v2_only").body == {"active": False, "done": False}
    assert listed(system, "v1").status == 200


def test_the_dashboard_follows_results_medicines_and_insurance(system: Cluster) -> None:
    """Each part with its age, from events alone; a correction replaces what it corrects."""
    journeys.report(system, "lab-i")
    journeys.report(system, "lab-i", 6.9, "corrected", "HH")
    journeys.prescribe(system, "rx-i")
    journeys.check_in(system, "enc-i")
    system.settled()
    answer = system.call("dashboard", "GET", "/dashboard/pat-0")
    parts = answer.body["parts"]
    assert shown(system) == {"lab-i": (2, "6.9", "HH")}
    assert [one["prescription"] for one in parts["prescriptions"]["entries"]] == ["rx-i"]
    assert parts["insurance"]["entries"]["status"] == "in-force"
    assert parts["person"]["entries"] == {"id": "pat-0", "version": 1}
    assert all(part["age_s"] < 3 for part in parts.values())
    assert "x-label" not in answer.headers


def test_what_is_not_understood_is_put_aside_and_played_again(system: Cluster) -> None:
    """Meanwhile others flow, the answer says that it is incomplete; the upgrade brings what was missing."""
    change(system, "lab", "v2_only")
    journeys.report(system, "lab-j", 6.9, flag="HH")
    journeys.prescribe(system, "rx-j")
    wait_for("a dead letter", lambda: system.records("dashboard", "dead_letter"))
    wait_for("medicines", lambda: system.call("dashboard", "GET", "/dashboard/pat-0").body["parts"]
             ["prescriptions"]["entries"])  # fmt: skip
    answer = system.call("dashboard", "GET", "/dashboard/pat-0")
    assert answer.headers["x-label"] == "incomplete"
    assert float(answer.headers["x-age-ms"]) > 0
    assert shown(system) == {}
    change(system, "dashboard", "reads_v2")
    wait_for("the result", lambda: shown(system) == {"lab-j": (1, "6.9", "HH")})
    assert system.records("dashboard", "dead_letter") == []
    assert "x-label" not in system.call("dashboard", "GET", "/dashboard/pat-0").headers


def test_what_is_not_understood_is_lost_without_that_care(cluster: Cluster) -> None:
    """It is counted, and nobody plays it again."""
    other(cluster, dashboard={"result_contract": "breaking"})
    change(cluster, "lab", "v2_only")
    journeys.report(cluster, "lab-k")
    cluster.settled()
    change(cluster, "dashboard", "reads_v2")
    assert shown(cluster) == {}
    assert cluster.call("dashboard", "GET", "/metrics").body["events"]["events_dropped"] == 1


def test_a_dashboard_that_asks_four_services_fails_with_any_of_them(cluster: Cluster) -> None:
    """One part that is away makes an error; with partial answers it is named, and the others are shown."""
    asks = {"dashboard": "fan_out", "partial_answers": False}
    other(cluster, dashboard=asks)
    journeys.report(cluster, "lab-l")
    journeys.prescribe(cluster, "rx-l")
    assert cluster.call("dashboard", "GET", "/dashboard/pat-0").status == 200
    assert shown(cluster) == {"lab-l": (1, "4.1", "N")}
    try:
        cluster.refuse("dashboard -> prescriptions")
        assert cluster.call("dashboard", "GET", "/dashboard/pat-0").status == 500
        other(cluster, dashboard={**asks, "partial_answers": True})
        journeys.report(cluster, "lab-l")
        answer = cluster.call("dashboard", "GET", "/dashboard/pat-0")
        assert (answer.status, answer.headers["x-label"]) == (200, "partial")
        assert "missing" in answer.body["parts"]["prescriptions"]
        assert shown(cluster) == {"lab-l": (1, "4.1", "N")}
    finally:
        cluster.heal()


def test_analytics_counts_every_event_once(system: Cluster) -> None:
    """By its type and what it says of itself, from events; the report of the month reads its own counts."""
    change(system, "analytics", "monthly_report")
    journeys.report(system, "lab-m")
    journeys.report(system, "lab-m", 6.9, "corrected", "HH")
    journeys.prescribe(system, "rx-m")
    system.settled()
    counts = system.call("analytics", "GET", "/stats").body["counts"]
    assert {(one["type"], one["label"]): one["n"] for one in counts} == {
        ("lab.result", "N"): 1,
        ("lab.result", "HH"): 1,
        ("rx.created", "active"): 1,
    }
    change(system, "analytics", "monthly_report", made=False)
    assert {row["key"]: row["amount"] for row in system.records("analytics", "count")} == {
        "lab.result/N": 1.0,
        "lab.result/HH": 1.0,
        "rx.created/active": 1.0,
    }
