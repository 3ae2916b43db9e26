"""Results of suites over time: stored once, never changed, told by suite, design and commit."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from execution.campaigns.stored_runs import rescore
from execution.places import ROOT
from experiment.errors import HistoryError, UsageError
from experiment.tables import flat
from harness import cli
from tests.execution.builders import record
from trend.formats import TREND_FORMATS, _by_formula, changes, rows, said
from trend.report import trend_report
from trend.store import RUNS, Asked, Expected, Occasion, Results


def occasion(number: int) -> Occasion:
    return Occasion(f"2026-11-{number + 1:02d}T00:00:00", f"suite-{number}", f"c0ffee{number:02d}", "smoke")


def stored(path: Path, scores: list[float]) -> Results:
    """One suite a score, each with two scenarios of weights 3 and 1."""
    results = Results(path / "results.sqlite3")
    for number, score in enumerate(scores):
        results.append(
            occasion(number),
            [
                (record(0, number, score=score, recovery_s=2.0, load_latency=((400, 50),)), 3.0),
                (record(1, number, score=score - 8, censored_s=7.0, load_latency=((435, 50),)), 1.0),
            ],
        )
    return results


def test_a_point_is_a_suite(tmp_path: Path) -> None:
    """Weighted mean, merged p95, and the median with the run that never recovered counted."""
    report = trend_report(stored(tmp_path, [90.0, 91.0]).read("smoke"), "smoke", "", "trend")
    (line,) = report.lines
    assert [point.score for point in line.points] == [88.0, 89.0]
    assert [point.never for point in line.points] == [1, 1]
    assert line.points[0].p95_s == pytest.approx(1e-6 * 1.02**435.5)


def test_a_drop_is_a_change(tmp_path: Path) -> None:
    """Six suites at 90 and six at 80: the change is told with the commit that came with it."""
    report = trend_report(stored(tmp_path, [90.0, 91.0] * 3 + [80.0, 81.0] * 3).read(), "smoke", "", "trend")
    assert report.lines[0].score_changes == (6,)
    assert "score changed at c0ffee06 from 88.5 to 78.5" in changes(report.lines[0])[0]
    assert any("score" in line and "c0ffee06" in line for line in flat(said(report)))
    assert all("c0ffee06" in rendering(report) for rendering in TREND_FORMATS.values())


def test_vetoes_are_told_with_the_properties_that_were_violated(tmp_path: Path) -> None:
    """Runs are counted for each property, in every format."""
    results = Results(tmp_path / "results.sqlite3")
    broken = {"vetoed": True, "safety": ("once", "kept"), "score": 0.0}
    runs = [record(0, 1, **broken), record(1, 1, **{**broken, "safety": ("once",)}), record(2, 1)]
    results.append(occasion(0), [(run, 1.0) for run in runs])
    report = trend_report(results.read(), "smoke", "", "trend")
    assert report.lines[0].points[0].violated == (("kept", 1), ("once", 2))
    told = "2 (kept in 1, once in 2)"
    assert any(told in line for line in flat(said(report)))
    assert all(told in TREND_FORMATS[name](report) for name in ("trend.html", "trend.md"))


def test_a_suite_with_a_run_without_score_has_none(tmp_path: Path) -> None:
    """An invalid run leaves the mean unknown, here too."""
    results = stored(tmp_path, [90.0])
    results.append(occasion(1), [(record(0, 1, score=None), 1.0), (record(1, 1), 1.0)])
    (line,) = trend_report(results.read(), "smoke", "", "trend").lines
    assert line.points[1].score is None


def test_one_scenario_can_be_followed(tmp_path: Path) -> None:
    """Only its runs count."""
    (line,) = trend_report(stored(tmp_path, [90.0]).read(), "smoke", "s1", "trend").lines
    assert [(point.runs, point.score) for point in line.points] == [(1, 82.0)]


def test_a_resumed_suite_writes_nothing_twice(tmp_path: Path) -> None:
    """Rows of the same campaign and run are left out the second time."""
    results = stored(tmp_path, [90.0])
    results.append(occasion(0), [(record(0, 0, score=90.0), 3.0), (record(0, 7, score=90.0), 3.0)])
    assert len(results.read()) == 3


def test_rows_are_never_changed_or_removed(tmp_path: Path) -> None:
    """The file itself refuses it."""
    results = stored(tmp_path, [90.0])
    with sqlite3.connect(results.path) as connection:
        for statement in ("UPDATE runs SET score = 100", "DELETE FROM runs"):
            with pytest.raises(sqlite3.IntegrityError, match="only appended"):
                connection.execute(statement)


def test_a_new_row_replaces_the_old_one_for_readers(tmp_path: Path) -> None:
    """A run scored again is read once, with its new score; both rows stay."""
    results = stored(tmp_path, [90.0])
    old = results.read()[0]
    results.append(occasion(0), [(record(0, 0, score=70.0, formula="next"), 3.0)], [old.id])
    assert sorted(result.record.score or 0 for result in results.read()) == [70.0, 82.0]
    with sqlite3.connect(results.path) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (3,)


def test_a_run_whose_folder_is_gone_is_told(tmp_path: Path) -> None:
    """It cannot be scored again; its old score stays."""
    results = stored(tmp_path, [90.0])
    done, problems = rescore(results, results.read(), every=False)
    assert done == 0 and len(problems) == 2 and "/runs/0-0" in problems[0]
    assert len(results.read()) == 2


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    path = tmp_path / "results.sqlite3"
    path.write_text("this is no database, whatever its name says", encoding="utf-8")
    with pytest.raises(HistoryError, match="move it away"):
        Results(path).read()


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """It is refused by the name of what it holds, and nothing is added to it."""
    path = tmp_path / "bookings.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookings (a)")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=r'something else \(it has "bookings"'):
        Results(path).read()
    assert path.read_bytes() == before


def test_suites_that_begin_at_once_share_the_file(tmp_path: Path) -> None:
    """Each finds no file and makes it: none is refused, and each leaves its line."""
    names = [f"suite-{number}" for number in range(8)]
    for number in range(4):
        results, together = Results(tmp_path / f"{number}.sqlite3"), threading.Barrier(len(names))

        def begin(name: str, of: Results = results, at: threading.Barrier = together) -> None:
            at.wait()
            of.begin(name, Asked(ASKED))

        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(begin, names))
        with closing(sqlite3.connect(results.path)) as connection:
            kept = {name for (name,) in connection.execute("SELECT campaign FROM suites")}
        assert kept == set(names)


def test_a_scenario_without_a_result_is_refused(tmp_path: Path) -> None:
    """With the nearest that has some: an empty page would look like no news."""
    path = tmp_path / "results.sqlite3"
    Results(path).append(occasion(0), [(record(0, scenario="smoke/control"), 1.0)])
    with pytest.raises(UsageError, match='did you mean "control"'):
        cli.main(
            ["trend", "smoke", "--scenario", "contrl", "--results", str(path), "--out", str(tmp_path)],
            standalone_mode=False,
        )


ASKED = (Expected(0, "s0", "d", 1, 3.0), Expected(1, "s1", "d", 1, 1.0))


def played(results: Results, number: int, asked: Asked, *rows: tuple[int, float]) -> None:
    """One suite; `rows` are entries with their scores."""
    results.begin(occasion(number).campaign, asked)
    weights = {run.entry: run.weight for run in asked.runs}
    results.append(
        occasion(number),
        [
            (record(entry, score=score, formula="1", load_latency=((400, 50),)), weights[entry])
            for entry, score in rows
        ],
    )


def test_an_interrupted_suite_is_no_point(tmp_path: Path) -> None:
    """Half of the entries have another mean, another p95: none is shown, and the reason is."""
    results = Results(tmp_path / "results.sqlite3")
    played(results, 0, Asked(ASKED), (0, 90.0))
    played(results, 1, Asked(ASKED), (0, 90.0), (1, 50.0))
    report = trend_report(results.read(), "smoke", "", "trend")
    half, whole = report.lines[0].points
    assert (half.score, half.p95_s) == (None, None) and whole.score == 80.0 and whole.p95_s is not None
    assert all("1 of 2 runs missing" in rendering(report) for rendering in TREND_FORMATS.values())


def test_other_entries_or_weights_are_no_point(tmp_path: Path) -> None:
    """A suite that was another one then is not compared with what it is now."""
    results = Results(tmp_path / "results.sqlite3")
    played(results, 0, Asked((Expected(0, "s0", "d", 1, 3.0),)), (0, 90.0))
    played(results, 1, Asked((ASKED[0], Expected(1, "s1", "d", 1, 2.0))), (0, 90.0), (1, 50.0))
    played(results, 2, Asked(ASKED), (0, 90.0), (1, 50.0))
    (line,) = trend_report(results.read(), "smoke", "", "trend").lines
    assert [point.score for point in line.points] == [None, None, 80.0]
    assert all("other scenarios or weights" in point.lacking for point in line.points[:2])


def test_another_machine_or_formula_is_marked(tmp_path: Path) -> None:
    """In the sentences, the table and the plot: what changed there may be its doing."""
    results = Results(tmp_path / "results.sqlite3")
    for number, cores in enumerate(("2", "2", "8")):
        played(results, number, Asked(ASKED, {"cores": cores}), (0, 90.0), (1, 50.0))
    moved = [(record(entry, score=70.0, formula="2"), 1.0) for entry in (0, 1)]
    results.begin(occasion(3).campaign, Asked(ASKED, {"cores": "8"}))
    results.append(occasion(3), moved)
    report = trend_report(results.read(), "smoke", "", "trend")
    assert changes(report.lines[0]) == [
        "d (): another machine from c0ffee02 on (cores 2; now cores 8)",
        "d (): another formula from c0ffee03 on (1; now 2)",
    ]
    assert "Another machine or formula from c0ffee02, c0ffee03 on" in TREND_FORMATS["trend.html"](report)
    assert "another machine" in "".join(flat(said(report)))


def test_figures_of_two_formulas_stand_beside_each_other(tmp_path: Path) -> None:
    """A suite of before a new formula has its own figure, one of after it both; no line joins the two."""
    results = Results(tmp_path / "results.sqlite3")
    old: dict[str, Any] = {"formula": "codeblue-1: A"}
    new: dict[str, Any] = {"formula": "codeblue-2: B"}
    for number, how in enumerate((old, {**new, "scores_before": {"codeblue-1": 90.0}}, new)):
        results.begin(occasion(number).campaign, Asked(ASKED))
        runs = [(record(entry, score=60.0 + 20 * (how is old), **how), 1.0) for entry in (0, 1)]
        results.append(occasion(number), runs)
    report = trend_report(results.read(), "smoke", "", "trend")
    (line,) = report.lines
    assert [point.scores_before for point in line.points] == [(), (("codeblue-1", 90.0),), ()]
    assert rows(line)[1][3] == "60.0 (codeblue-1: 90.0)"
    assert _by_formula(line) == {
        "score by codeblue-2": [None, 60.0, 60.0],
        "score by codeblue-1": [80.0, 90.0, None],
    }
    assert "score by codeblue-1" in TREND_FORMATS["trend.html"](report)


def test_an_older_file_is_taken_over(tmp_path: Path) -> None:
    """What a suite of it had asked for is every entry with every seed; its runs stay as they are."""
    path = tmp_path / "results.sqlite3"
    results = stored(tmp_path, [90.0])
    results.append(occasion(0), [(record(0, 5, score=80.0), 3.0)])
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT * FROM runs").fetchall()
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.executescript(f"{RUNS} PRAGMA user_version = 1;")
        connection.executemany(f"INSERT INTO runs VALUES (?{', ?' * (len(rows[0]) - 1)})", rows)
    (line,) = trend_report(results.read(), "smoke", "", "trend").lines
    assert line.points[0].lacking == "incomplete: 1 of 4 runs missing"
    assert len(results.read()) == 3


def test_suites_of_two_systems_with_one_name_are_told_apart(tmp_path: Path) -> None:
    """Both may have a suite `smoke`: without --system their results are not mixed. Old ones are the reference
    system's."""
    path, lamps = tmp_path / "results.sqlite3", str(ROOT / "tests" / "fixtures" / "lamps")
    Results(path).append(occasion(0), [(record(0, scenario="smoke/control"), 1.0)])
    Results(path).append(occasion(1), [(record(0, scenario="night/slow_lamp", system="lamps"), 1.0)])
    words = ["trend", "smoke", "--results", str(path), "--out", str(tmp_path)]
    with pytest.raises(UsageError, match="of the systems lamps and reference_healthcare, expected --system"):
        cli.main(words, standalone_mode=False)
    assert cli.main([*words, "--system", lamps], standalone_mode=False) == 0
    with pytest.raises(UsageError, match='of a scenario "slow_lamp"'):
        cli.main([*words, "--scenario", "slow_lamp", "--system", str(ROOT)], standalone_mode=False)
