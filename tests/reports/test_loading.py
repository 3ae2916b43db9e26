from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from experiment.errors import HistoryError
from experiment.recorder import Recorder
from experiment.rows import Operation
from experiment.values import packed
from reports.loading import load_run_report, load_traces
from reports.report import RunFacts
from reports.traces import TracedOperation
from tests.reports import builder

TRACE = "ab" * 16


def line(number: int, **changes: object) -> bytes:
    row = {
        "trace": TRACE, "span": f"s{number}", "parent": None, "service": "billing", "name": "POST /pay",
        "kind": "server", "start": builder.ZERO_WALL + 15.2, "end": builder.ZERO_WALL + 16.0, "status": "ok",
        "attributes": {"http.status": 200},
    } | changes  # fmt: skip
    return msgspec.json.encode(row) + b"\n"


def run_folder(folder: Path, facts: bool = True) -> Path:
    """A folder as a run leaves it."""
    run = builder.fragile_fail()
    recorder = Recorder(folder / "history.jsonl")
    pay = Operation(1, "pay", "inv-3fa2c1-000001", 15.2, 15.2, 16.1, "acknowledged", trace=TRACE)
    recorder.write(run.header, *run.phases, pay, *([run.end] if run.end else []))
    recorder.close()
    (folder / "analysis.json").write_bytes(msgspec.json.encode(run.analysis))
    if facts:
        (folder / "facts.json").write_bytes(msgspec.json.encode(run.facts))
    (folder / "spans").mkdir()
    (folder / "spans" / "billing.spans.jsonl").write_bytes(
        line(1) + line(2, trace="cd" * 16) + b'{"trace":"abab'
    )
    return folder


def test_a_run_folder_becomes_the_report_it_was_made_from(tmp_path: Path) -> None:
    """Header, facts, analysis, phases and end arrive unchanged; the violating trace has its span."""
    made, read = builder.fragile_fail(), load_run_report(run_folder(tmp_path))
    read_alone = replace(read, traces=(), sequences=(), map=None)
    assert read_alone == replace(made, traces=(), sequences=(), map=None)
    (happened, *_) = read.sequences
    assert (happened.key, [step.what for step in happened.steps]) == (
        "inv-3fa2c1-000001",
        ["pay acknowledged"],
    )
    (trace,) = read.traces
    assert trace.operation.why == "violates no_duplicate_charge"
    assert [(s.id, round(s.start, 3), round(s.end, 3)) for s in trace.spans] == [("s1", 15.2, 16.0)]
    assert trace.spans[0].attributes == {"http.status": "200"}


def test_a_run_that_died_before_its_facts_still_loads(tmp_path: Path) -> None:
    """The header's names stand in."""
    read = load_run_report(run_folder(tmp_path, facts=False))
    assert (read.facts.scenario.name, read.facts.design.name) == ("charge_response_lost", "fragile")
    assert isinstance(read.facts, RunFacts)


def test_a_run_that_was_not_judged_says_what_to_do(tmp_path: Path) -> None:
    """No analysis, no report."""
    (run_folder(tmp_path) / "analysis.json").unlink()
    with pytest.raises(HistoryError, match=r"analysis.json: found no readable file .* `codeblue check RUN`"):
        load_run_report(tmp_path)


def test_a_broken_analysis_is_named_with_its_mistake(tmp_path: Path) -> None:
    """A file of another version or a torn one is no traceback."""
    (run_folder(tmp_path) / "analysis.json").write_text('{"verdict": "splendid"}')
    with pytest.raises(HistoryError, match=r"analysis.json: found no readable analysis \(.*splendid"):
        load_run_report(tmp_path)


def test_spans_of_other_traces_and_torn_lines_are_passed_over(tmp_path: Path) -> None:
    """Only whole lines whose trace is the one looked for count, wherever else its id is mentioned."""
    mention = line(3, trace="cd" * 16, attributes={"link": TRACE})
    path = tmp_path / "a.spans.jsonl"
    path.write_bytes(
        line(1) + mention + line(2, end=builder.ZERO_WALL) + b'{"trace":"' + TRACE.encode() + b'","spa'
    )
    operation = TracedOperation(TRACE, "slowest pay", "pay", "inv-1", 15.0, 16.0, "acknowledged")
    (trace,) = load_traces([path], [operation], builder.ZERO_WALL)
    assert [span.id for span in trace.spans] == ["s1", "s2"]
    assert trace.spans[1].end == trace.spans[1].start, "a clock that stepped back gives no negative length"


def test_operations_without_spans_and_empty_files_give_no_traces(tmp_path: Path) -> None:
    """Nothing is made up."""
    (tmp_path / "a.spans.jsonl").touch()
    operation = TracedOperation(TRACE, "slowest pay", "pay", "inv-1", 15.0, 16.0, "acknowledged")
    assert load_traces([tmp_path / "a.spans.jsonl"], [operation], 0.0) == ()


def test_a_storm_of_spans_is_cut(tmp_path: Path) -> None:
    """A page shows the first few hundred spans of a trace."""
    path = tmp_path / "a.spans.jsonl"
    path.write_bytes(b"".join(line(number) for number in range(1000)))
    operation = TracedOperation(TRACE, "slowest pay", "pay", "inv-1", 15.0, 16.0, "acknowledged")
    (trace,) = load_traces([path], [operation], builder.ZERO_WALL)
    assert len(trace.spans) == 400


def test_lines_of_the_log_stand_with_their_trace(tmp_path: Path) -> None:
    """Only lines that name the trace as theirs, in the order of time; a torn line is passed over."""
    folder = run_folder(tmp_path)
    at = builder.ZERO_WALL
    said = {
        "at": at + 15.5,
        "level": "warning",
        "service": "billing",
        "message": "call failed",
        "trace": TRACE,
    }
    other = {**said, "trace": "cd" * 16, "about": TRACE}
    lines = [said | {"why": "timeout"}, other]
    raw = (
        b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        + f'{{"at": 1, "trace":"{TRACE}"'.encode()
    )
    (folder / "logs.jsonl").write_bytes(raw)
    read = load_run_report(folder)
    for lines_of in (read.traces[0].lines, read.sequences[0].lines):
        assert [(round(one.t, 3), one.service, one.message, one.detail) for one in lines_of] == [
            (15.5, "billing", "call failed", "why timeout")
        ]


def test_the_graph_is_that_of_the_system_that_was_played(tmp_path: Path) -> None:
    """By the values in the folder; a run of before has none, and a file that is no system is told."""
    folder = run_folder(tmp_path)
    assert load_run_report(folder).map is None
    links = [{"caller": "billing", "callee": "payments", "protocol": "http"}]
    (folder / "system.json").write_bytes(packed("system", {"links": links}))
    graph = load_run_report(folder).map
    assert graph is not None
    assert [(link.name, link.faults) for link in graph.links] == [("billing -> payments", ("lost_response",))]
    (folder / "system.json").write_bytes(packed("system", {"links": [1]}))
    with pytest.raises(
        HistoryError, match=r"system.json: found a file that cannot be read .* expected a system"
    ):
        load_run_report(folder)


def test_a_run_without_a_log_has_traces_without_lines(tmp_path: Path) -> None:
    """As those of the twin, and of systems whose services log in words of their own."""
    (trace,) = load_run_report(run_folder(tmp_path)).traces
    assert trace.lines == ()
