"""A small system and the means to look at a mistake in a file: its place and both halves of its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from experiment.controls import Fault
from experiment.errors import ConfigError, Problem
from experiment.scenario import Scenario
from experiment.scenario_file import load_scenario
from experiment.topology import System, load_system
from experiment.units import Duration, Share
from measurement.properties import KINDS as PROPERTY_KINDS

SYSTEM = """\
name: clinic
services:
  desk: {module: desk}
  billing: {module: billing}
  payments: {role: instrument, module: payments}
  postgres: {role: store}
links:
  - {caller: desk, callee: billing}
  - {caller: billing, callee: payments}
  - {caller: billing, callee: postgres, protocol: postgres}
journeys:
  check_in: {entry: desk, uses: [desk -> billing]}
  pay: {entry: billing, uses: [billing -> payments, billing -> postgres]}
mixes:
  visit:
    - {journey: check_in}
    - {journey: pay, at: 100ms, needs: check_in}
properties:
  no_duplicate_charge: {kind: at_most_once, things: invoice, effect: {store: payments, kind: charge}}
  no_lost_checkin:
    kind: exactly_once
    things: check-in
    operations: [check_in]
    effect: {store: desk, kind: encounter}
switches:
  idempotency_key: {type: switch, default: off}
  saga: {type: switch, default: off, title: A payment ends after a crash, services: [billing]}
  check: {type: choice, choices: [copy, current], default: copy}
  schedule: {type: duration, default: 90s, minimum: 1s, maximum: 2h}
  cache: {type: duration, optional: on}
  limit: {type: rate, optional: on, effect: rate_limit}
  part: {type: share, default: 10%}
  copies: {type: count, default: 2, minimum: 1}
  factor: {type: number, default: 1.5}
  label: {type: text, default: plain}
  shedding:
    type: record
    optional: on
    fields: {concurrent: {type: count, default: 128, minimum: 1}, wait: {type: duration, optional: on}}
  keeps: {type: choice, choices: [owned, common], default: owned, effect: database}
"""
SCENARIO = """\
name: slow_payments
title: Slow payments do not stop the desk
load:
  arrivals: 8/s
  journeys: {visit: 1}
phases: {warm_up: 1s, baseline: 5s, fault: 10s, recovery: 10s, settle: 5s}
faults:
  - {kind: latency, link: billing -> payments, delay: 500ms, during: fault}
expect:
  invariants: [no_duplicate_charge]
  fault:
    - {journey: pay, success: ">= 99%"}
  recovery: {within: 5s, hold: 3s}
"""
FAULT = "{kind: latency, link: billing -> payments, delay: 500ms, during: fault}"
NEEDS_UNIT = "a duration with its unit (us, ms, s, min, h), such as 250ms"
WRONG_UNIT = "a duration in one of us, ms, s, min, h, such as 250ms"
PLAIN_NAME = 'at most 80 letters, digits, "-", "_" and dots, with a letter or digit first'


@dataclass(frozen=True)
class SlowLink:
    """Stands for a fault on a link."""

    kind: ClassVar[str] = "latency"
    target_kind: ClassVar[Literal["link"]] = "link"
    delay: Duration
    jitter: Duration = 0.0

    def __post_init__(self) -> None:
        if self.jitter > self.delay:
            raise ValueError("a jitter above the delay; expected a jitter that is not longer")


@dataclass(frozen=True)
class LostReply:
    """Stands for a fault inside a callee."""

    kind: ClassVar[str] = "lost_response"
    target_kind: ClassVar[Literal["behaviour"]] = "behaviour"
    share: Share = 0.2


@dataclass(frozen=True)
class Crash:
    """Stands for a fault of a service."""

    kind: ClassVar[str] = "crash"
    target_kind: ClassVar[Literal["node"]] = "node"


KINDS: dict[str, Any] = {kind.kind: kind for kind in (SlowLink, LostReply, Crash)}


def problems_of(load: Callable[[], object]) -> tuple[Problem, ...]:
    """The mistakes that loading reports; none when it loads."""
    try:
        load()
    except ConfigError as error:
        return error.problems
    return ()


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def system(folder: Path, text: str = SYSTEM) -> System:
    return load_system(write(folder, "system.yaml", text), PROPERTY_KINDS)


def scenario(folder: Path, text: str = SCENARIO) -> Scenario:
    kinds: dict[str, type[Fault]] = KINDS
    return load_scenario(write(folder, "scenario.yaml", text), system(folder), kinds)


def seen(problem: Problem, mark: str, text: str) -> tuple[bool, str, str, str]:
    """Whether the problem points at the first `mark` in the text, with found, expected and hint."""
    before = text[: text.index(mark)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    at_mark = (problem.where.line, problem.where.column) == (line, column)
    return at_mark, problem.found, problem.expected, problem.hint
