"""Sweeps: variants of a design, many seeds, over processes and on a Dask cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import get_ident

import polars as pl
import pytest

from execution.commands.simulate import effects_said
from experiment.errors import UsageError
from experiment.plan import make_plan
from experiment.scenario import Arrivals
from experiment.tables import Table
from measurement.judge import analyse
from simulation.effects import effects, intervals
from simulation.engine.randomness import Constant
from simulation.model.run import simulate
from simulation.sweep import Setting, SweepError, figures, points, run_on_dask, run_sweep, write_results
from simulation.variation import apply, combinations, parse_variation, refuse_unmodelled, untouched
from simulation.workers import undivided
from tests.simulation.reference import design, plan_of, scenario, system, usual_sizes, workload

LOOPBACK = {"protocol": "tcp", "host": "127.0.0.1"}


def setting() -> Setting:
    return Setting(usual_sizes())


def test_a_value_is_varied_in_its_unit() -> None:
    """Durations, numbers, words and switches of links and services, and the load's rate."""
    chosen = {
        "billing -> payments.timeout": "250ms",
        "checkin.shedding.concurrent": "7",
        "*.retry.attempts": "5",
        "pharmacy.dispense_check": "projection",
        "registry.outbox": "off",
        "load.rate": "30/s",
    }
    varied, other = apply(design("resilient"), scenario("control"), chosen, system())
    assert varied.links["billing -> payments"].timeout == 0.25
    assert varied.services["checkin"]["shedding"] == {"concurrent": 7}
    assert varied.links["billing -> payments"].retry.attempts == 5  # type: ignore[union-attr]
    assert varied.links["checkin -> registry"].retry is None  # it had none to vary
    assert varied.services["pharmacy"]["dispense_check"] == "projection"
    assert varied.services["registry"]["outbox"] is False
    assert other.load.arrivals.rate == 30.0
    assert design("resilient").services["registry"]["outbox"] is True


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("*.timeout", "250", "expected a duration with its unit (us, ms, s, min, h), such as 250ms or off"),
        ("*.timeoot", "1s", 'did you mean "timeout"?'),
        ("biling.outbox", "on", 'did you mean "billing"?'),
        ("pharmacy.dispense_check", "guess", "expected one of projection, current_read, reservation"),
        ("checkin.shedding.concurent", "4", 'did you mean "concurrent"?'),
        ("timeout", "1s", "expected TARGET.PATTERN, TARGET.SWITCH or load.rate"),
        ("*.retry.attempts", "0", "found attempts 0, expected 1 to 100"),
        ("checkin.shedding.concurrent", "0", 'found "0", expected a whole number, 1 or more'),
        ("checkin.saga", "on", 'found the switch "saga" for checkin, expected a service that it concerns'),
        ("billing.saga.key", "on", "expected a switch that has fields"),
        ("billing.saga", "2s", 'found "2s", expected on or off'),
        (
            "*.eligibility_cache",
            "5",
            "expected a duration with its unit (us, ms, s, min, h), such as 250ms or off",
        ),
        ("load.rate", "0/s", 'found "0/s", expected a rate above 0/s and at most'),
        ("load.rate", "1000000/s", 'found "1000000/s", expected a rate above 0/s and at most'),
    ],
)
def test_a_wrong_key_or_value_is_named(key: str, value: str, message: str) -> None:
    """What was found, what was expected and the nearest right name."""
    with pytest.raises(UsageError) as caught:
        apply(design("resilient"), scenario("control"), {key: value}, system())
    assert message in str(caught.value)


def test_a_star_says_what_it_does_not_touch_and_leaves_a_named_link_alone() -> None:
    """Links that have the pattern off, and the link that a key of its own varies, wherever that stands."""
    own, every = "billing -> payments.retry.attempts", "*.retry.attempts"
    for order in ([own, every], [every, own]):
        keys = [parse_variation(f"{key}={'7' if key == own else '2'}") for key in order]
        (one,) = untouched(design("resilient"), keys, system())
        assert (one.key, one.design, one.named) == (every, "resilient", ("billing -> payments",))
        assert "checkin -> registry" in one.off and "billing -> payer" not in one.off
        (chosen,) = combinations(keys)
        varied, _ = apply(design("resilient"), scenario("control"), chosen, system())
        attempts = {name: link.retry.attempts for name, link in varied.links.items() if link.retry}
        assert attempts.pop("billing -> payments") == 7 and set(attempts.values()) == {2}
        assert not set(attempts) & set(one.off)
    assert untouched(design("resilient"), [parse_variation("*.timeout=1s")], system()) == []
    strong = design("resilient")
    without = replace(
        strong, services=strong.services | {"checkin": strong.services["checkin"] | {"shedding": None}}
    )
    (switch,) = untouched(without, [parse_variation("*.shedding.concurrent=9")], system())
    assert (switch.links, switch.off) == (False, ("checkin",))
    with pytest.raises(UsageError, match="did you mean"):
        untouched(design("resilient"), [parse_variation("*.retri.attempts=1")], system())


def test_a_switch_that_no_model_obeys_is_not_varied() -> None:
    """It would change nothing, and look as if it did not matter."""
    refuse_unmodelled([parse_variation("billing.saga=on,off"), parse_variation("*.timeout=1s")], system())
    bare = replace(system(), workload=replace(system().workload, twin=""))
    with pytest.raises(
        UsageError, match=r"which the twin does not model, expected a link pattern, load\.rate"
    ):
        refuse_unmodelled([parse_variation("billing.saga=on,off")], bare)
    with pytest.raises(UsageError, match="saga"):
        refuse_unmodelled([parse_variation("*.database=owned,shared")], system())


def test_the_rate_of_a_replayed_load_is_not_varied() -> None:
    """It would change nothing, and look as if the rate did not matter."""
    one = scenario("control")
    replayed = replace(one, load=replace(one.load, arrivals=Arrivals("replay", file="times.txt")))
    with pytest.raises(UsageError, match="replayed from a file"):
        apply(design("resilient"), replayed, {"load.rate": "8/s"}, system())


def test_a_value_given_twice_runs_once_and_a_key_given_twice_is_refused() -> None:
    """The same run twice would count as two seeds, and narrow every interval."""
    assert parse_variation("a.timeout=1s, 1s,2s").values == ("1s", "2s")
    with pytest.raises(UsageError, match="timeout twice, expected all its values"):
        combinations([parse_variation("a.timeout=1s"), parse_variation("a.timeout=2s")])


def test_variations_multiply() -> None:
    """Two keys of two values give four variants; a text without values is refused."""
    variations = [parse_variation("a.timeout=1s,2s"), parse_variation("load.rate=1/s, 2/s")]
    assert len(combinations(variations)) == 4
    assert combinations([]) == [{}]
    with pytest.raises(UsageError, match="expected KEY=V1,V2"):
        parse_variation("a.timeout")


def test_a_sweep_shows_what_a_remedy_changes(tmp_path: Path) -> None:
    """The key against duplicate charges: an effect of full size on every seed, in rows that are kept."""
    todo = points(
        scenario("charge_response_lost"),
        system(),
        [design("resilient")],
        range(1, 5),
        [parse_variation("billing.idempotency_key=on,off")],
    )
    seen: list[tuple[int, int]] = []
    results = run_sweep(todo, setting(), lambda done, total: seen.append((done, total)), processes=1)
    assert seen[-1] == (8, 8)
    assert results["seed"].to_list() == [1, 2, 3, 4] * 2
    without = results.filter(pl.col("billing.idempotency_key") == "off")
    assert without["violations"].min() > 0  # type: ignore[operator]
    score = next(effect for effect in effects(results) if effect.metric == "score")
    assert score.baseline == "resilient (billing.idempotency_key=on)"
    assert (score.pairs, score.larger) == (4, 0.0)
    assert score.high < 0
    pay = [i for i in intervals(results) if i.metric == "pay.baseline.p50_s"]
    assert len(pay) == 2
    assert all(i.low <= i.mean <= i.high for i in pay)
    for name in ("results.csv", "results.parquet"):
        write_results(results, tmp_path / name)
    assert pl.read_parquet(tmp_path / "results.parquet").equals(results)
    with pytest.raises(UsageError, match=r"ends in \.parquet or \.csv"):
        write_results(results, tmp_path / "results.txt")


def test_where_a_run_is_computed_changes_nothing() -> None:
    """One process, two processes and a Dask cluster give the same rows in the same order."""
    distributed = pytest.importorskip("distributed")
    todo = points(scenario("control"), system(), [design("fragile"), design("resilient")], [1, 2], [])
    alone = run_sweep(todo, setting(), processes=1)
    assert run_sweep(todo, setting(), processes=2).equals(alone)
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        processes=True,
        protocol="tcp",
        host="127.0.0.1",
    ) as cluster:
        assert run_on_dask(todo, setting(), cluster.scheduler_address).equals(alone)


def test_a_row_says_what_the_whole_analysis_says() -> None:
    """What a sweep does not tell is left out, and nothing else; a kept population is the right one."""
    todo = points(scenario("payer_blackhole"), system(), [design("fragile"), design("resilient")], [1, 2], [])
    rows = run_sweep(todo, setting(), processes=2).to_dicts()
    for point, row in zip(todo, rows, strict=True):
        people = workload().population(None, point.seed)
        plan = make_plan(point.scenario, point.system, point.design, point.seed, people, workload())
        history = simulate(plan, setting().magnitudes)
        whole = analyse(history, point.scenario, point.system)
        assert {name: row[name] for name in figures(history, whole)} == figures(history, whole)
        short = analyse(history, point.scenario, point.system, drawn=False)
        assert whole.timelines and whole.score.interval is not None
        score = replace(whole.score, interval=None)
        assert short == replace(whole, timelines=(), localisation=None, score=score)


def test_work_that_is_not_divided_gives_the_same_in_its_own_thread() -> None:
    """Also what it raises, which Polars would wrap in an error of its own."""
    frame = pl.DataFrame({"key": ["a", "b", "a"] * 50, "value": range(150)})

    def sums() -> tuple[int, pl.DataFrame]:
        grouped = frame.filter(pl.col("value") > 7).group_by("key").agg(pl.col("value").sum())
        return get_ident(), grouped.join(frame, on="key").sort("key", "value")

    thread, found = undivided(sums)
    assert thread == get_ident() and found.equals(sums()[1])

    def fails() -> None:
        raise SweepError("mine")

    with pytest.raises(SweepError, match=r"^mine$"):
        undivided(fails)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        undivided(interrupted)


def test_a_failed_run_is_named_and_the_others_are_kept() -> None:
    """By label and seed; without a list of failures the first one ends the sweep."""
    todo = points(scenario("control"), system(), [design("fragile")], [1, 2, 3], [])
    broken = [replace(point, scenario=None) for point in todo]  # type: ignore[arg-type]
    failures: list[str] = []
    with pytest.raises(SweepError, match="no run of 3 succeeded, the first one: fragile, seed 1: "):
        run_sweep(broken, setting(), processes=1, failures=failures)
    assert [text.partition(":")[0] for text in failures] == [f"fragile, seed {seed}" for seed in (1, 2, 3)]
    odd = [todo[0], broken[1], todo[2]]
    failures.clear()
    assert run_sweep(odd, setting(), processes=1, failures=failures)["seed"].to_list() == [1, 3]
    assert len(failures) == 1 and "seed 2" in failures[0]
    with pytest.raises(SweepError, match="seed 2"):
        run_sweep(odd, setting(), processes=1)


def test_judgements_come_first_among_the_effects() -> None:
    """Whatever the size of the others, score and violations head each label."""
    todo = points(
        scenario("charge_response_lost"), system(), [design("resilient"), design("fragile")], [1, 2], []
    )
    found = effects(run_sweep(todo, setting(), processes=1))
    assert [one.metric for one in found[:2]] == ["score", "violations"]
    (table,) = effects_said(found, {"resilient": 2, "fragile": 2})
    assert isinstance(table, Table)
    assert table.title == "fragile against resilient:" and table.rows[0][0] == "score"
    assert effects_said([], {"resilient": 1, "fragile": 1}) == [
        "one seed only: effects need two or more, --seeds 2"
    ]
    assert effects_said([], {"resilient": 2}) == ["one label only: nothing to compare"]


def test_a_retry_storm_that_outlives_its_fault_is_never_called_recovered() -> None:
    """The registry serves 66/s, the load is 40/s: sound before; retries of what came late keep it full."""
    sizes = setting().magnitudes
    slow = replace(sizes, service={**sizes.service, "registry": Constant(0.015)})
    storm = {"*.retry.attempts": "4", "*.timeout": "200ms", "load.rate": "40/s"}
    varied, one = apply(design("fragile"), scenario("registry_starved"), storm, system())
    history = simulate(plan_of(one, varied), slow)
    judged = analyse(history, one, system())
    good = {row.phase: (row.good, row.offered) for row in judged.journeys if row.journey == "check_in"}
    assert good["baseline"][0] == good["baseline"][1] > 100
    assert good["recovery"][0] == 0 < good["recovery"][1]
    assert judged.recovery is not None
    assert judged.recovery.seconds is None and judged.recovery.censored
    assert str(judged.verdict) == "fail"
