"""The comparison of both runtimes: what counts as the same answer, and that nothing is played twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import same_answers
from benchmarks.same_answers import Order, answers, entries_of
from benchmarks.same_answers_table import Answer, markdown, outcome, pairs
from execution.campaigns.campaign import Campaign, Prepared
from execution.catalogue import default_catalogue
from experiment.errors import ExitCode, UsageError
from experiment.jobs import Job
from experiment.stop import Stop
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.histogram import Histogram
from measurement.run_records import FinishedRuns, RunRecord

SUITE = Suite("two", (Entry("smoke/control", "fragile"), Entry("smoke/control", "resilient")))
PLACES = [(0, "smoke/control", "fragile"), (1, "smoke/control", "resilient")]
QUICK: Histogram = ((100, 200),)
SLOW: Histogram = ((120, 200),)


def record(entry: int, seed: int, verdict: Verdict, *, vetoed: bool = False) -> RunRecord:
    broken = ("achieved load",) if verdict is Verdict.INVALID else ()
    return RunRecord(
        entry, "smoke/control", SUITE.entries[entry].design, seed, "folder", verdict, vetoed, (), (), None,
        None, None, None, None, None, (), (), broken=broken,
    )  # fmt: skip


def answer(runtime: str, entry: int, verdict: Verdict, *, vetoed: bool = False) -> Answer:
    latencies = {"pay": QUICK if runtime == "processes" else SLOW}
    return Answer(runtime, record(entry, 1, verdict, vetoed=vetoed), latencies)


def both(entry: int, one: Verdict, other: Verdict) -> list[Answer]:
    return [answer("processes", entry, one), answer("containers", entry, other)]


def test_equal_verdicts_are_counted_and_latencies_are_told_apart() -> None:
    """The table has a row for each entry, and one for each journey and design."""
    found = [*both(0, Verdict.FAIL, Verdict.FAIL), *both(1, Verdict.PASS, Verdict.PASS)]
    text = markdown(PLACES, [1], found, "here")
    assert "2 of 2 compared pairs have the same verdict; 2 are wanted" in text
    assert "| smoke/control | fragile | fail |" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| pay | resilient | 200, 200 |")]
    assert row.count("+") == 2
    assert outcome(pairs(found), 2) is ExitCode.PASS


def test_a_verdict_that_differs_is_named() -> None:
    """Also when the verdict is the same and only one side has a veto."""
    found = both(0, Verdict.FAIL, Verdict.PASS)
    assert "| DIFFERENT: fail, pass |" in markdown(PLACES, [1], found, "here")
    assert outcome(pairs(found), 1) is ExitCode.FAIL
    vetoed = [answer("processes", 0, Verdict.FAIL, vetoed=True), answer("containers", 0, Verdict.FAIL)]
    assert "DIFFERENT: fail (veto), fail" in markdown(PLACES, [1], vetoed, "here")


def test_an_invalid_run_is_neither_equal_nor_different() -> None:
    """The table says why it was invalid; its latencies are left out."""
    found = both(0, Verdict.INVALID, Verdict.PASS)
    text = markdown(PLACES, [1, 2], found, "here")
    assert "| not compared: invalid (achieved load), pass | - |" in text
    assert "0 of 0 compared pairs" in text and "1 had an invalid run" in text
    assert "| pay |" not in text
    assert outcome(pairs(found), 1) is ExitCode.INCONCLUSIVE


def test_too_few_operations_give_no_percentiles() -> None:
    """Ten latencies have a median and no p95; nine have neither."""
    for count, row in ((9, "too few | too few | - | too few |"), (10, "0.0 | 0.0 | +0.0 | too few |")):
        few = [
            Answer(one.runtime, one.record, {"pay": ((100, count),)})
            for one in both(0, Verdict.PASS, Verdict.PASS)
        ]
        assert f"| pay | fragile | {count}, {count} | {row}" in markdown(PLACES, [1], few, "here")


def test_a_scenario_that_the_suite_does_not_have_is_refused_by_name() -> None:
    """With those that it has."""
    assert entries_of(SUITE, None) == (0, 1)
    with pytest.raises(
        UsageError, match="found smoke/none, expected scenarios of the suite two: smoke/control"
    ):
        entries_of(SUITE, ["smoke/none"])


class _Machine:
    """Plays at most `most` runs, without a system; the first on containers is invalid."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.played: list[tuple[str, str, int]] = []

    def play(self, campaign: Campaign, prepared: Prepared, _hooks: object, stop: Stop) -> Iterator[RunRecord]:
        for job in campaign.left():
            if len(self.played) == self.most:
                stop.set()
                return
            runtime = prepared.homes[job].options.runtime
            self.played.append((runtime, job.design, job.seed))
            spoilt = runtime == "containers" and job == Job(0, "smoke/control", "fragile", 1)
            first = spoilt and campaign.name.endswith("-1")
            done = record(job.entry, job.seed, Verdict.INVALID if first else Verdict.PASS)
            FinishedRuns(campaign.folder).append(done)
            yield done


def test_an_interrupted_comparison_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is played twice but what was invalid, once more; both runtimes take turns at coming first."""
    monkeypatch.setattr(
        same_answers, "answer_of", lambda runtime, found: Answer(runtime, found, {"pay": QUICK})
    )
    order = Order(SUITE, (0, 1), (1, 2), tmp_path)
    machines = [_Machine(3), _Machine(100), _Machine(100)]
    last: list[Answer] = []
    for machine in machines:
        monkeypatch.setattr(same_answers, "play", machine.play)
        last = list(answers(order, default_catalogue(), Stop()))
    assert [len(machine.played) for machine in machines] == [3, 6, 0]
    assert [(runtime, seed) for runtime, _, seed in machines[0].played + machines[1].played] == [
        ("processes", 1), ("processes", 1), ("containers", 1), ("containers", 1), ("containers", 1),
        ("containers", 2), ("containers", 2), ("processes", 2), ("processes", 2),
    ]  # fmt: skip
    latest = {(one.runtime, one.record.entry, one.record.seed): one for one in last}
    assert outcome(pairs(latest.values()), order.size) is ExitCode.PASS
