"""Plans played in virtual time: the same folders, judged and rendered as those of a live run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from execution.options import SIMULATION, Options
from execution.runs.bench import Bench
from execution.runs.live_run import Watcher
from execution.runs.run_folder import RunFolder
from execution.whole_files import refusal
from experiment.history import Header, History, Note, load_history
from experiment.plan import Plan
from experiment.recorder import Recorder
from experiment.stop import Stop
from simulation.model.controls import CAPABILITIES
from simulation.model.models import magnitudes_of
from simulation.model.obeyed import modelled
from simulation.model.run import play
from simulation.model.world import refuse_unknown


def refuse_unmodelled(plans: Sequence[Plan]) -> None:
    """Raises UnsupportedError for what the twin does not model."""
    for plan in plans:
        refuse_unknown(plan, CAPABILITIES)


class SimulatedBench(Bench):
    """The twin. What it does not model is refused before the first plan is played."""

    def __init__(self, plans: Sequence[Plan], options: Options, stop: Stop) -> None:
        super().__init__(SIMULATION, options, stop)
        refuse_unmodelled(plans)
        self._magnitudes = magnitudes_of(plans[0].system, options.calibration)

    def describe(self) -> str:
        return f"{SIMULATION}, {self._magnitudes.name} magnitudes"

    def _design(self, plan: Plan) -> Mapping[str, Mapping[str, Any]]:
        return modelled(plan.system, plan.design)

    def _facts(self) -> dict[str, Any]:
        return {"calibration": self._magnitudes.words(datetime.now(UTC).isoformat(timespec="seconds"))}

    def _journaled(self, folder: Path) -> None:
        """Nothing guards a run in virtual time: the next command removes what a killed one left half made."""

    def _play(
        self, plan: Plan, folder: RunFolder, header: Header, watch: Watcher, remarks: Sequence[Note]
    ) -> tuple[bool, History]:
        recorder = Recorder(folder.history_path)
        rows = play(plan, self._magnitudes, header, self._stop.is_set).rows
        try:
            recorder.write_all(rows)
        except OSError as error:
            if not refusal(error):
                raise  # a full disk is told when the run is judged: its history ends where it is
        finally:
            recorder.close()
        return True, load_history(folder.history_path)
