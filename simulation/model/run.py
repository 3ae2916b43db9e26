"""One simulated run: a plan in, the same History out that a live run gives.

load from zero -> faults on their timeline, each proven by its own measurement -> settle until every
backlog is empty -> final reads and records -> end
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import floor
from typing import Literal

from experiment.aborting import AbortWatch, ended_operation
from experiment.errors import CodeBlueError, ConfigError, Problem
from experiment.final_reads import ABSENT, JOURNEY, keys_to_read, prefix_of
from experiment.history import End, Header, History, LoadReport, PhaseEvent, build
from experiment.plan import Plan, header_of
from experiment.python_source import blamed
from experiment.rows import (
    GENERAL_MODELS,
    LEFT_OUT,
    RECORDS_READ,
    Note,
    Operation,
    Record,
    Row,
    Sample,
    tally_of,
)
from experiment.settling import BACKLOGS_SAMPLED, DRAIN_POLL_S, PATIENCE_MARGIN_S, settling
from simulation.engine.loop import run_until
from simulation.model.controls import CAPABILITIES, SimulatedControls
from simulation.model.magnitudes import Magnitudes
from simulation.model.models import models_of
from simulation.model.nodes import Node
from simulation.model.obeyed import shown
from simulation.model.timeline import DrivenFault
from simulation.model.users import Users
from simulation.model.world import World, refuse_unknown, unknown_switches

SOURCE = "simulation"
GONE_S = 3.0  # virtual seconds in which the heal of what an aborted run injected is seen
LOOK_EVERY_S = 1.0  # virtual seconds between two looks at whether the run was interrupted
BREAKER_STATES = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


def simulate(
    plan: Plan,
    magnitudes: Magnitudes,
    header: Header | None = None,
    *,
    chance: str = "",
) -> History:
    """Play the plan in virtual time. The same arguments give the same history; another `chance` gives other
    service times and delays to the same plan, as another day does on a live system.

    Raises UnsupportedError naming every service, switch and fault that the model does not know.
    """
    return build(play(plan, magnitudes, header, chance=chance).rows)


@dataclass(frozen=True, slots=True)
class Played:
    """The rows of a run, and the seconds each request took inside each service, by (service, operation)."""

    rows: list[Row]
    spans: dict[tuple[str, str], list[float]]


class InterruptedRun(Exception):
    """The run was asked to stop before its end."""


class AbortedRun(InterruptedRun):
    """A condition of the scenario ended it: the message says which."""


def play(
    plan: Plan,
    magnitudes: Magnitudes,
    header: Header | None = None,
    stop: Callable[[], bool] | None = None,
    chance: str = "",
) -> Played:
    """As `simulate`, with what calibration needs beside the history.

    Once `stop` says yes the history ends there, as interrupted, with everything that happened until then.
    Raises ConfigError at the line of a system's own model that raised.
    """
    refuse_unknown(plan, CAPABILITIES)
    try:
        return _play(plan, magnitudes, header, stop, chance)
    except CodeBlueError:
        raise
    except Exception as error:
        folder = models_of(plan.system).folder
        place = blamed(error, folder) if folder is not None else None
        if place is None or place.file == str(folder):
            raise  # no line of a model: a mistake of ours
        found = f"{type(error).__name__} while the model played: {error}"
        raise ConfigError([Problem(place, found, "a model that plays every plan")]) from error


def _play(
    plan: Plan,
    magnitudes: Magnitudes,
    header: Header | None,
    stop: Callable[[], bool] | None,
    chance: str,
) -> Played:
    world = World(plan, magnitudes, chance)
    users = Users(world)
    watcher = _Watcher(world)
    controls = SimulatedControls(world)
    activations = [
        DrivenFault(world.clock, controls, acting, watcher.rows.append) for acting in plan.activations
    ]
    for phase in plan.phases:
        if phase.name == "settle":
            break
        if phase.end_s > phase.start_s:
            watcher.phase(phase.name, phase.start_s, phase.end_s)
    watcher.rows.extend(_general(world))
    watcher.rows.extend(shown(world, 0.0))
    header = header or _header(plan, magnitudes)
    try:
        if stop is not None:
            _look(world, stop)
        if plan.scenario.abort:
            _judge_each_second(world, users)
        run_until(world.clock, plan.load_end_s)
        settled = _settle(world, watcher, users)
    except InterruptedRun as cut:
        played, at = list(users.rows), world.clock.now
        for activation in activations:
            activation.abandon()
        aborted = isinstance(cut, AbortedRun)
        if aborted:  # until it is seen that everything is healed; the load has ended
            run_until(world.clock, at + GONE_S)
        kept = [header, *watcher.rows, *played]
        said = str(cut) if aborted else "interrupted before its end"
        reason: Literal["aborted", "interrupted"] = "aborted" if aborted else "interrupted"
        end = End(world.clock.now, reason, True, said, tally_of(kept), run_id=header.run_id)
        return Played([*kept, end], world.spans)
    rows: list[Row] = [header, *watcher.rows]
    rows.extend(_load_reports(plan))
    rows.append(Sample(settled, "load", "lag_p99", 0.0))
    rows.append(PhaseEvent("settle", plan.load_end_s, settled))
    rows.extend(users.rows)
    rows.extend(_final_reads(world, users.rows, settled))
    rows.extend(_records(world, settled))
    rows.extend(shown(world, settled))
    rows.append(End(settled, "completed", True, tally=tally_of(rows), run_id=header.run_id))
    return Played(rows, world.spans)


def _header(plan: Plan, magnitudes: Magnitudes) -> Header:
    """Of a run that nobody keeps: it began at no time."""
    made = header_of(plan, SOURCE, 0.0)
    return replace(made, calibration=magnitudes.words(made.started_at))


def _general(world: World) -> Iterator[Row]:
    """What a reader must know of a run whose system brings no models of its own."""
    if not world.models.general:
        return
    yield Sample(0.0, "twin", GENERAL_MODELS, 1.0)
    text = (
        "the system brings no twin models (workload.twin): general ones predict latency, goodput, retries "
        "and recovery, of safety nothing"
    )
    if not world.site.magnitudes.learned:
        text += "; what a request calls is what its journey `uses`: `codeblue calibrate RUN` measures it"
    switches = unknown_switches(world.plan, world.models)
    if switches:
        text += f"; not modelled: {', '.join(switches)} of the design {world.plan.design.name}"
    yield Note(0.0, "info", text)


def _look(world: World, stop: Callable[[], bool]) -> None:
    """Ends the loop from within when the run is to stop: a look now and then costs the loop nothing."""
    if stop():
        raise InterruptedRun
    world.clock.call_after(LOOK_EVERY_S, lambda: _look(world, stop))


def _judge_each_second(world: World, users: Users) -> None:
    """The scenario's conditions on what users meet, while there is load."""
    journeys = world.plan.system.journeys
    watch = AbortWatch(world.plan.scenario.abort, {name: one.refused for name, one in journeys.items()})
    seen = 0

    def judge() -> None:
        nonlocal seen
        rows, seen = users.rows[seen:], len(users.rows)
        ended = [ended_operation(row) for row in rows if row.sent is not None]
        if why := watch.judge(world.clock.now, ended):
            raise AbortedRun(why)
        if world.clock.now < world.plan.load_end_s:
            world.clock.call_after(1.0, judge)

    world.clock.call_after(1.0, judge)


def _settle(world: World, watcher: _Watcher, users: Users) -> float:
    """Go on until the load has ended and every backlog was empty a few times, or the phase is over."""
    plan = world.plan
    end = plan.phase("settle").end_s

    def load_over() -> bool:
        return len(users.rows) == len(plan.operations)

    for until in settling(end, lambda: world.clock.now, watcher.backlog, load_over):
        run_until(world.clock, until)
    settled = world.clock.now
    last = settled + PATIENCE_MARGIN_S
    while not load_over() and world.clock.now < last:
        run_until(world.clock, min(last, world.clock.now + DRAIN_POLL_S))
    watcher.all()
    return settled


def _load_reports(plan: Plan) -> Iterator[LoadReport]:
    """Virtual users are never late."""
    seconds: dict[int, int] = {}
    for op in plan.operations:
        seconds[floor(op.at_s)] = seconds.get(floor(op.at_s), 0) + 1
    for second, count in sorted(seconds.items()):
        yield LoadReport(float(second + 1), 0, count, count, 0.0, 0.0, 0.0)


def _final_reads(world: World, operations: list[Operation], at: float) -> Iterator[Operation | Sample]:
    """What the users' own keys show in the end: every key that was sent, read as an ordinary operation."""
    number = max((op.id for op in world.plan.operations), default=0)
    system = world.plan.system
    sent = ((op.key, op.outcome) for op in operations if op.sent is not None)
    left_out = 0
    for key in keys_to_read(sent, system.final_reads, world.plan.seed):
        owner = system.journeys[system.final_reads[prefix_of(key)].written_by].entry
        held = world.nodes[owner].held(key)
        if held is None:
            left_out += 1
            continue
        number += 1
        yield Operation(
            number,
            JOURNEY,
            key,
            at,
            at,
            at,
            "acknowledged",
            status=404 if held.value == ABSENT else 200,
            version=held.version,
            value=held.value,
        )
    yield Sample(at, "load", LEFT_OUT, float(left_out))


def _records(world: World, at: float) -> Iterator[Record | Sample]:
    """Every row of every system of record, and how many each gave when it was read, at `at`."""
    for name, node in world.nodes.items():
        records = node.records()
        if records is not None:
            rows = list(records)
            yield Sample(at, name, RECORDS_READ, float(len(rows)))
            yield from rows


class _Watcher:
    """Samples counters at the phases' borders and backlogs once a second, as a live run does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rows: list[Row] = []

    def phase(self, name: str, start: float, end: float) -> None:
        clock = self._world.clock
        clock.call_at(start, self.all)
        if name in BACKLOGS_SAMPLED:
            for second in range(int(end - start)):
                clock.call_at(start + second, self.backlog)
        clock.call_at(end, lambda: self.rows.append(PhaseEvent(name, start, end)))

    def all(self) -> None:
        """One reading of every service's counters."""
        now = self._world.clock.now
        for name, node in self._world.nodes.items():
            if self._world.plan.system.services[name].role in ("store", "bus"):
                continue
            self._sample(now, name, "up", float(node.server.up and node.ready))
            if not (node.server.up and node.ready):
                continue
            for counter in ("requests", "shed", "in_flight"):
                self._sample(now, name, counter, getattr(node, counter))
            for caller, count in node.received.items():
                self._sample(now, name, "received", count, caller)
            self._links(now, node)

    def _links(self, now: float, node: Node) -> None:
        for callee, channel in node.links.items():
            for counter in (
                "logical",
                "attempts",
                "retries",
                "timeouts",
                "errors",
                "short_circuited",
                "rejected_bulkhead",
            ):
                self._sample(now, node.name, counter, getattr(channel, counter), callee)
            denied = channel.budget.denied if channel.budget is not None else 0
            self._sample(now, node.name, "budget_denied", denied, callee)
            breaker = channel.breaker
            self._sample(now, node.name, "breaker_openings", breaker.openings if breaker else 0, callee)
            state = BREAKER_STATES[breaker.state] if breaker else 0.0
            self._sample(now, node.name, "breaker_state", state, callee)

    def backlog(self) -> float:
        """One reading of every backlog; the total."""
        now, total = self._world.clock.now, 0.0
        for name, node in self._world.nodes.items():
            counts = node.backlog() | {about: waiting() for about, waiting in node.waiting.items()}
            for about, count in counts.items():
                self._sample(now, name, "backlog", count, about)
                total += count
        return total

    def _sample(self, t: float, source: str, name: str, value: float, about: str = "") -> None:
        self.rows.append(Sample(t, source, name, float(value), about))
