"""Campaigns: what has finished is never played again."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution.campaigns.campaign import begin, resume
from execution.campaigns.suite import suite_exit_code, suite_jobs
from experiment.errors import ExitCode, HistoryError, UsageError
from experiment.jobs import Job, shuffled
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.run_records import FinishedRuns, RunRecord
from reports.report import RunSummary, SuiteEntry, SuiteReport
from tests.execution.builders import record

JOBS = (Job(0, "s0", "d", 1), Job(1, "s1", "d", 1), Job(0, "s0", "d", 2))


def test_what_has_finished_is_not_left(tmp_path: Path) -> None:
    """A recorded run is no longer among the jobs to do."""
    campaign = begin(tmp_path, "try", JOBS)
    FinishedRuns(campaign.folder).append(record(1, 1))
    assert campaign.left() == (JOBS[0], JOBS[2])


def test_resuming_finds_the_unfinished_campaign(tmp_path: Path) -> None:
    """The same jobs in any order lead back to the folder that has some left."""
    campaign = begin(tmp_path, "try", JOBS)
    FinishedRuns(campaign.folder).append(record(0, 1))
    assert resume(tmp_path, "try", tuple(reversed(JOBS))).folder == campaign.folder


def test_a_finished_campaign_is_not_resumed(tmp_path: Path) -> None:
    """With nothing left to do there is nothing to resume, and the message says so and what to do."""
    campaign = begin(tmp_path, "try", JOBS[:1])
    FinishedRuns(campaign.folder).append(record(0, 1))
    with pytest.raises(UsageError, match=rf"{campaign.folder.name} has finished.*without --resume"):
        resume(tmp_path, "try", JOBS[:1])


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """A campaign killed while it wrote a record plays that run again."""
    campaign = begin(tmp_path, "try", JOBS)
    finished = FinishedRuns(campaign.folder)
    finished.append(record(0, 1))
    finished.append(record(1, 1))
    finished.path.write_bytes(finished.path.read_bytes()[:-20])
    assert [(found.entry, found.seed) for found in finished.read()] == [(0, 1)]
    finished.append(record(0, 2))
    assert [(found.entry, found.seed) for found in finished.read()] == [(0, 1), (0, 2)]


def test_a_line_of_nonsense_is_an_error(tmp_path: Path) -> None:
    """A file that no campaign wrote is refused by name."""
    finished = FinishedRuns(tmp_path)
    finished.path.write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(HistoryError, match=r"finished\.jsonl"):
        finished.read()


def test_order_is_shuffled_by_the_seed_alone() -> None:
    """The same seed gives the same order, and every job once."""
    many = tuple(Job(0, "s", "d", seed) for seed in range(20))
    assert shuffled(many, 1) == shuffled(many, 1) != many
    assert set(shuffled(many, 1)) == set(many)


def test_one_repeat_keeps_designs_together() -> None:
    """A suite that runs once changes the design as rarely as possible."""
    suite = Suite("s", (Entry("a", "x"), Entry("a", "y"), Entry("b", "x")))
    assert [job.design for job in suite_jobs(suite, 1)] == ["x", "x", "y"]


SUITE = Suite("s", (Entry("a", "d"), Entry("b", "d", expect="fail", violates=("no_duplicate_charge",))))
BROKEN = record(1, verdict=Verdict.FAIL, vetoed=True, violated=("no_duplicate_charge",))


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([record(0), BROKEN], ExitCode.PASS),
        ([record(0)], ExitCode.INCONCLUSIVE),
        ([record(0), record(1, verdict=Verdict.FAIL)], ExitCode.FAIL),
        ([record(0, verdict=Verdict.FAIL, vetoed=True), record(1)], ExitCode.SAFETY_VETO),
        ([record(0, verdict=Verdict.INVALID), BROKEN], ExitCode.INCONCLUSIVE),
        ([record(0, verdict=Verdict.INVALID), record(1)], ExitCode.FAIL),
        ([record(0, clean=False), record(1)], ExitCode.CLEANUP_INCOMPLETE),
    ],
    ids=[
        "as expected",
        "one not run",
        "wrong reason",
        "unexpected veto",
        "invalid",
        "invalid and unmet",
        "not clean",
    ],
)
def test_a_suite_ends_with_the_gravest_unmet_expectation(records: list[RunRecord], code: ExitCode) -> None:
    """Exit code 0 needs every run, its verdict and its reason; what is invalid has shown nothing."""
    assert suite_exit_code(report_of(records), records) is code


def report_of(records: list[RunRecord]) -> SuiteReport:
    """The page of SUITE with these runs."""
    found = {record.entry: summary_of(record) for record in records}
    entries = tuple(
        SuiteEntry(entry.scenario, entry.design, Verdict(entry.expect), found.get(n), violates=entry.violates)
        for n, entry in enumerate(SUITE.entries)
    )
    return SuiteReport("s", "2026", "make", entries)


def summary_of(record: RunRecord) -> RunSummary:
    return RunSummary(
        "r", record.scenario, "", record.design, record.seed, "processes", record.verdict, record.vetoed,
        "", record.score, "", None, False, dict.fromkeys(record.violated, 1),
    )  # fmt: skip


def test_resuming_under_other_conditions_is_refused(tmp_path: Path) -> None:
    """Runs of two time scales are never mixed in one campaign; the message says what differs, and names a
    campaign file that cannot be read."""
    begin(tmp_path, "try", JOBS, {"time scale": "1", "commit": "abc"})
    assert resume(tmp_path, "try", JOBS, {"time scale": "1", "commit": "abc"}).jobs == JOBS
    damaged = begin(tmp_path, "try", JOBS)
    (damaged.folder / "campaign.json").write_bytes(b'{"name": "tr')
    with pytest.raises(UsageError, match=r"could not be read.*time scale \(1, now 0\.5\)"):
        resume(tmp_path, "try", JOBS, {"time scale": "0.5", "commit": "abc"})


def test_a_finished_campaign_without_reports_is_taken_up_again(tmp_path: Path) -> None:
    """Killed between the last run and its reports, it has those left to make."""
    campaign = begin(tmp_path, "try", JOBS[:1])
    FinishedRuns(campaign.folder).append(record(0, 1))
    assert resume(tmp_path, "try", JOBS[:1], reports=["suite.json"]).folder == campaign.folder
    (campaign.folder / "suite.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="without --resume"):
        resume(tmp_path, "try", JOBS[:1], reports=["suite.json"])
