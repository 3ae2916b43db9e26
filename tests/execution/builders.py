"""Small systems, scenarios and plans for the tests of execution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from experiment.controls import Controls, Effect, Look, Traffic
from experiment.design import Design
from experiment.errors import Location
from experiment.patterns import LinkPatterns
from experiment.plan import Plan, make_plan
from experiment.scenario import Arrivals, FaultSpec, Load, Phases, Repeat, Scenario
from experiment.topology import Journey, Link, Service, Step, System
from experiment.verdict import Verdict
from experiment.workload import Population, load_workload
from measurement.run_records import RunRecord

SYSTEM = System(
    name="pair",
    services={"front": Service(module="front"), "back": Service(module="back")},
    links=(Link("front", "back"),),
    journeys={"ask": Journey(entry="front", uses=("front -> back",)), "look": Journey(entry="front")},
    mixes={"visit": (Step("ask"), Step("look", at=0.1, needs="ask"))},
)
DESIGN = Design("plain", {"front -> back": LinkPatterns()}, {"front": {}, "back": {}})


@dataclass(slots=True)
class Board:
    """What a scripted fault did, in order, and what it shall pretend."""

    calls: list[str] = field(default_factory=list)
    works: bool = True
    heals: bool = True
    raises: bool = False
    sent_at_a_look: int = 100
    looks: int = 0

    def sent(self) -> int:
        """What the caller has sent: as much between any two looks."""
        self.looks += 1
        return self.looks * self.sent_at_a_look


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """A fault that writes down what is asked of it."""

    board: Board
    kind: str = "scripted"
    target_kind: Literal["link", "node", "behaviour"] = "link"
    requires: str = "scripted"
    fault_class: str = "scripted"

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        self.board.calls.append(f"inject {fault}")
        if self.board.raises:
            raise RuntimeError("the control said no")

    def heal(self, controls: Controls, target: str, fault: str) -> None:
        self.board.calls.append(f"heal {fault}")

    def measure(self, controls: Controls, target: str) -> object:
        return None

    def ready(self, before: object) -> bool:
        return True

    def judge(self, before: object, during: object) -> Effect:
        return Effect(self.board.works, "seen" if self.board.works else "nothing", {})

    def gone(self, before: object, after: object) -> Effect:
        return Effect(self.board.heals, "gone" if self.board.heals else "still there", {})

    def look(self, controls: Controls, target: str, fault: str) -> Look:
        return Look("" if self.board.works else "it does not act", Traffic(to_callee=self.board.sent()))

    def met(self, target: str, start: Look, now: Look) -> Effect:
        met = now.carried_since(start) or 0
        return Effect(met > 0, f"met {met}", {"met": met})


def scenario(board: Board, repeat: Repeat | None = None, **phases: float) -> Scenario:
    lengths: dict[str, Any] = {"warm_up": 0.0, "baseline": 0.1, "fault": 0.3, "recovery": 0.1, "settle": 0.1}
    spec = FaultSpec(ScriptedFault(board), "front -> back", "fault", None, None, repeat, Location("x.yaml"))
    return Scenario(
        name="try",
        title="a try",
        load=Load(Arrivals("constant", 20.0), {"visit": 1.0}),
        phases=Phases(**{**lengths, **phases}),
        faults=(spec,),
    )


def plan(board: Board, seed: int = 1, repeat: Repeat | None = None, **phases: float) -> Plan:
    workload = load_workload(SYSTEM)
    return make_plan(scenario(board, repeat, **phases), SYSTEM, DESIGN, seed, Population(), workload)


def record(entry: int, seed: int = 1, **known: Any) -> RunRecord:
    """A finished run; what is not said is as in a clean pass without figures."""
    values: dict[str, Any] = {
        "entry": entry,
        "scenario": f"s{entry}",
        "design": "d",
        "seed": seed,
        "folder": f"/runs/{entry}-{seed}",
        "verdict": Verdict.PASS,
        "vetoed": False,
        "violated": (),
        "safety": (),
        "score": 90.0,
        "recovery_s": None,
        "censored_s": None,
        "stale_s": None,
        "calls": None,
        "cpu_ms": None,
        "baseline_latency": (),
        "exercised": (),
    }
    return RunRecord(**{**values, **known})
