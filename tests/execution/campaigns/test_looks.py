"""A first look and a scan on the twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discovery.looks import Place, places
from execution.campaigns import looks
from execution.campaigns.looks import Asked, judged_properties, plan_look, scan
from execution.catalogue import Catalogue
from execution.options import PROCESSES, SIMULATION, Options
from execution.places import ROOT
from experiment.errors import ExitCode, UnsupportedError
from experiment.plan import Plan
from experiment.stop import Stop
from experiment.verdict import Verdict
from reports.scan import SCAN_FORMATS

SHOP = Catalogue(ROOT / "examples" / "shop" / "system.yaml")
ASKED = Asked("as_it_is", 1, "6/s")


def test_a_first_look_is_judged_by_what_the_runtime_can_know(tmp_path: Path) -> None:
    """Live by what must never happen; on a twin without models by what users see. Its file stays."""
    assert "no_duplicate_charge" in judged_properties(SHOP.system(), PROCESSES)
    live = plan_look(SHOP, Options(PROCESSES, out=tmp_path), ASKED)
    assert "no_duplicate_charge" in live.plan.scenario.expect.invariants
    assert Path(live.plan.scenario.source).is_relative_to(tmp_path)
    assert judged_properties(SHOP.system(), SIMULATION) == ()
    assert plan_look(SHOP, Options(SIMULATION, out=tmp_path), ASKED).plan.scenario.expect.fault


def test_a_scan_plays_each_place_and_says_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent card processor fails checkouts, latency on another link does not, and what the
    runtime refuses is named and counts as neither."""
    wanted = {("orders -> payments", "blackhole"), ("storefront -> stock", "latency"), ("orders", "crash")}

    def some(*asked: Any) -> tuple[Place, ...]:
        return tuple(place for place in places(*asked) if (place.target, place.kind) in wanted)

    def refuse(plans: list[Plan], _options: Options) -> None:
        if plans[0].activations[0].fault.kind == "crash":
            raise UnsupportedError("x.yaml:1:1: found crash on orders, which nobody can do")

    monkeypatch.setattr(looks, "places", some)
    monkeypatch.setattr(looks, "refuse_impossible", refuse)
    seen: list[str] = []
    found = scan(
        SHOP,
        Options(SIMULATION, out=tmp_path),
        ASKED,
        lambda _plan: lambda _progress: None,
        lambda _what: None,
        lambda cell: seen.append(cell.target),
        Stop(),
    )
    verdicts = {(cell.target, cell.kind): cell.verdict for cell in found.report.cells}
    assert verdicts == {
        ("storefront -> stock", "latency"): Verdict.INCONCLUSIVE,  # safety is not modelled there
        ("orders -> payments", "blackhole"): Verdict.FAIL,
        ("orders", "crash"): None,
    }
    crash = found.report.at("orders", "crash")
    assert crash is not None and crash.impossible == "crash on orders, which nobody can do"
    assert found.exit_code is ExitCode.FAIL
    assert seen == ["storefront -> stock", "orders -> payments"]
    assert {path.name for path in found.folder.iterdir()} == {*SCAN_FORMATS, "scenarios"}
