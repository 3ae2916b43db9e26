"""Whether the services obeyed the design that the run names: what each showed, beside what it was told."""

from __future__ import annotations

from collections.abc import Iterator

from experiment.asked import Asked
from experiment.history import History
from experiment.obeyed import NOTHING, canonical, differences, digest_of, digest_of_rows, switch_of
from experiment.rows import Obeyed
from experiment.topology import System
from experiment.units import noun
from measurement.analysis import ValidityCheck

READINGS = 2  # after the reset, and once everything was healed
SHOWN = 5  # differences of one service


def design_is_obeyed(history: History, system: System, asked: Asked) -> ValidityCheck:
    """By name of service and switch. A service that has no way to show it is left to its faith."""
    problems = [text for service in asked.design for text in _of_service(history, system, asked, service)]
    problems += [
        f"{row.service} shows a design, and none is known for it"
        for row in history.designs
        if row.service not in asked.design
    ]
    services = noun(len(asked.design), "service")
    good = f"{services} obeyed the design {history.header.design} (digest {digest_of_rows(history.designs)})"
    if not asked.design:
        good = "no service of the system shows what it obeys"
    return ValidityCheck("design_is_obeyed", not problems, "; ".join(dict.fromkeys(problems)) or good)


def _of_service(history: History, system: System, asked: Asked, service: str) -> Iterator[str]:
    rows = [row for row in history.designs if row.service == service]
    for row in rows:
        yield from _of_row(row, system, asked)
    if len(rows) != READINGS:
        times = noun(len(rows), "time")
        yield f"{service} showed what it obeys {times}, expected {READINGS}"
    if len({row.image for row in rows}) > 1:
        yield f"{service} ran from two images"


def _of_row(row: Obeyed, system: System, asked: Asked) -> Iterator[str]:
    if row.trouble:
        yield f"{row.service} does not show what it obeys: {row.trouble}"
        return
    if row.digest != digest_of(row.obeys):
        yield f"{row.service}: the digest is not that of what it obeys"
    wrong = differences(asked.design[row.service], row.obeys)
    for name, wanted, shown in wrong[:SHOWN]:
        said = "does not say" if shown is NOTHING else f"obeys {canonical(shown)}"
        switch = switch_of(system, row.service, name)
        yield f"{row.service} {said}: {switch}, expected {canonical(wanted)}"
    if len(wrong) > SHOWN:
        yield f"{row.service}: {len(wrong) - SHOWN} further differences"
