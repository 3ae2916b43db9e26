"""A web shop, whose properties the tests bind: the kinds are general, and know no domain."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

from experiment.errors import ConfigError, Problem
from experiment.rows import Row
from experiment.topology import System, load_system
from experiment.verdict import CheckResult
from measurement.properties import KINDS
from tests.measurement.histories import history, scenario

FILE = """\
name: shop
services:
  orders: {command: [orders], endpoints: {records: /records}, records: [order, order_version, job]}
  payments: {role: instrument, command: [payments], endpoints: {records: /ledger}, records: [charge, refund]}
  stock: {command: [stock], endpoints: {records: /all}}
  search: {command: [search]}
links: [{caller: orders, callee: payments}, {caller: orders, callee: stock}]
journeys:
  order: {entry: orders, uses: [orders -> payments, orders -> stock]}
  change: {entry: orders}
  cancel: {entry: orders}
  show: {entry: search, writes: false}
mixes: {buy: [{journey: order}]}
properties:
"""


def system_text(binding: str) -> str:
    """The shop's file with these lines below `properties:`."""
    return FILE + textwrap.indent(textwrap.dedent(binding).strip("\n"), "  ") + "\n"


def shop(folder: Path, binding: str) -> System:
    """The shop with these properties. Raises ConfigError."""
    path = folder / "system.yaml"
    path.write_text(system_text(binding), encoding="utf-8")
    return load_system(path, KINDS)


def judge(folder: Path, binding: str) -> Callable[..., CheckResult]:
    """A function of the rows of a history: the judgement of the first property."""
    system = shop(folder, binding)
    name, stated = next(iter(system.properties.items()))

    def judged(*rows: Row) -> CheckResult:
        return stated.result(name, stated.binding.find(history(*rows), scenario(), system))

    return judged


def mistakes(folder: Path, binding: str) -> tuple[Problem, ...]:
    """What is wrong with the shop's file; nothing when it is right."""
    try:
        shop(folder, binding)
    except ConfigError as error:
        return error.problems
    return ()
