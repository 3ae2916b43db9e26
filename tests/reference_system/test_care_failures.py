"""Check-in, prescriptions and pharmacy under broken links and kills: each remedy, and what returns without
it."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import nats
import pytest

from tests.reference_system import journeys
from tests.reference_system.cluster import Answer, Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live


@pytest.fixture
def system(cluster: Cluster) -> Cluster:
    cluster.heal()
    cluster.reset(cluster.design("resilient"), clock_scale=60)
    return cluster


def test_a_silent_payer_never_stops_a_check_in(system: Cluster) -> None:
    """Behind a black hole every check-in is accepted as pending, and resolved after the payer is back."""
    try:
        system.blackhole("eligibility -> payer")
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda n: journeys.check_in(system, f"enc-s{n}", n), range(12)))
    finally:
        system.heal()
    assert {answer.status for answer in answers} == {201}
    assert {answer.headers["x-eligibility"] for answer in answers} == {"pending"}
    link = system.call("eligibility", "GET", "/metrics").body["links"]["payer"]
    assert link["breaker_openings"] >= 1, link
    system.settled(20)
    rows = system.records("checkin", "encounter")
    assert len(rows) == 12
    assert {row["status"] for row in rows} == {"in-force", "not-covered"}
    decided = {row["id"]: row["value"] for row in system.records("eligibility", "coverage_decision")}
    assert set(decided.values()) == {"payer"}


def test_a_known_insurance_is_answered_from_the_cache_with_a_label(system: Cluster) -> None:
    """When the payer is away, an earlier answer is given and recorded as one from the cache."""
    journeys.check_in(system, "enc-t1", 0)
    system.settled()
    try:
        system.refuse("eligibility -> payer")
        answer = journeys.check_in(system, "enc-t2", 0)
    finally:
        system.heal()
    assert (answer.status, answer.headers["x-eligibility"]) == (201, "in-force")
    assert answer.headers["x-label"] == "eligibility-cached"
    sources = [r["value"] for r in system.records("eligibility", "coverage_decision") if r["id"] == "enc-t2"]
    assert sources == ["cache"]
    system.settled(20)


def test_the_fragile_front_door_waits_for_the_payer(system: Cluster) -> None:
    """Without a timeout a silent payer holds the patient for as long as the client has patience."""
    system.reset(system.design("fragile"))
    try:
        system.blackhole("eligibility -> payer")
        with pytest.raises(TimeoutError):
            journeys.check_in(system, "enc-u1", timeout=4.0)
        assert system.records("checkin", "encounter") == []
    finally:
        system.heal()


def test_an_unreachable_registry_costs_a_label(system: Cluster) -> None:
    """A known patient checks in with cached demographics, an unknown one with a temporary number."""
    journeys.check_in(system, "enc-v1", 1)
    try:
        system.refuse("checkin -> registry")
        known, unknown = journeys.check_in(system, "enc-v2", 1), journeys.check_in(system, "enc-v3", 2)
    finally:
        system.heal()
    assert (known.status, known.headers["x-label"]) == (201, "cached")
    assert (unknown.status, unknown.headers["x-label"]) == (201, "temporary")


def test_an_inquiry_survives_a_kill(system: Cluster) -> None:
    """kill -9 of eligibility with inquiries open: the next process asks the payer and tells check-in."""
    try:
        system.refuse("eligibility -> payer")
        for n in range(4):
            assert journeys.check_in(system, f"enc-w{n}", n).headers["x-eligibility"] == "pending"
        system.kill("eligibility")
    finally:
        system.heal()
    system.start("eligibility")
    system.ready("eligibility")
    system.settled(20)
    assert {row["status"] for row in system.records("checkin", "encounter")} == {"in-force"}


class Babbling(BaseHTTPRequestHandler):
    """A payer whose answers are no 271."""

    bodies: ClassVar[list[bytes]] = [b"<html>", b"[1]", b'{"status": "maybe", "receipt": "r"}', b"\xff"]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = self.bodies[next(self.server.turns) % 4]  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_a_malformed_answer_of_the_payer_is_no_answer(system: Cluster) -> None:
    """Whatever the payer babbles, the check-in is pending, nobody's cover is invented, and the inquiry is
    made again until it is answered, without a restart."""
    system.reset(with_service(system.design("resilient"), "payer", tls="none"), clock_scale=60)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Babbling)
    server.turns = itertools.count()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        system.redirect("eligibility -> payer", server.server_port)
        states = [journeys.check_in(system, f"enc-ba{n}", n).headers["x-eligibility"] for n in range(4)]
    finally:
        system.redirect("eligibility -> payer", system.ports["payer"])
        server.shutdown()
        server.server_close()
    assert states == ["pending"] * 4
    assert system.records("eligibility", "coverage_decision") == []
    system.settled(20)
    assert {row["status"] for row in system.records("checkin", "encounter")} == {"in-force"}


def test_a_certain_refusal_says_so(system: Cluster) -> None:
    """503 for what never left the service carries x-not-done: the client need not wonder."""
    system.reset(with_service(system.design("resilient"), "prescriptions", registry_fallback=False))
    try:
        system.refuse("prescriptions -> registry")
        refused = journeys.prescribe(system, "rx-nd1")
    finally:
        system.heal()
    assert (refused.status, refused.headers.get("x-not-done")) == (503, "1")
    assert system.records("prescriptions", "rx_version") == []


def test_an_accepted_check_in_gets_its_inquiry_without_the_request(system: Cluster) -> None:
    """With eligibility dead at check-in, the event alone brings the inquiry about."""
    system.kill("eligibility")
    assert journeys.check_in(system, "enc-x1", 1).headers["x-eligibility"] == "pending"
    system.start("eligibility")
    system.ready("eligibility")
    system.settled(20)
    assert [row["status"] for row in system.records("checkin", "encounter")] == ["in-force"]


def test_what_cannot_be_read_is_held(system: Cluster) -> None:
    """With prescriptions out of reach a hand-over is held and the work list says how old it is; a second
    visit of the same identifier hands over the version that is current then."""
    journeys.prescribe(system, "rx-y1")
    wait_for("the copy", lambda: system.records("pharmacy", "projection"))
    try:
        system.refuse("pharmacy -> prescriptions")
        held, seen = journeys.dispense(system, "rx-y1", "md-y1"), journeys.view(system, "rx-y1")
        assert journeys.change(system, "rx-y1", 1, "10 mg").status == 200
    finally:
        system.heal()
    assert (held.status, held.headers["x-label"]) == (202, "held")
    assert seen.headers["x-label"] == "stale"
    assert int(seen.headers["x-age-ms"]) >= 0
    given = wait_for("handed over", lambda: completed(journeys.dispense(system, "rx-y1", "md-y1")), 10)
    assert given.headers["x-version"] == "2"
    rows = system.records("pharmacy", "dispense")
    assert [(row["id"], row["status"], row["version"]) for row in rows] == [("md-y1", "completed", 2)]


def completed(answer: Answer) -> Answer | None:
    return answer if answer.status == 201 else None


@pytest.mark.parametrize(("check", "version"), [("projection", 1), ("current_read", 2), ("reservation", 2)])
def test_a_late_event_misleads_only_the_copy(system: Cluster, check: str, version: int) -> None:
    """The dose was changed and acknowledged, its event is late: the copy dispenses the old version, a read
    does not."""
    system.reset(with_service(system.design("resilient"), "pharmacy", dispense_check=check))
    journeys.prescribe(system, "rx-z1")
    wait_for("the copy", lambda: system.records("pharmacy", "projection"))
    try:
        system.slow("pharmacy -> bus", 2000)
        journeys.change(system, "rx-z1", 1, "10 mg")
        given = journeys.dispense(system, "rx-z1", "md-z1")
    finally:
        system.heal()
    assert given.headers["x-version"] == str(version)
    wait_for("the event", lambda: system.records("pharmacy", "projection")[0]["version"] == 2)


@pytest.mark.parametrize(("fence", "version"), [(True, 2), (False, 1)])
def test_the_version_fence_withstands_reordering(system: Cluster, fence: bool, version: int) -> None:
    """An old event that arrives last changes the copy only where there is no fence."""
    run = system.reset(with_service(system.design("resilient"), "pharmacy", version_fence=fence))
    journeys.prescribe(system, "rx-o1")
    journeys.change(system, "rx-o1", 1, "10 mg")
    wait_for("the newest", lambda: [r["version"] for r in system.records("pharmacy", "projection")] == [2])
    body = {"dose": "5 mg", "status": "active", "patient": "pat-0"}
    old = {
        "id": "late",
        "run": run,
        "type": "rx.created",
        "key": "rx-o1",
        "at": 1.0,
        "body": body,
        "version": 1,
    }

    async def publish() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{system.ports['bus']}")
        await client.jetstream().publish("rx.events", json.dumps([old]).encode())
        await client.close()

    before = system.call("pharmacy", "GET", "/metrics").body["events"]["consumed"]
    asyncio.run(publish())
    wait_for(
        "consumed", lambda: system.call("pharmacy", "GET", "/metrics").body["events"]["consumed"] > before
    )
    assert [row["version"] for row in system.records("pharmacy", "projection")] == [version]


@pytest.mark.parametrize(("outbox", "copies"), [(True, 3), (False, 0)])
def test_only_the_outbox_keeps_events_over_a_kill(system: Cluster, outbox: bool, copies: int) -> None:
    """Changes acknowledged while the bus is away, then kill -9: with the outbox pharmacy learns of them in
    the end."""
    system.reset(with_service(system.design("resilient"), "prescriptions", outbox=outbox))
    try:
        system.refuse("prescriptions -> bus")
        for n in range(3):
            assert journeys.prescribe(system, f"rx-k{n}").status == 201
        system.kill("prescriptions")
    finally:
        system.heal()
    system.start("prescriptions")
    system.ready("prescriptions")
    system.settled(20)
    marker = f"rx-marker-{outbox}"
    journeys.prescribe(system, marker)

    def keys() -> set[str]:
        return {row["key"] for row in system.records("pharmacy", "projection")}

    wait_for("events up to the marker", lambda: marker in keys())
    assert len(keys() - {marker}) == copies


@pytest.mark.parametrize(("outbox", "copies"), [(True, 3), (False, 0)])
def test_only_the_outbox_outlasts_an_absent_bus(system: Cluster, outbox: bool, copies: int) -> None:
    """Nobody is killed, the bus is away for a moment: a dual write has lost what it wanted to say, and
    counts it."""
    system.reset(with_service(system.design("resilient"), "prescriptions", outbox=outbox))
    try:
        system.refuse("prescriptions -> bus")
        for n in range(3):
            assert journeys.prescribe(system, f"rx-m{n}").status == 201
        if not outbox:
            wait_for("events given up", lambda: lost_events(system) == 3)
    finally:
        system.heal()
    system.settled(20)
    wait_for("the copies", lambda: copied(system, "rx-m") == copies)
    assert lost_events(system) == 3 - copies


def lost_events(cluster: Cluster) -> int:
    return int(cluster.call("prescriptions", "GET", "/metrics").body["events"].get("events_lost", 0))


def copied(cluster: Cluster, prefix: str) -> int:
    return sum(row["key"][:-1] == prefix for row in cluster.records("pharmacy", "projection"))


def test_two_prescribers_one_version(system: Cluster) -> None:
    """Of eight changes of one version one wins and the others are told; without If-Match acknowledged ones
    vanish."""
    for design, winners in ((system.design("resilient"), 1), (system.design("fragile"), 8)):
        system.reset(design)
        journeys.prescribe(system, "rx-c1")
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda n: journeys.change(system, "rx-c1", 1, f"{n} mg"), range(8)))
        acknowledged = [answer for answer in answers if answer.status == 200]
        assert len(acknowledged) == winners
        assert {answer.status for answer in answers} <= {200, 412}
        kept = {row["value"] for row in system.records("prescriptions", "rx_version")}
        doses = {answer.body["dosageInstruction"][0]["text"] for answer in acknowledged}
        assert (doses <= kept) == (winners == 1), (design.name, doses, kept)


def test_a_stop_and_a_hand_over_are_ordered(system: Cluster) -> None:
    """A hand-over that begins after a stop was acknowledged is refused; one that races it goes either way."""
    for n in range(6):
        rx = f"rx-r{n}"
        journeys.prescribe(system, rx)
        with ThreadPoolExecutor(2) as clients:
            stop = clients.submit(journeys.change, system, rx, 1, "5 mg", "stopped")
            race = clients.submit(journeys.dispense, system, rx, f"md-r{n}")
            assert (stop.result().status, race.result().status) in ((200, 201), (200, 409))
        assert journeys.dispense(system, rx, f"md-after{n}").status == 409
