"""Systems without models of their own: general ones, calibrated from spans, from counters or from users."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from experiment.controls import Fault
from experiment.history import History, build
from experiment.patterns import LinkPatterns, Retry
from experiment.plan import Activation, Plan
from experiment.topology import Journey, Link, Service, System, WorkloadFiles
from experiment.verdict import Verdict
from faults import KINDS
from measurement.judge import analyse
from simulation.calibration import calibrate, restarts
from simulation.call_trees import learned_calls, named_by_journey
from simulation.engine.randomness import Constant
from simulation.model.general import calls_of_uses
from simulation.model.magnitudes import Call, Magnitudes, load_magnitudes, save_magnitudes
from simulation.model.models import magnitudes_of
from simulation.model.run import play, simulate
from tests.simulation.reference import plan, scenario, system

FACTS = {"name": "fitted", "made_at": "2026-01-01T00:00:00Z"}
PREDICTED = {"bounded_waiting", "no_retry_amplification", "recovers"}


def stripped(one: Plan) -> Plan:
    """The same plan of the same system without its folder of models."""
    files = WorkloadFiles(client=system().workload.client)
    return replace(one, system=replace(system(), workload=files))


def slower() -> Magnitudes:
    """The reference system with sizes of its own: what stands for the live one here."""
    work = {
        "registry/read": Constant(0.004),
        "payments/charge": Constant(0.02),
        "billing/claim": Constant(0.01),
    }
    return replace(magnitudes_of(system()), work=work)


def medians(history: History) -> dict[str, float]:
    answered = history.operations.filter(
        (pl.col("outcome") == "acknowledged") & (pl.col("journey") != "final_read")
    )
    waited = answered.group_by("journey").agg((pl.col("ended") - pl.col("intended")).median().alias("p50"))
    return dict(waited.iter_rows())


def good_share(one: Plan, history: History, journey: str, limit_s: float) -> float:
    """Of what was sent during the fault, answered well within a limit."""
    fault = one.phase("fault")
    sent = history.operations.filter(
        (pl.col("journey") == journey) & pl.col("intended").is_between(fault.start_s, fault.end_s)
    )
    good = sent.filter(
        (pl.col("outcome") == "acknowledged") & (pl.col("ended") - pl.col("intended") < limit_s)
    )
    return len(good) / len(sent)


def fitted(name: str = "control", design: str = "fragile") -> Magnitudes:
    """General models, calibrated to a run of the system without its spans."""
    wanted = plan(name, design)
    live = simulate(wanted, slower())
    general = stripped(wanted)
    return calibrate(general, live, [], magnitudes_of(general.system), **FACTS)


def test_without_a_calibration_the_calls_are_those_that_the_journeys_use() -> None:
    """From its entry on a request takes each link once; what only runs behind is no call of a request."""
    calls = calls_of_uses(system())
    assert calls["billing/pay"] == tuple(Call(name, "pay") for name in ("postgres", "payments", "bus"))
    assert calls["checkin/check_in"][0].callee == "registry"
    assert calls["eligibility/check_in"][0] == Call("payer", "check_in")
    assert "pharmacy/prescribe" not in calls
    circle = System(
        "circle",
        {name: Service(module="m") for name in "ab"},
        (Link("a", "b"), Link("b", "a")),
        {"go": Journey("a", ("a -> b", "b -> a"))},
        {},
    )
    assert calls_of_uses(circle) == {"a/go": (Call("b", "go"),), "b/go": (Call("a", "go"),)}


@pytest.mark.parametrize("name", ["control", "charge_response_lost", "delayed_dose_event", "billing_crash"])
def test_of_safety_nothing_is_said(name: str) -> None:
    """Whatever a scenario asks, a property that needs what services keep is inconclusive and says why."""
    one = stripped(plan(name, "resilient"))
    analysis = analyse(simulate(one, magnitudes_of(one.system)), scenario(name), one.system)
    unknown = [check for check in analysis.checks if check.checker not in PREDICTED]
    assert len(unknown) == len(analysis.checks) - len(PREDICTED) > 5
    for check in unknown:
        assert check.verdict is Verdict.INCONCLUSIVE, check
        assert "not modelled" in check.statement
    assert analysis.verdict is not Verdict.PASS


def test_a_reader_is_told_what_the_run_rests_on() -> None:
    """That the models are general, where their calls come from, and which switches change nothing."""
    one = stripped(plan("control", "resilient"))
    (note,) = simulate(one, magnitudes_of(one.system)).notes
    assert note.text.startswith(
        "the system brings no twin models (workload.twin): general ones predict latency"
    )
    assert "what a request calls is what its journey `uses`" in note.text
    assert "not modelled: " in note.text
    assert "outbox" in note.text
    (later,) = simulate(one, fitted()).notes
    assert "uses" not in later.text
    own = plan("control", "resilient")
    assert simulate(own, magnitudes_of(own.system)).notes == ()


def test_a_calibrated_one_takes_as_long_as_the_run() -> None:
    """The median of every journey is within a tenth of the run's, by what users saw and what was counted."""
    wanted = plan("control", "fragile")
    live = medians(simulate(wanted, slower()))
    shown = medians(simulate(stripped(wanted), fitted()))
    assert {name: shown[name] / p50 for name, p50 in live.items()} == {
        name: pytest.approx(1.0, abs=0.1) for name in live
    }


@pytest.mark.parametrize(
    ("name", "journey", "limit_s"),
    [("payer_blackhole", "check_in", 1.5), ("registry_silent", "prescribe", 1.0)],
)
def test_a_fault_moves_goodput_as_it_moved_the_run(name: str, journey: str, limit_s: float) -> None:
    """Calibrated without faults, the general models lose as much under a black hole."""
    wanted = plan(name, "fragile")
    live = good_share(wanted, simulate(wanted, slower()), journey, limit_s)
    twin = good_share(wanted, simulate(stripped(wanted), fitted()), journey, limit_s)
    assert live < 0.5
    assert twin == pytest.approx(live, abs=0.12)


def under(kind: str, target: str, design: LinkPatterns | None = None, **keys: Any) -> tuple[Plan, History]:
    """The control scenario with a fault in the middle, and another design of one link."""
    one = stripped(plan("control", "fragile"))
    fault: Fault = KINDS[kind](**keys)
    start = one.phase("fault").start_s if one.phase("fault").end_s > one.phase("fault").start_s else 4.0
    one = replace(one, activations=(Activation("f1", fault, target, start, start + 4.0),))
    if design is not None:
        links = {**one.design.links, target: design}
        one = replace(one, design=replace(one.design, links=links))
    return one, simulate(one, fitted())


def during(one: Plan, history: History, journey: str) -> pl.DataFrame:
    """The operations of a journey that were due while the fault acted."""
    acting = one.activations[0]
    return history.operations.filter(
        (pl.col("journey") == journey) & pl.col("intended").is_between(acting.start_s, acting.end_s - 0.5)
    )


@pytest.mark.parametrize(
    ("kind", "target", "keys"),
    [
        ("crash", "payments", {}),
        ("refusal", "billing -> payments", {}),
        ("blackhole", "billing -> payments", {}),
        ("reset", "billing -> payments", {"after": 0.0}),
        ("error_share", "billing -> payments", {"share": 1.0}),
        ("network_disconnect", "payments", {}),
        ("disk_full", "postgres", {}),
    ],
)
def test_faults_that_cut_a_call_fail_the_journeys_that_make_it(
    kind: str, target: str, keys: dict[str, Any]
) -> None:
    """And each is proven by its own measurement; what does not make the call goes on, but for the store."""
    one, history = under(kind, target, **keys)
    assert [event.event for event in history.faults if event.event in ("active", "no_effect")] == ["active"]
    paid = during(one, history, "pay")
    in_time = paid.filter((pl.col("outcome") == "acknowledged") & (pl.col("ended") - pl.col("sent") < 0.5))
    assert len(paid) > 5
    assert len(in_time) == 0
    if target != "postgres":
        assert (during(one, history, "dispense")["outcome"] == "acknowledged").all()


@pytest.mark.parametrize(
    ("kind", "target", "keys", "more_s"),
    [
        ("latency", "billing -> payments", {"delay": 0.3}, 0.3),
        ("slow_processing", "billing -> payments", {"delay": 0.3}, 0.3),
        ("pause", "payments", {}, 1.0),
    ],
)
def test_faults_that_slow_a_call_slow_the_journeys_that_make_it(
    kind: str, target: str, keys: dict[str, Any], more_s: float
) -> None:
    """By as much as the fault says, or until a paused process goes on."""
    one, history = under(kind, target, **keys)
    rows = during(one, history, "pay")
    waited = (rows["ended"] - rows["intended"]).median()
    assert isinstance(waited, float)
    assert waited > more_s
    assert waited < 5.0


def test_the_patterns_of_a_design_act_on_its_links() -> None:
    """With retries a share of errors costs attempts instead of users."""
    share = {"share": 0.4}
    bare, without = under("error_share", "billing -> payments", LinkPatterns(timeout=1.0), **share)
    patterns = LinkPatterns(timeout=1.0, retry=Retry(attempts=6))
    one, retried = under("error_share", "billing -> payments", patterns, **share)

    def retries(history: History) -> float:
        found = (
            s.value
            for s in history.samples
            if (s.name, s.source, s.about) == ("retries", "billing", "payments")
        )
        return max(found)

    assert (during(bare, without, "pay")["outcome"] != "acknowledged").sum() > 3
    paid = during(one, retried, "pay")
    assert (paid["outcome"] == "acknowledged").sum() > 0.9 * len(paid)
    assert retries(without) == 0 < retries(retried)


def span(
    kind: str, service: str, name: str, ids: str, at: float, took: float, link: str = ""
) -> dict[str, Any]:
    """A span; `ids` are its trace, its own id and its parent's."""
    trace, own, parent = ids.split()
    attributes = {"link": link} if link else None
    facts = {"kind": kind, "service": service, "name": name, "attributes": attributes}
    return {"trace": trace, "span": own, "parent": parent, "start": at, "end": at + took, **facts}


def traced(history: History) -> tuple[History, list[dict[str, Any]]]:
    """The history with traces of its payments: each asks for the charge twice, and once for the stock of a
    service that leaves no spans; behind the request something else is called."""
    paid = history.operations.with_columns(
        trace=pl.when(pl.col("journey") == "pay").then(pl.format("t{}", pl.col("id")))
    )
    spans = [span("server", "billing", "GET /health", "probe h none", 6.0, 0.001)]
    begun = paid.filter(pl.col("trace").is_not_null()).select("trace", "sent").iter_rows()
    for trace, at in begun:
        spans.append(span("server", "billing", "POST /pay", f"{trace} {trace}s user", at, 0.1))
        for number, start in enumerate((0.01, 0.05)):
            own = f"{trace}c{number}"
            ids = f"{trace} {own} {trace}s"
            spans.append(span("client", "billing", "POST", ids, at + start, 0.03, "billing -> payments"))
            spans.append(
                span("server", "payments", "POST /v1/charges", f"{trace} {own}x {own}", at + start, 0.02)
            )
        ids = f"{trace} {trace}e {trace}s"
        spans.append(span("client", "billing", "GET payer", ids, at + 0.085, 0.01, "billing -> payer"))
        ids = f"{trace} {trace}b {trace}s"
        spans.append(span("client", "billing", "late", ids, at + 0.2, 0.01, "billing -> payer"))
    return replace(history, lazy_operations=paid.lazy()), spans


def test_the_calls_of_an_operation_are_read_from_its_spans() -> None:
    """In their order and as often as they were made; what was called behind a request is no part of it, and
    questions after a service's health are no requests. Statements are counted, not traced."""
    wanted = stripped(plan("control", "fragile"))
    history, spans = traced(simulate(plan("control", "fragile"), slower()))
    window = (0.0, wanted.load_end_s)
    named = named_by_journey(spans, history)
    calls = learned_calls(wanted, history, named, window)
    assert set(calls) == {"billing/pay", "payments/POST /v1/charges"}
    charge, payer, *behind = calls["billing/pay"]
    assert charge == Call("payments", "POST /v1/charges", 2.0)
    assert payer == Call("payer", "GET payer", 1.0)
    assert [call.callee for call in behind] == ["postgres", "bus"]
    assert behind[0].count > 1.0


def test_a_calibration_from_spans_gives_each_service_its_own_time() -> None:
    """A charge of 20 ms is spent at the processor, so that a processor of half the speed costs twice that."""
    wanted = stripped(plan("control", "fragile"))
    history, spans = traced(simulate(plan("control", "fragile"), slower()))
    found = calibrate(wanted, history, spans, magnitudes_of(wanted.system), **FACTS)
    assert found.learned
    assert found.fits["inside payments/POST /v1/charges"].samples > 10
    played = play(wanted, found)
    inside = pl.Series(played.spans["payments", "POST /v1/charges"]).median()
    assert inside == pytest.approx(0.02, rel=0.1)
    assert medians(build(played.rows))["pay"] == pytest.approx(0.1, rel=0.1)


def test_without_spans_what_every_request_takes_is_shared_by_the_services_on_its_way() -> None:
    """A crash of the last of them costs only what the others take: a refused call is not as slow as an
    answered one. What some requests take longer stays at the entry."""
    wanted = stripped(plan("control", "fragile"))
    found = fitted()
    shared = found.work["payments/pay"]
    assert isinstance(shared, Constant) and 0.002 < shared.value < 0.02
    _, history = under("crash", "payments")
    refused = during(replace(wanted, activations=(Activation("f1", KINDS["crash"](), "payments", 4.0, 8.0),)),
                     history, "pay")  # fmt: skip
    took = (refused["ended"] - refused["intended"]).median()
    assert isinstance(took, float) and took < 0.8 * medians(history)["pay"]


def test_a_service_that_crashed_takes_as_long_to_be_ready_as_it_did() -> None:
    """The time from its start to its answer is learned for that service, whatever else the run shows."""
    wanted = plan("billing_crash", "fragile")
    slow = replace(slower(), constants={**slower().constants, "restart_s": 2.5})
    live = simulate(wanted, slow)
    assert restarts(live) == {"billing": pytest.approx(2.5, abs=0.2)}
    general = stripped(wanted)
    found = calibrate(general, live, [], magnitudes_of(general.system), **FACTS)
    assert found.constants["restart_s/billing"] == pytest.approx(2.5, abs=0.2)
    assert restarts(simulate(general, found))["billing"] == pytest.approx(2.5, abs=0.3)


def test_a_calibration_with_calls_comes_back_from_its_file(tmp_path: Any) -> None:
    """Calls are part of the file, so that `run --calibration FILE` plays them."""
    made = fitted()
    save_magnitudes(made, tmp_path / "sizes.json")
    assert load_magnitudes(tmp_path / "sizes.json") == made
