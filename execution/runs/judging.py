"""From a finished run folder to analysis and reports; no system is needed: old runs can be judged again."""

from __future__ import annotations

from execution.runs.manifest import HISTORY, JUDGEMENT, MANIFEST, digests, require_judgement, seal
from execution.runs.run_folder import RunFolder
from execution.whole_files import write_whole
from experiment.asked import Asked
from experiment.history import History
from experiment.history_columns import COLUMNS, kept_in_columns, remove_columns, write_columns
from experiment.scenario import Scenario
from experiment.topology import System
from measurement.analysis import Analysis
from measurement.judge import analyse, analysis_to_json
from reports.formats import RUN_FORMATS
from reports.loading import load_run_report
from reports.report import RunReport


def judge_again(folder: RunFolder, history: History) -> Analysis:
    """As `judge`, by the values in the folder, with the history that the folder gave."""
    inputs = folder.inputs()
    return judge(folder, history, folder.scenario(), folder.system(), inputs.asked, again=True)


def judge(
    folder: RunFolder,
    history: History,
    scenario: Scenario,
    system: System,
    asked: Asked,
    *,
    again: bool = False,
) -> Analysis:
    """Analyse the history and store analysis.json beside it, and the history in columns; `again` as in
    `seal`: then a run that has its manifest keeps the columns that it names, or none."""
    analysis = analyse(history, scenario, system, asked)
    known: dict[str, str] = {}
    if not (again and (folder.path / MANIFEST).exists()):
        known = _keep_columns(folder, history)
    write_whole(folder.analysis_path, analysis_to_json(analysis))
    seal(folder.path, again, known)
    return analysis


def _keep_columns(folder: RunFolder, history: History) -> dict[str, str]:
    """Returns the digest of the lines, where the columns were made of them."""
    if not kept_in_columns(history):
        remove_columns(folder.path)
        return {}
    lines = digests(folder.path, (HISTORY,))
    write_columns(folder.path, history, lines[HISTORY])
    return lines


def unjudged(folder: RunFolder) -> None:
    """Take away what a judgement that was cut short has written: the run counts as never judged."""
    for name in (MANIFEST, JUDGEMENT, *COLUMNS, *RUN_FORMATS):
        (folder.path / name).unlink(missing_ok=True)


def render(folder: RunFolder, history: History, analysis: Analysis | None = None) -> RunReport:
    """Write every report of the run; without an analysis, by the one in the folder. Raises HistoryError."""
    if analysis is None:
        require_judgement(folder.path)
    report = load_run_report(folder.path, history, analysis)
    for name, rendering in RUN_FORMATS.items():
        write_whole(folder.path / name, rendering(report))
    return report
