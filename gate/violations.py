"""Violated safety invariants with the place in the scenario that asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiment.errors import ConfigError, Location
from experiment.yaml_source import Mapping as YamlMapping
from experiment.yaml_source import Node, Scalar, read_yaml
from experiment.yaml_source import Sequence as YamlSequence
from gate.pairs import stem
from gate.report import GateViolation
from measurement.run_records import RunRecord


def violations_of(records: Sequence[RunRecord], scenarios: Mapping[str, Path]) -> tuple[GateViolation, ...]:
    """One for every run and invariant; `scenarios` are files by name."""
    found = []
    for record in records:
        path = scenarios.get(record.scenario) or Path(record.scenario)
        if not path.is_file():
            path = scenarios.get(stem(record.scenario)) or path
        for name in record.safety:
            statement = record.statement(name)
            place = below(path), line_of(path, name)
            found.append(GateViolation(name, stem(record.scenario), record.seed, statement, *place))
    return tuple(found)


def below(path: Path) -> str:
    """Relative to the working directory, where pipelines look for files; absolute outside of it."""
    absolute, here = path.resolve(), Path.cwd().resolve()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def line_of(path: Path, invariant: str) -> int:
    """Where the scenario lists the invariant; its first line when it does not, or is gone."""
    try:
        root = read_yaml(path)
    except (ConfigError, OSError):
        return 1
    expect = root.get("expect") if isinstance(root, YamlMapping) else None
    listed = expect.get("invariants") if isinstance(expect, YamlMapping) else None
    return next((where.line for where, text in _scalars(listed) if text == invariant), 1)


def _scalars(node: Node | None) -> Iterator[tuple[Location, str]]:
    if isinstance(node, Scalar):
        yield node.where, node.text
    elif isinstance(node, YamlSequence):
        for item in node.items:
            yield from _scalars(item)
    elif isinstance(node, YamlMapping):
        for key, value in node.items:
            yield key.where, key.text
            yield from _scalars(value)
