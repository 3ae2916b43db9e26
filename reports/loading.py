"""Run folders into report values: the only file of this package that reads a disk (besides the templates)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiment.errors import HistoryError
from experiment.history import Header, History, load_history, read_header
from experiment.regular_files import read_regular
from experiment.values import decoded, unpacked
from measurement.analysis import Analysis
from measurement.judge import analysis_from_json
from reports.report import DesignFacts, RunFacts, RunReport, RunSummary, ScenarioFacts, summary_of
from reports.sequences import KeySequence, sequences
from reports.system_map import SystemMap, system_map
from reports.traces import LogLine, Span, Trace, TracedOperation, choose, tree

HISTORY_FILE = "history.jsonl"
ANALYSIS_FILE = "analysis.json"
FACTS_FILE = "facts.json"
SYSTEM_FILE = "system.json"
LOG_FILE = "logs.jsonl"  # of all services, in the order of time
MAX_LINES = 40  # of one trace
SPAN_FILES = "**/*.spans.jsonl"
MAX_SPANS = 400  # of one trace; a retry storm can have thousands, and nobody reads on


@dataclass(frozen=True, slots=True)
class _SpanLine:
    trace: str
    span: str
    service: str
    name: str
    start: float
    end: float
    parent: str | None = None
    kind: str = "internal"
    status: str = "ok"
    attributes: Mapping[str, Any] = field(default_factory=dict)


def load_run_report(
    run_folder: Path, history: History | None = None, analysis: Analysis | None = None
) -> RunReport:
    """The report of a judged run. `history` and `analysis` save reading them again. Raises HistoryError.

    Reads history.jsonl, analysis.json, facts.json (a run that died early may lack it) and all *.spans.jsonl.
    """
    history = history or load_history(run_folder / HISTORY_FILE)
    analysis = analysis or load_analysis(run_folder)
    facts = _facts(run_folder, history.header)
    files = sorted(run_folder.glob(SPAN_FILES))
    zero = history.header.zero_wall
    traces = with_lines(
        load_traces(files, choose(history.operations, analysis), zero), run_folder / LOG_FILE, zero
    )
    return RunReport(
        history.header,
        facts,
        analysis,
        history.phases,
        history.notes,
        history.end,
        traces,
        tuple(_logged(one, run_folder / LOG_FILE, zero) for one in sequences(history, analysis)),
        _map(run_folder, history, analysis),
    )


def _map(run_folder: Path, history: History, analysis: Analysis) -> SystemMap | None:
    """The graph needs the ends of the links alone, so that the values of the system are left as they are."""
    path = run_folder / SYSTEM_FILE
    try:
        plain = unpacked("system", read_regular(path))
        pairs = [(str(link["caller"]), str(link["callee"])) for link in plain["links"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HistoryError(f"{path}: found a file that cannot be read ({error}), expected a system") from None
    return system_map(pairs, history, analysis)


def load_run_summary(run_folder: Path) -> RunSummary:
    """A judged run in one row, without reading all of its history. Raises HistoryError."""
    header = read_header(run_folder / HISTORY_FILE)
    return summary_of(header, _facts(run_folder, header), load_analysis(run_folder))


def load_analysis(run_folder: Path) -> Analysis:
    """The judgement in a run folder. Raises HistoryError."""
    path = run_folder / ANALYSIS_FILE
    try:
        return analysis_from_json(read_regular(path))
    except OSError as error:
        hint = "judge the run first: `codeblue check RUN`"
        raise HistoryError(f"{path}: found no readable file ({error.strerror}); {hint}") from None
    except HistoryError as error:
        raise HistoryError(f"{path}: {error}") from None


def _facts(run_folder: Path, header: Header) -> RunFacts:
    path, expected = run_folder / FACTS_FILE, "the facts that the run wrote"
    if not path.exists():
        return facts_of_header(header)
    try:
        return decoded(read_regular(path), RunFacts)
    except OSError as error:
        raise HistoryError(
            f"{path}: found no readable file ({error.strerror}), expected {expected}"
        ) from None
    except ValueError as error:
        raise HistoryError(
            f"{path}: found a file that cannot be read ({error}), expected {expected}"
        ) from None


def facts_of_header(header: Header) -> RunFacts:
    """The little that a history alone says of its scenario and design."""
    return RunFacts(ScenarioFacts(header.scenario), DesignFacts(header.design))


def load_traces(
    files: Sequence[Path], operations: Sequence[TracedOperation], zero_wall: float
) -> tuple[Trace, ...]:
    """The operations that left spans, with them. Lines that a killed service left torn are skipped.

    Looks each trace id up by a byte search: parsing every span of a long run would take minutes.
    """
    found: dict[str, list[Span]] = {operation.trace: [] for operation in operations}
    for path in files:
        for trace, spans in found.items():
            spans.extend(_spans_of(path, trace, zero_wall, MAX_SPANS - len(spans)))
    return tuple(
        Trace(operation, tree(found[operation.trace])) for operation in operations if found[operation.trace]
    )


def with_lines(traces: Sequence[Trace], file: Path, zero_wall: float) -> tuple[Trace, ...]:
    """Each trace with what services logged of it; a run without such a file has none."""
    if not file.is_file():
        return tuple(traces)
    return tuple(
        replace(one, lines=tuple(_log_lines_of(file, one.operation.trace, zero_wall))) for one in traces
    )


def _logged(one: KeySequence, file: Path, zero_wall: float) -> KeySequence:
    """With what services logged of its operations, whether the page shows their traces or not."""
    if not file.is_file():
        return one
    found = [line for trace in one.traces for line in _log_lines_of(file, trace, zero_wall)]
    return replace(one, lines=tuple(sorted(found, key=lambda line: line.t)[:MAX_LINES]))


def _log_lines_of(path: Path, trace: str, zero_wall: float) -> Iterator[LogLine]:
    for line in _lines_with(path, f'"{trace}"'.encode(), MAX_LINES):
        try:
            row = decoded(line, dict[str, Any])
            t = float(row.pop("at")) - zero_wall
        except (ValueError, KeyError, TypeError):
            continue
        if row.pop("trace", None) == trace or trace in row.pop("traces", ()):
            service, level, message = (str(row.pop(name, "")) for name in ("service", "level", "message"))
            yield LogLine(t, service, level, message, ", ".join(f"{name} {row[name]}" for name in row))


def _spans_of(path: Path, trace: str, zero_wall: float, limit: int) -> Iterator[Span]:
    needle = f'"{trace}"'.encode()
    for line in _lines_with(path, needle, limit):
        try:
            row = decoded(line, _SpanLine)
        except ValueError:
            continue
        if row.trace == trace:
            attributes = {str(key): str(value) for key, value in row.attributes.items()}
            start, end = row.start - zero_wall, max(row.start, row.end) - zero_wall
            yield Span(
                row.span, row.parent, row.service, row.name, row.kind, start, end, row.status == "ok",
                attributes=attributes,
            )  # fmt: skip


def _lines_with(path: Path, needle: bytes, limit: int) -> Iterator[bytes]:
    """Up to `limit` lines of the file that contain the needle."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position = content.find(needle)
        while position >= 0 and limit > 0:
            start = content.rfind(b"\n", 0, position) + 1
            end = content.find(b"\n", position)
            end = len(content) if end < 0 else end
            yield content[start:end]
            limit -= 1
            position = content.find(needle, end)
