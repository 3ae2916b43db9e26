"""Calibration and distance: a twin fitted to a run plays like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment.errors import ConfigError, HistoryError
from experiment.history import History, build
from load import outcomes
from measurement.judge import analyse
from simulation.calibration import OPERATIONS, calibrate, fit
from simulation.distance import binomial_interval, distance
from simulation.magnitudes import load_magnitudes, save_magnitudes
from simulation.randomness import Constant, Exponential, Gamma, LogNormal, Mixture
from simulation.run import play, simulate
from tests.simulation.reference import plan, scenario, system

SLOW = replace(
    load_magnitudes(),
    work={
        "registry/read": LogNormal(0.004, 0.3),
        "payments/charge": Constant(0.03),
        "billing/pay": Exponential(0.005),
        "users/pay": Constant(0.002),
    },
)


def a_slower_system() -> tuple[History, list[dict[str, Any]]]:
    """A run of a system with other sizes than the twin's, with its spans as services would write them."""
    played = play(plan("control", "resilient"), SLOW, outcomes)
    spans: list[dict[str, Any]] = []
    for service, names in OPERATIONS.items():
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
        twin = simulate(wanted, magnitudes, outcomes)
        gaps = distance(live, live_analysis, twin, analyse(twin, one, system()))
        assert gaps.same_verdict
        return [gap.quantity for gap in gaps.apart]

    fitted = calibrate(
        wanted, live, spans, load_magnitudes(), outcomes, name="test", made_at="2026-01-01T00:00:00Z"
    )
    before, after = apart(load_magnitudes()), apart(fitted)
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


def test_a_run_with_faults_or_without_spans_is_refused() -> None:
    """What faults did is no size of a part."""
    live, spans = a_slower_system()
    arguments = {"name": "x", "made_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(HistoryError, match="found a run with faults"):
        calibrate(plan("payer_blackhole", "resilient"), live, spans, load_magnitudes(), outcomes, **arguments)
    with pytest.raises(HistoryError, match="no spans"):
        calibrate(plan("control", "resilient"), live, [], load_magnitudes(), outcomes, **arguments)


def test_the_binomial_interval_is_clopper_and_pearsons() -> None:
    """Known values: none of 20 and 5 of 20."""
    assert binomial_interval(0, 20) == pytest.approx((0.0, 0.1684), abs=1e-4)
    assert binomial_interval(5, 20) == pytest.approx((0.0866, 0.4910), abs=1e-4)
