"""How callers protect themselves, estimated from what they sent while their links were slow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from discovery.looks import first_look
from execution.catalogue import Catalogue, read_scenario
from execution.places import ROOT
from experiment.design import load_design
from experiment.history import History, build
from experiment.patterns import LinkPatterns, Retry
from experiment.plan import make_plan
from experiment.workload import load_workload
from measurement.callers import Caller, _fitted, callers_of, design_text
from simulation.model.models import magnitudes_of
from simulation.model.run import simulate
from tests.measurement.histories import SYSTEM, fault_events, frame

SHOP = Catalogue(ROOT / "examples" / "shop" / "system.yaml")
LINK = "orders -> payments"


def played(folder: Path, patterns: LinkPatterns, seed: int) -> History:
    """A first look on the twin, with a caller that is known to protect itself so."""
    system = SHOP.system()
    path = folder / "try.yaml"
    path.write_text(first_look(system, "6/s", ())[0], encoding="utf-8")
    known = SHOP.design("as_it_is", system)
    design = replace(known, links={**known.links, LINK: patterns})
    population = load_workload(system).population(None, seed)
    plan = make_plan(read_scenario(path, system), system, design, seed, population, load_workload(system))
    return simulate(plan, magnitudes_of(system))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("attempts", "backoff"), [(1, 0.0), (2, 0.2), (3, 0.05)])
def test_patience_and_attempts_of_a_caller_are_seen(
    attempts: int, backoff: float, seed: int, tmp_path: Path
) -> None:
    """What the caller really does, within what looks of four tenths of a second can tell; a caller that waits
    for its answer is said to wait, and no patience is claimed of it."""
    retry = Retry(attempts, backoff, cap=1.0) if attempts > 1 else None
    history = played(tmp_path, LinkPatterns(timeout=0.5, retry=retry), seed)
    callers = {caller.link: caller for caller in callers_of(history, SHOP.system())}
    seen = callers[LINK]
    waits_s = seen.waits_s or 0.0
    assert seen.gives_up and waits_s == pytest.approx(0.5, abs=0.1) and waits_s <= 0.501
    assert seen.attempts == attempts
    if attempts > 1:
        assert waits_s + (seen.apart_s or 0.0) == pytest.approx(0.5 + backoff, abs=0.15)
    patient = callers["orders -> stock"]
    assert not patient.gives_up and patient.patterns == ""


def test_the_course_of_what_was_sent_gives_attempts_and_pauses_exactly() -> None:
    """Without noise the least squares are none; a caller that asks once is not taken for one that asks
    again."""
    calls = [0.1 * n for n in range(20)]
    for attempts, period in ((1, 0.5), (3, 0.62), (4, 0.55)):
        course = [
            (t, 100.0 * sum(min(attempts, 1 + int((t - call) / period)) for call in calls if call <= t))
            for t in (0.4, 0.83, 1.21, 1.64, 2.02, 2.41, 2.87)
        ]
        found, seen = _fitted(calls, course, 100.0, 0.5)
        assert found == attempts
        assert attempts == 1 or seen == pytest.approx(period, abs=0.02)


def test_what_was_seen_is_a_design_that_can_be_read(tmp_path: Path) -> None:
    """With patterns where they are known, and a remark where they are not."""
    callers = (
        Caller(LINK, "latency", 12, 0.48, True, 3, 0.05),
        Caller("orders -> stock", "latency", 12, 0.79, False),
        Caller("storefront -> orders", "latency", 2, 0.48, True),
        Caller("storefront -> stock", "blackhole", 0, None, False),
    )
    path = tmp_path / "as_seen.yaml"
    path.write_text(design_text("as_seen", "a-run", callers), encoding="utf-8")
    design = load_design(path, SHOP.system())
    assert design.links[LINK] == LinkPatterns(timeout=0.48, retry=Retry(3, 0.05, cap=0.05))
    assert "orders -> stock" not in path.read_text(encoding="utf-8").partition("#")[0]
    assert [caller.statement for caller in callers] == [
        "orders -> payments: gives up after about 480 ms, 3 attempts, about 50 ms apart",
        "orders -> stock: waits for 790 ms and longer; when it gives up was not seen",
        "storefront -> orders: gives up after about 480 ms; 2 calls are too few to count attempts",
        "storefront -> stock: nothing was seen to wait (0 calls during blackhole)",
    ]


@pytest.mark.parametrize(("waits_s", "period_s"), [(0.2, 0.65), (0.9, 1.7), (0.9, 0.9)])
def test_pauses_are_looked_for_up_to_half_a_second_and_to_as_long_as_was_waited(
    waits_s: float, period_s: float
) -> None:
    """A caller of little patience may pause for longer than it waits; one of much may pause as long."""
    calls = [0.1 * n for n in range(20)]
    course = [
        (t, 100.0 * sum(min(3, 1 + int((t - call) / period_s)) for call in calls if call <= t))
        for t in (0.4, 0.83, 1.21, 1.64, 2.02, 2.41, 2.87, 3.3, 4.1, 5.2)
    ]
    attempts, seen = _fitted(calls, course, 100.0, waits_s)
    assert attempts == 3 and seen == pytest.approx(period_s, abs=0.02)


def test_a_fault_that_was_never_injected_says_nothing_of_a_caller() -> None:
    """A run may end before; whoever reads it later is told of the others."""
    events = [one for one in fault_events() if one.event != "inject"]
    assert callers_of(build([*frame(with_fault=False), *events]), SYSTEM) == ()
    told = callers_of(build([*frame(with_fault=False), *fault_events()]), SYSTEM)
    assert [caller.link for caller in told] == ["billing -> payments"]
