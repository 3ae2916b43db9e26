"""The stand-in system in virtual time: the contract of the fault kinds, played on the twin's controls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from experiment.controls import Controls
from experiment.plan import make_plan
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import System
from experiment.workload import load_workload
from runtimes.runtime import RunSettings
from simulation.engine.loop import run_until
from simulation.engine.tasks import Future, Work
from simulation.model.controls import SimulatedControls
from simulation.model.magnitudes import load_magnitudes
from simulation.model.messages import CallEnd, Reply, Request
from simulation.model.models import Models
from simulation.model.nodes import Node
from simulation.model.world import World

WORK_EVERY_S = 0.02
FAULTS = ("f1", "f2")  # the ids that the contract gives to what it injects


class Front(Node):
    """Answers what `back` answers."""

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        return (yield from self.call("back", "work", {}, deadline))


class Back(Node):
    """Writes to its database, publishes an event and consumes one for every request, as the live stand-in
    does."""

    CHANGES = ("new_tables",)

    def change(self, name: str, made: bool) -> Work[None]:
        yield from self.pause_for(0.1)

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        yield from self.store(lambda: None, deadline)
        yield from self.call("bus", "publish", {"events": []}, deadline)
        self.links["bus"].wire.comes_again()
        return Reply(200)


class TwinGround:
    """The system as a world of the twin; waiting is letting its clock run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._controls = SimulatedControls(world)
        self._users = world.user_channel("front")
        self._work()

    def controls(self) -> Controls:
        return self._controls

    def unhealed(self) -> Iterator[str]:
        """Read from the world itself, not from what the controls believe."""
        for name, channel in self._world.channels.items():
            if channel.impaired:
                yield f"{name}: {[*channel.wire.impairments.values()] or 'its callee misbehaves'}"
            if channel.wire.redelivery is not None:
                yield f"{name}: its consumer gets events again"
        for name, node in self._world.nodes.items():
            server = node.server
            ails = {"down": not server.up, "paused": server.paused, "full": node.full, "skewed": node.skew}
            ails |= {"changed": bool(node.changes)}
            held_back = {"held back": self._controls.node(name).gauge("cpu_limit")}
            yield from (f"{name}: {ailment}" for ailment, acts in (ails | held_back).items() if acts)

    def heal(self) -> None:
        """The twin has no heal of its own, a run ends with its world: every control is asked."""
        for fault in FAULTS:
            for name in self._world.channels:
                self._controls.link(name).restore(fault)
            for name in self._world.nodes:
                self._controls.node(name).undo(fault)
            for link in ("front -> back", "back -> bus"):
                self._controls.behaviour(link).cease(fault)

    def now(self) -> float:
        return self._world.clock.now

    def wait(self, seconds: float) -> None:
        run_until(self._world.clock, self.now() + seconds)

    def serves(self, deadline_s: float) -> bool:
        end = self._ask(deadline_s)
        self.wait(deadline_s)
        return end.done and end.error is None and end.value.status == 200

    def _ask(self, limit_s: float) -> Future:
        request = Request("work", {}, "client", limit=limit_s)
        end = CallEnd("users -> front", request)
        self._users.call(end, request)
        return end

    def _work(self) -> None:
        self._ask(1.0)
        self._world.clock.call_after(WORK_EVERY_S, self._work)


@contextmanager
def twin_ground(system: System, settings: RunSettings) -> Iterator[TwinGround]:
    """A world of the stand-in's two services, warmed up by a second of work."""
    scenario = Scenario("contract", "Contract", Load(Arrivals(rate=1.0), {"work": 1}), Phases(1.0))
    plan = make_plan(
        scenario, system, settings.design, settings.seed, settings.population, load_workload(system)
    )
    ground = TwinGround(World(plan, load_magnitudes(), models=Models({"front": Front, "back": Back})))
    ground.wait(1.0)
    yield ground
