"""Payments and claims under lost responses, errors and a kill: each remedy, and what returns when it is
taken away."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from experiment.patterns import Retry
from tests.reference_system import journeys
from tests.reference_system.cluster import Answer, Cluster, wait_for
from tests.reference_system.designs import with_link, with_service

pytestmark = pytest.mark.live


def pay_all(cluster: Cluster, names: list[str]) -> list[Answer | None]:
    """Pay from several clients at once; None where the connection broke."""

    def one(name: str) -> Answer | None:
        try:
            return journeys.pay(cluster, name)
        except OSError:
            return None

    with ThreadPoolExecutor(8) as clients:
        return list(clients.map(one, names))


def charges_per_invoice(cluster: Cluster) -> Counter[str]:
    return Counter(row["key"] for row in cluster.records("payments", "charge"))


def open_invoices(cluster: Cluster, count: int) -> list[str]:
    names = [f"p{n}" for n in range(count)]
    for name in names:
        assert journeys.claim(cluster, name).status == 201
    return names


def test_lost_responses_never_charge_twice(cluster: Cluster) -> None:
    """With keys, saga and lookup, half of all replies may vanish: every invoice is paid by one charge."""
    cluster.reset(cluster.design("resilient"))
    names = open_invoices(cluster, 16)
    cluster.call("payments", "PUT", "/admin/behaviour/lost_response", {"share": 0.5, "caller": "billing"})
    answers = pay_all(cluster, names)
    assert {answer.status for answer in answers if answer} <= {200, 202}
    dropped = cluster.call("payments", "GET", "/metrics").body["dropped_replies"]
    assert dropped["billing"] > 0
    cluster.call("payments", "DELETE", "/admin/behaviour/lost_response")
    cluster.settled()
    assert charges_per_invoice(cluster) == Counter(f"inv-{name}" for name in names)
    assert {row["status"] for row in cluster.records("billing", "invoice")} == {"paid"}
    assert {row["status"] for row in cluster.records("billing", "saga")} == {"completed"}


def test_without_the_key_lost_responses_charge_twice(cluster: Cluster) -> None:
    """The same saga without its key cannot know what became of a charge, and charges again."""
    cluster.reset(with_service(cluster.design("resilient"), "billing", idempotency_key=False))
    names = open_invoices(cluster, 16)
    cluster.call("payments", "PUT", "/admin/behaviour/lost_response", {"share": 0.5})
    pay_all(cluster, names)
    cluster.call("payments", "DELETE", "/admin/behaviour/lost_response")
    cluster.settled()
    assert max(charges_per_invoice(cluster).values()) > 1


def test_the_fragile_design_charges_twice(cluster: Cluster) -> None:
    """Immediate retries without a key turn a lost reply into a second charge."""
    cluster.reset(cluster.design("fragile"))
    names = open_invoices(cluster, 16)
    cluster.call("payments", "PUT", "/admin/behaviour/lost_response", {"share": 0.5})
    pay_all(cluster, names)
    assert max(charges_per_invoice(cluster).values()) > 1


@pytest.mark.parametrize("changes", [{}, {"saga": False}])
def test_another_amount_under_the_same_key_is_refused_and_charges_nothing(
    cluster: Cluster, changes: dict[str, bool]
) -> None:
    """Before the payment, while it is under way, and after it; the right amount is paid once."""
    cluster.reset(with_service(cluster.design("resilient"), "billing", **changes))
    assert journeys.claim(cluster, "other").status == 201
    path, right, wrong = "/invoices/inv-other/pay", {"amount": 120.5}, {"amount": 200.0}
    assert cluster.call("billing", "POST", path, wrong).status == 422
    assert cluster.records("payments", "charge") == []
    cluster.call("payments", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 0.6, "caller": "billing"})
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(cluster.call, "billing", "POST", path, right)
        time.sleep(0.2)
        assert cluster.call("billing", "POST", path, wrong).status == 422
        assert first.result().status in (200, 202)
    cluster.call("payments", "DELETE", "/admin/behaviour/slow_processing")
    cluster.settled()
    assert cluster.call("billing", "POST", path, wrong).status == 422
    assert cluster.call("billing", "POST", path, right).status == 200
    assert charges_per_invoice(cluster) == Counter({"inv-other": 1})


def test_without_a_key_another_amount_is_refused_only_once_the_invoice_is_settled(cluster: Cluster) -> None:
    """While the first charge is under way the second is made, too: what a key is for."""
    cluster.reset(cluster.design("fragile"))
    assert journeys.claim(cluster, "twice").status == 201
    path, right, wrong = "/invoices/inv-twice/pay", {"amount": 120.5}, {"amount": 200.0}
    cluster.call("payments", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 0.6, "caller": "billing"})
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(cluster.call, "billing", "POST", path, right)
        time.sleep(0.2)
        assert cluster.call("billing", "POST", path, wrong).status == 200
        assert first.result().status == 200
    cluster.call("payments", "DELETE", "/admin/behaviour/slow_processing")
    assert charges_per_invoice(cluster) == Counter({"inv-twice": 2})
    assert cluster.call("billing", "POST", path, wrong).status == 422


def killed_between_steps(cluster: Cluster) -> None:
    """Kill billing while charges are in flight, and start it again."""
    names = open_invoices(cluster, 8)
    cluster.call("payments", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 0.5})
    with ThreadPoolExecutor(1) as clients:
        paying = clients.submit(pay_all, cluster, names)
        wait_for(
            "charges in flight", lambda: cluster.call("payments", "GET", "/metrics").body["in_flight"] == 8
        )
        cluster.kill("billing")
        paying.result(20)
    cluster.call("payments", "DELETE", "/admin/behaviour/slow_processing")
    wait_for("charges captured", lambda: len(cluster.records("payments", "charge")) == 8)
    cluster.start("billing")
    cluster.ready("billing")


def test_a_killed_saga_is_completed_after_the_restart(cluster: Cluster) -> None:
    """kill -9 between charge and update: the next process looks the charge up and completes the invoice."""
    cluster.reset(cluster.design("resilient"))
    killed_between_steps(cluster)
    cluster.settled()
    assert set(charges_per_invoice(cluster).values()) == {1}
    assert {row["status"] for row in cluster.records("billing", "invoice")} == {"paid"}
    assert {row["status"] for row in cluster.records("billing", "saga")} == {"completed"}


def test_without_the_saga_a_kill_leaves_money_taken_for_open_invoices(cluster: Cluster) -> None:
    """Charge, then update: after a kill between the two, the patient paid and the invoice does not know."""
    cluster.reset(with_service(cluster.design("resilient"), "billing", saga=False))
    killed_between_steps(cluster)
    assert len(cluster.records("payments", "charge")) == 8
    assert {row["status"] for row in cluster.records("billing", "invoice")} == {"open"}


def test_a_restarted_service_goes_on_in_its_run(cluster: Cluster) -> None:
    """After a kill the service follows the run and the design of the last reset, not those of its file."""
    run = cluster.reset(cluster.design("fragile"))
    cluster.kill("billing")
    cluster.start("billing")
    cluster.ready("billing")
    found = cluster.call("billing", "GET", "/metrics").body
    assert (found["run"], found["design"]) == (run, "fragile")


def test_a_declined_card_ends_the_saga_without_a_charge(cluster: Cluster) -> None:
    """402 is an answer: the invoice fails, the saga is compensated, and no money moved."""
    cluster.reset(cluster.design("resilient"))
    names = open_invoices(cluster, 2)
    cluster.call("payments", "PUT", "/admin/behaviour/decline", {"share": 1.0})
    assert [answer.status for answer in pay_all(cluster, names) if answer] == [402, 402]
    assert cluster.records("payments", "charge") == []
    assert {row["status"] for row in cluster.records("billing", "saga")} == {"compensated"}
    assert {row["status"] for row in cluster.records("billing", "invoice")} == {"failed"}


def amplification(cluster: Cluster, names: list[str]) -> float:
    cluster.call("payments", "PUT", "/admin/behaviour/error_share", {"share": 0.5, "status": 503})
    pay_all(cluster, names)
    link = cluster.call("billing", "GET", "/metrics").body["links"]["payments"]
    return float(link["attempts"] / link["logical"])


def test_the_retry_budget_bounds_the_attempts(cluster: Cluster) -> None:
    """Half of all requests fail: with a 10% budget there are at most 1.1 attempts a request."""
    cluster.reset(cluster.design("resilient"))
    assert amplification(cluster, open_invoices(cluster, 24)) <= 1.1


def test_without_a_budget_errors_multiply_the_attempts(cluster: Cluster) -> None:
    """Unlimited retries on the same link: well above one attempt a request."""
    unlimited = Retry(attempts=10, budget=None)
    cluster.reset(
        with_link(cluster.design("resilient"), "billing -> payments", retry=unlimited, breaker=None)
    )
    assert amplification(cluster, open_invoices(cluster, 24)) > 1.4


def test_the_payment_instrument_honours_a_key(cluster: Cluster) -> None:
    """One key: in progress 409, done replayed, another payload 422; without a key every request is a
    charge."""
    cluster.reset(cluster.design("resilient"))
    order, key = {"invoice": "inv-x", "amount": 10.0}, {"idempotency-key": "k1"}
    cluster.call("payments", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 0.0})
    with ThreadPoolExecutor(2) as clients:
        both = list(
            clients.map(lambda _: cluster.call("payments", "POST", "/v1/charges", order, headers=key), (1, 2))
        )
    assert sorted(answer.status for answer in both) in ([201, 409], [200, 201])
    again = cluster.call("payments", "POST", "/v1/charges", order, headers=key)
    assert again.status == 200
    other = cluster.call("payments", "POST", "/v1/charges", {**order, "amount": 11.0}, headers=key)
    assert other.status == 422
    cluster.call("payments", "POST", "/v1/charges", order)
    cluster.call("payments", "POST", "/v1/charges", order)
    assert len(cluster.records("payments", "charge")) == 3
    refunds = [
        cluster.call("payments", "POST", "/v1/refunds", {"charge": again.body["id"]}).body for _ in range(2)
    ]
    assert refunds[0]["id"] == refunds[1]["id"]


def test_a_lost_claim_response_is_one_claim_with_a_key_and_two_without(cluster: Cluster) -> None:
    """The payer's ledger shows a claim as often as it was accepted."""
    for design, most in ((cluster.design("resilient"), 1), (cluster.design("fragile"), 2)):
        cluster.reset(design)
        cluster.call("payer", "PUT", "/admin/behaviour/lost_response", {"share": 0.5})
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(lambda n: journeys.claim(cluster, f"q{n}"), range(12)))
        cluster.call("payer", "DELETE", "/admin/behaviour/lost_response")
        ends = time.monotonic() + 10
        while time.monotonic() < ends and len({r["key"] for r in cluster.records("payer", "claim")}) < 12:
            time.sleep(0.05)
        accepted = Counter(row["key"] for row in cluster.records("payer", "claim"))
        assert len(accepted) == 12
        assert (max(accepted.values()) > 1) == (most > 1), (design.name, accepted)
