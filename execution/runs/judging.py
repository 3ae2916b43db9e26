"""From a finished run folder to analysis and reports; no system is needed: old runs can be judged again."""

from __future__ import annotations

from pathlib import Path

from execution.runs.run_folder import RunFolder
from experiment.history import History
from measurement.analysis import Analysis
from measurement.judge import analyse, analysis_to_json
from reports import RUN_FORMATS
from reports.loading import load_run_report


def judge(folder: RunFolder, history: History | None = None) -> Analysis:
    """Analyse the history and store analysis.json beside it. `history` saves reading it again."""
    system = folder.system()
    analysis = analyse(history or folder.history(), folder.scenario(system), system)
    folder.analysis_path.write_bytes(analysis_to_json(analysis))
    return analysis


def render(folder: RunFolder, history: History | None = None) -> tuple[Path, ...]:
    """Write every report of the run; returns the files. `history` saves reading it again."""
    report = load_run_report(folder.path, history)
    written = []
    for name, rendering in RUN_FORMATS.items():
        path = folder.path / name
        path.write_text(rendering(report), encoding="utf-8")
        written.append(path)
    return tuple(written)
