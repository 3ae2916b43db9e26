"""The final state read back: what is read, and what an answer means."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from experiment.final_reads import keys_to_read
from experiment.history import History, Sample, build
from experiment.rows import Header, Operation, Outcome, Row
from load.final_reads import final_reads
from tests.load.local_system import Heard, Respond, Say, local_system, refused_address
from tests.load.plans import plan


def row(number: int, key: str, outcome: Outcome = "acknowledged", sent: float | None = 1.0) -> Operation:
    return Operation(number, "any", key, 1.0, sent, 1.1, outcome)


def history(*rows: Row) -> History:
    return build([Header(1, "run", "processes", "s", "d", "y", 1, "", 0.0), *rows])


def read(respond: Respond, *rows: Row, **more: float) -> tuple[Operation, ...]:
    with local_system(respond) as system:
        found = final_reads(plan(), {"front": system.base}, history(*rows), time.monotonic(), **more)  # type: ignore[arg-type]
    return tuple(row for row in found if isinstance(row, Operation))


def chosen_of(*rows: Operation, seed: int = 1, sample: int | None = 10) -> tuple[str, ...]:
    sent = [(row.key, row.outcome) for row in rows if row.sent is not None]
    return keys_to_read(sent, ("rx", "inv", "enc"), seed, sample)


def state(heard: Heard) -> Say:
    """A system with one prescription, one paid invoice and one pending encounter; nothing else exists."""
    encounter = {"extension": [{"url": "urn:codeblue:eligibility", "valueCode": "pending"}]}
    known = {
        "/fhir/MedicationRequest/rx-a-1": {
            "meta": {"versionId": "3"},
            "dosageInstruction": [{"text": "2.5 mg"}],
        },
        "/invoices/inv-a-1": {"status": "paid"},
        "/fhir/Encounter?identifier=enc-a-1": {"entry": [{"resource": encounter}]},
        "/fhir/Encounter?identifier=enc-a-2": {"total": 0},
        "/fhir/Encounter?identifier=enc-a-3": {"entry": [{"resource": encounter}, {"resource": encounter}]},
    }
    return Say(200, known[heard.path]) if heard.path in known else Say(404, {})


def test_a_thread_that_read_leaves_no_descriptor() -> None:
    """A suite reads in a new thread for each of its runs."""

    def loops() -> int:
        links = []
        for one in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # that of the listing itself
                links.append(os.readlink(f"/proc/self/fd/{one}"))
        return sum(link.startswith("anon_inode") for link in links)

    found: list[tuple[Operation, ...]] = []
    counts = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(read(state, row(1, "rx-a-1"))))
        thread.start()
        thread.join()
        counts.append(loops())
    assert [rows[0].value for rows in found] == ["2.5 mg"] * 3
    assert counts == counts[:1] * 3, "the first may open some for good"


def test_a_thread_that_read_keeps_nothing_of_the_run() -> None:
    """Its event loop ends, and the frames that gevent keeps of that hold no history: a suite of many runs
    would keep them all."""
    found: list[object] = []
    gc.collect()
    before = readers()
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(read(state, row(1, "rx-a-1"))))
        thread.start()
        thread.join()
    gc.collect()
    assert len(found) == 3
    assert readers() <= before


def readers() -> int:
    """How many readers of a final state are still in memory."""
    return sum(type(one).__name__ == "_Reader" for one in gc.get_objects())


def test_each_kind_is_read_at_its_own_place() -> None:
    """Version and dose of a prescription, status of an invoice, eligibility of an encounter."""
    rows = {r.key: r for r in read(state, row(1, "rx-a-1"), row(2, "inv-a-1"), row(3, "enc-a-1"))}
    assert {r.journey for r in rows.values()} == {"final_read"}
    assert (rows["rx-a-1"].version, rows["rx-a-1"].value) == (3, "2.5 mg")
    assert (rows["inv-a-1"].value, rows["inv-a-1"].outcome) == ("paid", "acknowledged")
    assert rows["enc-a-1"].value == "pending"


def test_a_final_read_says_who_reads() -> None:
    """With the headers that the system's file gives it."""
    heard: list[Heard] = []

    def respond(one: Heard) -> Say:
        heard.append(one)
        return state(one)

    read(respond, row(1, "rx-a-1"), row(2, "inv-a-1"))
    assert {one.path: one.headers.get("x-user") for one in heard} == {
        "/fhir/MedicationRequest/rx-a-1": "usr-auditor",
        "/invoices/inv-a-1": None,
    }


def test_what_does_not_exist_is_an_answer() -> None:
    """A 404 and an empty search are acknowledged reads of the value `absent`."""
    rows = read(state, row(1, "rx-a-9"), row(2, "inv-a-9"), row(3, "enc-a-2"))
    assert [(r.outcome, r.value, r.error) for r in rows] == [("acknowledged", "absent", None)] * 3


def test_a_doubled_encounter_says_so() -> None:
    """Two Encounters of one key are labelled."""
    assert [r.label for r in read(state, row(1, "enc-a-3"))] == ["2 found"]


def test_reads_are_operations_of_their_own() -> None:
    """Their ids follow the plan's, their traces are on the wire, their times count from the run's zero."""
    rows = read(state, row(1, "rx-a-1"), row(2, "inv-a-1"))
    last = max(op.id for op in plan().operations)
    assert [r.id for r in rows] == [last + 1, last + 2]
    assert all(r.trace is not None and len(r.trace) == 32 for r in rows)
    assert all(r.sent is not None and 0 <= r.sent <= r.ended for r in rows)


def test_every_indeterminate_key_is_read_and_of_the_others_a_sample() -> None:
    """The bound is on the sample only."""
    rows = [row(n, f"rx-a-{n}", "indeterminate") for n in range(30)]
    rows += [row(n, f"inv-a-{n}") for n in range(30, 90)]
    chosen = chosen_of(*rows)
    assert {key for key in chosen if key.startswith("rx")} == {f"rx-a-{n}" for n in range(30)}
    assert len([key for key in chosen if key.startswith("inv")]) == 10
    assert chosen == chosen_of(*rows)
    assert chosen != chosen_of(*rows, seed=2)


def test_what_certainly_did_not_happen_is_not_asked_for() -> None:
    """Rejected and unsent operations, and keys of no known kind, are left out; a key is read once."""
    rows = [
        row(1, "rx-a-1", "rejected"),
        row(2, "rx-a-2", "indeterminate", sent=None),
        row(3, "md-a-3"),
        row(4, "rx-a-4"),
        row(5, "rx-a-4", "indeterminate"),
    ]
    assert chosen_of(*rows) == ("rx-a-4",)


@pytest.mark.parametrize(
    ("say", "error"),
    [(Say(500), "server_error"), (Say(200, b"{"), "unreadable"), (Say(how="reset"), "reset")],
)
def test_a_read_without_answer_is_rejected(say: Say, error: str) -> None:
    """No answer is never taken for absence."""
    (only,) = read(lambda _: say, row(1, "rx-a-1"))
    assert (only.outcome, only.error, only.value) == ("rejected", error, None)


def test_a_system_that_is_gone_is_seen_as_gone() -> None:
    """Refused connections are rejected reads, at once."""
    found = final_reads(plan(), {"front": refused_address()}, history(row(1, "rx-a-1")), time.monotonic())
    only, left_out = found
    assert isinstance(only, Operation) and isinstance(left_out, Sample)
    assert (left_out.name, left_out.value) == ("final_reads_left_out", 0.0)
    assert (only.outcome, only.error) == ("rejected", "refused")


def test_the_deadline_holds_for_all_reads_together() -> None:
    """Reads that hang are given up together; what was not answered by then is left out."""
    rows = [row(n, f"rx-a-{n}") for n in range(40)]
    started = time.monotonic()
    with local_system(lambda _: Say(how="hang")) as system:
        (left_out,) = final_reads(
            plan(), {"front": system.base}, history(*rows), time.monotonic(), deadline_s=0.5
        )
    assert isinstance(left_out, Sample) and left_out.value == 40.0
    assert time.monotonic() - started < 10.0


def test_a_kind_that_the_system_does_not_read_is_not_asked_for() -> None:
    """Only key prefixes that system.yaml names under final_reads."""
    made = plan()
    kinds = {prefix: form for prefix, form in made.system.final_reads.items() if prefix != "rx"}
    small = replace(made, system=replace(made.system, final_reads=kinds))
    with local_system(state) as system:
        rows = final_reads(
            small, {"front": system.base}, history(row(1, "rx-a-1"), row(2, "inv-a-1")), time.monotonic()
        )
    assert [r.key for r in rows if isinstance(r, Operation)] == ["inv-a-1"]
