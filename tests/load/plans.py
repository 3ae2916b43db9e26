"""Small plans, made by hand, for the tests of the load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiment.design import Design
from experiment.plan import Plan, PlannedOperation, make_plan
from experiment.population import generate
from experiment.recorder import Recorder
from experiment.rows import Header
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import Journey, Service, Step, System
from load.script import Head, Part, Script

READS = frozenset(("view_dose",))
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
    prefix = {"check_in": "enc", "claim": "inv", "pay": "inv"}.get(journey, "rx")
    dose = 5.0 if journey in ("prescribe", "change_dose") else None
    amount = 12.5 if journey in ("claim", "pay") else None
    plain = {
        "id": number,
        "journey": journey,
        "at_s": at_s,
        "key": f"{prefix}-abc123-{visit:06d}",
        "visit": visit,
        "patient": "pat-00001",
        "coverage": "cov-00001",
        "needs": needs,
        "medication": "warfarin oral tablet",
        "dose_mg": dose,
        "amount": amount,
    }
    return PlannedOperation(**{**plain, **more})  # type: ignore[arg-type]


def script(
    base: str,
    history: Path,
    operations: Sequence[PlannedOperation],
    patience: float = 2.0,
    load_end: float | None = None,
) -> Script:
    """All journeys enter at `base`; the load ends with the last operation unless it is said."""
    end = load_end if load_end is not None else max(op.at_s for op in operations) + 0.01
    parts = {name: Part(base, patience, name not in READS) for name in JOURNEYS}
    return Script(Head("run-1", end, str(history), "2026-01-01", parts), tuple(operations))


def plan(rate: float = 20.0, length_s: float = 1.0, patience: float = 2.0, seed: int = 1) -> Plan:
    """Whole visits at one service named `front`."""
    journeys = {name: Journey("front", patience=patience, writes=name not in READS) for name in JOURNEYS}
    system = System("local", {"front": Service()}, (), journeys, {"visit": VISIT})
    phases = Phases(warm_up=0.0, baseline=length_s, settle=1.0)
    load = Load(Arrivals("constant", rate), {"visit": 1.0})
    scenario = Scenario("local", "local", load, phases)
    return make_plan(scenario, system, Design("plain", {}, {}), seed, generate(5, seed))


def started_history(path: Path, run_id: str = "run-1") -> Path:
    """A history file with its header, as the executor leaves it to the load."""
    recorder = Recorder(path)
    recorder.write(Header(1, run_id, "processes", "local", "plain", "local", 1, "2026-01-01T00:00:00Z", 0.0))
    recorder.close()
    return path
