"""A verdict rests on whole, possible evidence of the planned run, or there is none."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from execution.catalogue import default_catalogue
from execution.options import Options
from execution.runs.judging import judge_again, render
from execution.runs.manifest import digests, seal
from execution.runs.preflight import Request, plans
from execution.runs.run_folder import RunFolder, RunInputs
from execution.runs.simulated_bench import SimulatedBench
from experiment.errors import HistoryError
from experiment.history import build, load_history
from experiment.history_columns import remove_columns
from experiment.rows import Row
from experiment.scenario import Scenario
from experiment.stop import Stop
from experiment.topology import System
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.evidence import judge_evidence
from measurement.judge import analyse

SMOKE = (
    "control",
    "payer_blackhole",
    "charge_response_lost",
    "delayed_dose_event",
    "billing_crash",
    "registry_flapping",
)
SUBSETS = 10_000
KINDS = {kind.TAG: kind for kind in get_args(Row)}
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Played:
    """One run of the smoke suite on the twin, as values and as lines."""

    folder: RunFolder
    inputs: RunInputs
    scenario: Scenario
    system: System
    lines: tuple[bytes, ...]
    verdict: Verdict

    def judged(self, lines: list[bytes], path: Path) -> Analysis:
        """These lines in the place of the run's own, without the digests."""
        path.write_bytes(b"".join(lines))
        return analyse(load_history(path), self.scenario, self.system, self.inputs.asked)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Played]:
    """Every scenario of the smoke suite on both designs."""
    options = Options("simulation", out=tmp_path_factory.mktemp("runs"))
    requests = [Request(f"smoke/{name}", design, 1) for name in SMOKE for design in ("fragile", "resilient")]
    made = plans(requests, default_catalogue(), options)
    bench = SimulatedBench(made, options, Stop())
    found = []
    for plan in made:
        result = bench.run(plan, lambda _: None)
        folder = result.folder
        lines = tuple(folder.history_path.read_bytes().splitlines(True))
        found.append(
            Played(folder, folder.inputs(), folder.scenario(), folder.system(), lines, result.verdict)
        )
    return found


@pytest.fixture
def passing(runs: list[Played]) -> Played:
    """A run that passes under a fault, with payments."""
    return next(
        run for run in runs if run.verdict is Verdict.PASS and run.scenario.name == "charge_response_lost"
    )


def test_no_run_is_the_worse_for_being_judged_with_its_evidence(runs: list[Played], tmp_path: Path) -> None:
    """What the twin plays is whole, possible and planned."""
    for run in runs:
        assert run.judged(list(run.lines), tmp_path / "history.jsonl").verdict is run.verdict
        history = load_history(run.folder.history_path)
        assert [
            check.statement for check in judge_evidence(history, run.system, run.inputs.asked) if not check.ok
        ] == []


def read(line: bytes) -> Row:
    plain = {"sent": None, **msgspec.json.decode(line)}  # empty fields are left out of a line
    row: Row = msgspec.convert(plain, KINDS[plain.pop("type")])
    return row


@pytest.mark.timeout(1200)  # ten thousand judgements, which a busy machine makes slowly
def test_no_subset_of_lines_gives_a_verdict(runs: list[Played]) -> None:
    """Ten thousand subsets over all runs: whatever lines are missing, the run is invalid or was cut off."""
    chance = random.Random(1)
    rows = [[read(line) for line in run.lines] for run in runs]
    for number in range(SUBSETS):
        run, whole = runs[number % len(runs)], rows[number % len(runs)]
        gone = set(chance.sample(range(1, len(whole)), chance.choice((1, 1, 2, 5, 50, 300))))
        history = build(row for i, row in enumerate(whole) if i not in gone)
        checks = judge_evidence(history, run.system, run.inputs.asked)
        assert history.end is None or any(not check.ok for check in checks), sorted(gone)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_less_evidence_never_gives_a_better_verdict(
    data: st.DataObject, runs: list[Played], tmp_path: Path
) -> None:
    """The whole judgement of any subset is one, and not better than that of the run."""
    run = data.draw(st.sampled_from(runs))
    gone = data.draw(st.sets(st.integers(1, len(run.lines) - 1), min_size=1, max_size=40))
    kept = [line for i, line in enumerate(run.lines) if i not in gone]
    assert run.judged(kept, tmp_path / "history.jsonl").verdict is Verdict.INVALID


def of(kind: str, **wanted: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda row: row["type"] == kind and all(row.get(name) == value for name, value in wanted.items())


def changed(which: Callable[[dict[str, Any]], bool], **changes: Any) -> Callable[[Rows], None]:
    """The first such row says something else."""

    def change(rows: Rows) -> None:
        next(row for row in rows if which(row)).update(changes)

    return change


def moved(which: Callable[[dict[str, Any]], bool], name: str, by: float) -> Callable[[Rows], None]:
    def move(rows: Rows) -> None:
        row = next(row for row in rows if which(row))
        row[name] += by

    return move


def more(rows: Rows, row: dict[str, Any]) -> None:
    """One row more, and an end that knows of it."""
    rows.insert(-1, row)
    rows[-1]["tally"][row["type"]] = rows[-1]["tally"].get(row["type"], 0) + 1


def again(which: Callable[[dict[str, Any]], bool], **changes: Any) -> Callable[[Rows], None]:
    return lambda rows: more(rows, {**next(row for row in rows if which(row)), **changes})


def without(which: Callable[[dict[str, Any]], bool]) -> Callable[[Rows], None]:
    """All such rows are gone, and the end does not know of them either."""

    def drop(rows: Rows) -> None:
        for row in [row for row in rows if which(row)]:
            rows.remove(row)
            rows[-1]["tally"][row["type"]] -= 1

    return drop


def one_less(which: Callable[[dict[str, Any]], bool]) -> Callable[[Rows], None]:
    def drop(rows: Rows) -> None:
        first = next(row for row in rows if which(row))
        without(lambda row: row is first)(rows)

    return drop


def each_load(said: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Rows], None]:
    """Another account of every second of the load."""

    def change(rows: Rows) -> None:
        for row in rows:
            if row["type"] == "load":
                row.update(said(row))

    return change


def answered(row: dict[str, Any]) -> bool:
    return of("op", outcome="acknowledged")(row) and not of("op", journey="final_read")(row)


MUTATIONS: dict[str, Callable[[Rows], None]] = {
    "every operation of a journey dropped": without(of("op", journey="pay")),
    "one operation dropped": without(lambda row: row["type"] == "op" and row["id"] == 7),
    "an operation twice": again(of("op", id=5)),
    "an operation more": again(of("op", id=5), id=99_999),
    "operations of another plan": moved(of("op", id=5), "intended", 0.01),
    "another key": changed(of("op", id=5), key="enc-000000-000000"),
    "ended before sent": moved(answered, "ended", -1000.0),
    "an immense time": changed(answered, ended=1e308),
    "sent before due": moved(answered, "sent", -5.0),
    "an acknowledged 500": changed(answered, status=500),
    "a status that HTTP does not have": changed(answered, status=9999),
    "the load counts nothing": each_load(lambda _: {"offered": 0, "achieved": 0}),
    "the load counts fifty times as much": each_load(lambda row: {"offered": 50 * row["offered"]}),
    "the load accounts for one second": without(lambda row: row["type"] == "load" and row["t"] > 1.0),
    "a load that began half of it": each_load(lambda row: {"achieved": row["achieved"] // 2}),
    "no record of a store": without(of("record", store="billing")),
    "a record less": one_less(of("record")),
    "a record more": again(of("record")),
    "a store not read": without(of("sample", name="records_read", source="payments")),
    "another fault": changed(of("fault", event="inject"), kind="latency"),
    "another target": changed(of("fault", event="active"), target="checkin -> registry"),
    "another time": moved(of("fault", event="inject"), "planned", 1.0),
    "an unplanned fault": again(of("fault", event="inject"), fault="f9"),
    "an injection twice": again(of("fault", event="inject")),
    "no heal": without(of("fault", event="heal")),
    "no injection": without(of("fault", event="inject")),
    "nobody saw it act": without(of("fault", event="active")),
    "a phase twice": again(of("phase", name="fault")),
    "an invented phase": again(of("phase", name="fault"), name="holiday"),
    "a longer baseline": moved(of("phase", name="baseline"), "end", 1.0),
    "no baseline": without(of("phase", name="baseline")),
    "an end that counts nothing": changed(of("end"), tally={}),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_history_that_cannot_be_of_this_run_is_invalid(name: str, passing: Played, tmp_path: Path) -> None:
    """Each with counts that fit: it is the rows themselves that give it away."""
    rows = [json.loads(line) for line in passing.lines]
    MUTATIONS[name](rows)
    lines = [json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows]
    analysis = passing.judged(lines, tmp_path / "history.jsonl")
    assert analysis.verdict is Verdict.INVALID


@pytest.mark.parametrize("damage", [b'{"type":"op","id":\n', b"\0\0\0\0\n", b'{"type":"op"}}\n'])
def test_a_torn_line_in_a_completed_run_is_invalid(damage: bytes, passing: Played, tmp_path: Path) -> None:
    """Loss that is seen is used: a line that cannot be read is no mere warning."""
    lines = [*passing.lines[:50], damage, *passing.lines[50:]]
    analysis = passing.judged(lines, tmp_path / "history.jsonl")
    assert analysis.verdict is Verdict.INVALID
    assert "cannot be read" in " ".join(analysis.reasons)


def copied(run: Played, to: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(run.folder.path, to)))


@pytest.mark.parametrize("part", ["scenario.json", "design.json", "plan.json", "history.jsonl", "run.json"])
def test_a_part_of_another_run_is_refused_by_name(part: str, runs: list[Played], tmp_path: Path) -> None:
    """A folder whose parts do not belong together is judged by nobody."""
    folder = copied(runs[1], tmp_path / "run")
    shutil.copyfile(runs[-2].folder.path / part, folder.path / part)
    with pytest.raises(HistoryError, match=rf"{part}: found another file than manifest.json names"):
        judge_again(folder, folder.history())


@pytest.mark.parametrize("part", ["scenario.json", "design.json", "history.jsonl"])
def test_a_run_that_nobody_judged_is_bound_too(part: str, runs: list[Played], tmp_path: Path) -> None:
    """Without a manifest what was played is still that of run.json, and the history says whose it is."""
    folder = copied(runs[1], tmp_path / "run")
    for name in ("manifest.json", "analysis.json"):
        (folder.path / name).unlink()
    assert judge_again(folder, folder.history()).verdict is runs[1].verdict
    (folder.path / "manifest.json").unlink()
    shutil.copyfile(runs[-2].folder.path / part, folder.path / part)
    with pytest.raises(
        HistoryError, match=f"{part}: found (another file than run.json names|the history of)"
    ):
        judge_again(folder, folder.history())


@pytest.mark.parametrize("part", ["facts.json", "code/judge.py"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_what_a_report_says_and_what_judges_are_bound_too(
    part: str, damage: str, passing: Played, tmp_path: Path
) -> None:
    """By run.json, so that no manifest that is made anew hides it."""
    folder = copied(passing, tmp_path / "run")
    (folder.path / "code").mkdir()
    (folder.path / "code" / "judge.py").write_text("# says what is right", encoding="utf-8")
    run = json.loads((folder.path / "run.json").read_bytes())
    assert "facts.json" in run["run"]["values"]
    run["run"]["values"] |= digests(folder.path, ["code/judge.py"])
    (folder.path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    seal(folder.path)
    assert judge_again(folder, folder.history()).verdict is passing.verdict
    if damage == "gone":
        (folder.path / part).unlink()
    else:
        (folder.path / part).write_bytes((folder.path / part).read_bytes() + b" ")
    seal(folder.path)
    with pytest.raises(HistoryError, match=f"{part}: found (another|no readable) file"):
        folder.history()


@pytest.mark.parametrize(("hours", "fits"), [(0.9, True), (1.1, False), (-0.1, False), (-9000.0, False)])
def test_a_run_begins_when_its_folder_is_made(
    hours: float, fits: bool, passing: Played, tmp_path: Path
) -> None:
    """A header that says another day would bring a waiver of that day into force."""
    folder = copied(passing, tmp_path / "run")
    head = json.loads(passing.lines[0])
    zero = head["zero_wall"] + 3600 * hours
    head |= {"zero_wall": zero, "started_at": datetime.fromtimestamp(zero, UTC).isoformat()}
    folder.history_path.write_bytes(b"".join([json.dumps(head).encode() + b"\n", *passing.lines[1:]]))
    remove_columns(folder.path)
    seal(folder.path)
    if fits:
        folder.history()
        return
    with pytest.raises(HistoryError, match="found the history of a run that began at"):
        folder.history()


def test_an_old_judgement_is_not_rendered_behind_a_cut_history(passing: Played, tmp_path: Path) -> None:
    """`report` shows what was judged only beside what it was judged by."""
    folder = copied(passing, tmp_path / "run")
    folder.history_path.write_bytes(b"".join(passing.lines[:-40]))
    history = load_history(folder.history_path)
    with pytest.raises(HistoryError, match=r"history\.jsonl: found another file"):
        render(folder, history)


def test_a_judgement_that_was_edited_is_not_rendered(passing: Played, tmp_path: Path) -> None:
    """The same for analysis.json itself."""
    folder = copied(passing, tmp_path / "run")
    folder.analysis_path.write_bytes(folder.analysis_path.read_bytes().replace(b'"pass"', b'"fail"', 1))
    with pytest.raises(HistoryError, match=r"analysis\.json: found another file"):
        render(folder, folder.history())
