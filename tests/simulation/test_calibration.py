"""Calibration and distance: a twin fitted to a run plays like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment.errors import ConfigError, HistoryError
from experiment.history import History, build
from experiment.topology import Link, Service
from measurement.judge import analyse
from simulation.calibration import NOTHING, beyond, calibrate, fit, levels, undisturbed
from simulation.distance import Pair, distance
from simulation.engine.randomness import (
    Constant,
    Distribution,
    Exponential,
    Gamma,
    LogNormal,
    Mixture,
    Quantiles,
    Uniform,
)
from simulation.model.magnitudes import load_magnitudes, save_magnitudes, stretched
from simulation.model.models import models_of
from simulation.model.run import play, simulate
from tests.simulation.reference import plan, scenario, system, usual_sizes

SLOW = replace(
    usual_sizes(),
    work={
        "registry/read": LogNormal(0.004, 0.3),
        "payments/charge": Constant(0.03),
        "billing/pay": Exponential(0.005),
        "users/pay": Constant(0.002),
    },
)


def a_slower_system() -> tuple[History, list[dict[str, Any]]]:
    """A run of a system with other sizes than the twin's, with its spans as services would write them."""
    played = play(plan("control", "resilient"), SLOW)
    spans: list[dict[str, Any]] = []
    for service, names in models_of(system()).operations.items():
        for name, operation in names.items():
            for number, seconds in enumerate(played.spans.get((service, operation), [])):
                spans.append(
                    {
                        "trace": f"{service}{operation}{number}",
                        "span": f"s{len(spans)}",
                        "parent": f"p{len(spans)}",
                        "service": service,
                        "name": name,
                        "kind": "server",
                        "start": 2.0,
                        "end": 2.0 + seconds,
                        "attributes": None,
                    }
                )
    return build(played.rows), spans


def test_a_calibrated_twin_plays_like_the_run_it_was_fitted_to() -> None:
    """Before, the distance is wide; after, at most one figure of some twenty is off by its sampling noise."""
    wanted = plan("control", "resilient")
    live, spans = a_slower_system()
    one = scenario("control")
    live_analysis = analyse(live, one, system())

    def apart(magnitudes: Any) -> list[str]:
        twin = simulate(wanted, magnitudes)
        gaps = distance([Pair(live, live_analysis, twin, analyse(twin, one, system()))])
        assert gaps.same_verdict
        return [gap.quantity for gap in gaps.apart]

    fitted = calibrate(wanted, live, spans, usual_sizes(), name="test", made_at="2026-01-01T00:00:00Z")
    before, after = apart(usual_sizes()), apart(fitted)
    assert {"pay p50 baseline, s", "check_in p50 baseline, s"} <= set(before)
    assert not {"pay p50 baseline, s", "check_in p50 baseline, s"} & set(after)
    assert len(after) <= 1, after
    assert fitted.fits["inside registry/read"].distance < 0.1


def test_a_calibration_file_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every family survives the file; a broken file is named."""
    mixed = replace(
        SLOW, service={**SLOW.service, "payer": Mixture(((0.9, Gamma(1.0, 0.5)), (0.1, Constant(2.0))))}
    )
    save_magnitudes(mixed, tmp_path / "sizes.json")
    assert load_magnitudes(tmp_path / "sizes.json") == mixed
    (tmp_path / "broken.json").write_text('{"name": "x"}')
    with pytest.raises(ConfigError, match=r"broken.json:1:1: found KeyError"):
        load_magnitudes(tmp_path / "broken.json")
    with pytest.raises(ConfigError, match=r"found no readable file"):
        load_magnitudes(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("distribution", "family"),
    [(LogNormal(0.01, 0.8), "lognormal"), (Gamma(0.01, 0.25), "gamma"), (Exponential(0.01), "exponential")],
)
def test_the_family_that_made_a_sample_is_found(distribution: Any, family: str) -> None:
    """Of the families the nearest is chosen, and its fit is shown."""
    sample = distribution.draw(np.random.default_rng(3), 3000)
    found, shown = fit(sample)
    assert shown.family == family or (family == "exponential" and shown.family == "gamma")
    assert shown.distance < 0.03
    assert float(np.median(found.draw(np.random.default_rng(4), 20000))) == pytest.approx(
        float(np.median(sample)), rel=0.05
    )


def test_a_sample_of_no_family_keeps_its_own_quantiles() -> None:
    """Two humps are no lognormal: the table of quantiles is used, and says so."""
    rng = np.random.default_rng(5)
    sample = np.concatenate([rng.normal(0.01, 0.0005, 500), rng.normal(0.05, 0.001, 500)])
    found, shown = fit(sample)
    assert shown.family == "quantiles"
    drawn = found.draw(rng, 20000)
    assert float(np.quantile(drawn, 0.25)) == pytest.approx(0.01, rel=0.05)
    assert float(np.quantile(drawn, 0.75)) == pytest.approx(0.05, rel=0.05)


def test_what_the_twin_does_faster_for_a_few_is_no_work_of_the_others() -> None:
    """One request in twenty shares a group in the twin and in no live run: 3 ms less is no tail of 3 ms."""
    rng = np.random.default_rng(1)
    live, twin = rng.normal(0.011, 0.0001, 400), rng.normal(0.0107, 0.0001, 400)
    twin[::20] -= 0.003
    extra = beyond(live, twin, NOTHING)
    assert np.all(np.diff(extra) >= 0)
    assert extra.max() < 0.001
    assert abs(np.median(extra) - 0.0003) < 0.0001


def test_callees_are_fitted_before_their_callers() -> None:
    """What a caller takes contains what its callees take; services in a circle come together, users last."""
    order = levels(system())
    place = {name: number for number, names in enumerate(order) for name in names}
    assert all(place[link.callee] < place[link.caller] for link in system().links)
    assert order[-1] == {"users"}
    services = {name: Service() for name in "abc"}
    circle = replace(system(), services=services, links=(Link("a", "b"), Link("b", "a"), Link("b", "c")))
    assert levels(circle) == [{"c"}, {"a", "b"}, {"users"}]


def test_a_run_without_spans_or_without_a_baseline_is_refused() -> None:
    """There is nothing to fit to."""
    wanted = plan("control", "resilient")
    live, spans = a_slower_system()
    arguments = {"name": "x", "made_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(HistoryError, match="no spans"):
        calibrate(wanted, live, [], usual_sizes(), **arguments)
    with pytest.raises(HistoryError, match="found no finished baseline"):
        calibrate(wanted, replace(live, phases=()), spans, usual_sizes(), **arguments)


def test_of_a_run_with_faults_only_what_was_before_them_counts() -> None:
    """What a fault did is no size of a part: spans that it cut into, and later ones, change nothing."""
    wanted = plan("charge_response_lost", "resilient")
    played = play(wanted, SLOW)
    live = build(played.rows)
    first = min(acting.start_s for acting in wanted.activations)
    assert undisturbed(wanted, live) == (
        next(p.start_s for p in wanted.phases if p.name == "baseline"),
        first,
    )

    def fitted(later_s: float) -> Any:
        spans = [
            {
                "trace": f"t{number}", "span": f"s{number}", "parent": f"p{number}", "service": "payments",
                "name": "POST /v1/charges", "kind": "server", "attributes": None, "start": start, "end": end,
            }
            for number in range(40)
            for start, end in (
                (first - 0.1, first - 0.06),
                (first - 0.02, first + later_s),
                (first + 1.0, first + 1.0 + later_s),
            )
        ]  # fmt: skip
        return calibrate(wanted, live, spans, usual_sizes(), name="x", made_at="2026-01-01T00:00:00Z")

    assert fitted(0.04).work["payments/charge"] == fitted(30.0).work["payments/charge"]


def test_a_calibration_names_its_age() -> None:
    """In days before the run that used it."""
    sizes = replace(usual_sizes(), name="mine", made_at="2026-01-01T00:00:00+00:00", source="live run r")
    words = "mine, made 2026-01-01T00:00:00+00:00 from live run r, 2.5 days before this run"
    assert sizes.words("2026-01-03T12:00:00.000+00:00") == words
    assert replace(sizes, made_at="long ago").words("2026-01-03T12:00:00+00:00").endswith("of unknown age")


@pytest.mark.parametrize(
    "one",
    [
        Constant(0.2),
        Uniform(0.1, 0.3),
        Exponential(0.2),
        LogNormal(0.2, 0.5),
        Gamma(0.2, 0.7),
        Quantiles((0.1, 0.2, 0.5)),
        Mixture(((0.5, Constant(0.1)), (0.5, Gamma(0.2, 0.7)))),
    ],
)
def test_a_stretched_distribution_keeps_its_shape(one: Distribution) -> None:
    """The same randomness gives the same values, each three times as large."""
    drawn = [made.draw(np.random.default_rng(1), 50) for made in (one, stretched(one, 3.0))]
    assert drawn[1] == pytest.approx(3.0 * drawn[0])
