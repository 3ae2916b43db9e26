"""The simulator against what is known exactly: closed forms and published figures, for any parameters.

The cases are built from the servers, channels, policies and replicas that simulate the scenarios.
"""

from __future__ import annotations

from simulation.selfcheck.cases import Case, CheckRow, Parameter
from simulation.selfcheck.contention import BACKOFF
from simulation.selfcheck.hedging import HEDGING
from simulation.selfcheck.overload import METASTABLE
from simulation.selfcheck.queues import MG1, MMC, MMCK
from simulation.selfcheck.quorums import PBS
from simulation.selfcheck.retries import DUPLICATES, RETRIES

CASES: dict[str, Case] = {
    case.name: case for case in (MMC, MG1, MMCK, DUPLICATES, RETRIES, BACKOFF, METASTABLE, HEDGING, PBS)
}

__all__ = ["CASES", "Case", "CheckRow", "Parameter"]
