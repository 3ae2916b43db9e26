"""Small plans, made by hand, for the tests of the load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from execution.catalogue import read_system
from experiment.design import Design
from experiment.plan import Plan, make_plan
from experiment.recorder import Recorder
from experiment.requests import PlannedOperation
from experiment.rows import Header
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import Service, Step
from experiment.workload import load_workload
from load.script import Head, Part, Script

REFERENCE = read_system(Path(__file__).resolve().parents[2] / "reference_system" / "system.yaml")
CLIENT = str(REFERENCE.file(REFERENCE.workload.client))
JOURNEYS = ("check_in", "claim", "pay", "prescribe", "change_dose", "view_dose", "dispense")
VISIT = (
    Step("check_in"),
    Step("claim", at=0.01),
    Step("pay", at=0.02, needs="claim"),
    Step("prescribe", at=0.01),
    Step("change_dose", at=0.03, needs="prescribe"),
    Step("view_dose", at=0.04, needs="prescribe"),
    Step("dispense", at=0.05, needs="change_dose"),
)


def operation(
    number: int, journey: str, at_s: float, visit: int = 0, needs: int | None = None, **more: float | str
) -> PlannedOperation:
    key = f"{REFERENCE.prefix(journey)}-abc123-{visit:06d}"
    arguments: dict[str, float | str] = {
        "patient": "pat-00001",
        "coverage": "cov-00001",
        "user": "usr-00001",
        "amount": 12.5,
    }
    if journey in ("prescribe", "change_dose", "stop"):
        arguments |= {"medication": "warfarin oral tablet", "dose_mg": 5.0}
    arguments |= more
    value = f"{arguments['dose_mg']:g} mg" if "dose_mg" in arguments else None
    return PlannedOperation(number, journey, at_s, key, visit, needs, arguments, value)


def script(
    base: str,
    history: Path,
    operations: Sequence[PlannedOperation],
    patience: float = 2.0,
    load_end: float | None = None,
) -> Script:
    """All journeys enter at `base`; the load ends with the last operation unless it is said."""
    end = load_end if load_end is not None else max(op.at_s for op in operations) + 0.01
    parts = {
        name: Part(base, patience, journey.writes, journey.request, journey.answer)
        for name, journey in REFERENCE.journeys.items()
    }
    return Script(Head("run-1", end, str(history), "2026-01-01", parts, CLIENT), tuple(operations))


def plan(rate: float = 20.0, length_s: float = 1.0, patience: float = 2.0, seed: int = 1) -> Plan:
    """Whole visits at one service named `front`."""
    journeys = {
        name: replace(journey, entry="front", uses=(), patience=patience)
        for name, journey in REFERENCE.journeys.items()
    }
    system = replace(
        REFERENCE, services={"front": Service()}, links=(), journeys=journeys, mixes={"visit": VISIT}
    )
    phases = Phases(warm_up=0.0, baseline=length_s, settle=1.0)
    load = Load(Arrivals("constant", rate), {"visit": 1.0})
    scenario = Scenario("local", "local", load, phases)
    workload = load_workload(system)
    design = Design("plain", {}, {})
    return make_plan(scenario, system, design, seed, workload.population(None, seed), workload)


def started_history(path: Path, run_id: str = "run-1") -> Path:
    """A history file with its header, as the executor leaves it to the load."""
    recorder = Recorder(path)
    recorder.write(Header(1, run_id, "processes", "local", "plain", "local", 1, "2026-01-01T00:00:00Z", 0.0))
    recorder.close()
    return path
