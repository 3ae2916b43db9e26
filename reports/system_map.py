"""The system as a graph: links that were faulted, that suffered, and that telemetry suspects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiment.history import History
from experiment.units import noun
from measurement.analysis import Analysis
from measurement.counters import group, increase
from reports import svg
from reports.drawing import Drawing
from reports.wording import percent

TRIED, FAILED = frozenset({"attempts"}), frozenset({"errors", "timeouts"})
LEAST_FAILED = 3  # calls, before a link is said to have suffered,
WORSE_BY = 0.05  # and by so much more of its calls than in the baseline
SUSPECTS = 3  # places that are shown
BOX, ROW, TOP = (116.0, 30.0), 58.0, 26.0
WIDTH = 960.0


@dataclass(frozen=True, slots=True)
class MapLink:
    """One link as it fared."""

    caller: str  # the service that calls
    callee: str  # the service that is called
    faults: tuple[str, ...] = ()  # the kinds of faults that acted on it
    failed: float | None = None  # share of its calls that failed while faults acted; none: nobody counts
    suffered: bool = False  # whether evidently more of its calls failed than in the baseline
    place: float | None = None  # its place among the suspects of the telemetry; none: not one of the first

    @property
    def name(self) -> str:
        """As in files: caller -> callee."""
        return f"{self.caller} -> {self.callee}"


@dataclass(frozen=True, slots=True)
class SystemMap:
    """The services and links that were played."""

    links: tuple[MapLink, ...]  # every link
    faulted: Mapping[str, tuple[str, ...]]  # service to the kinds of faults that acted on it


def system_map(links: Sequence[tuple[str, str]], history: History, analysis: Analysis) -> SystemMap:
    """From the (caller, callee) pairs of the system that was played."""
    kinds: dict[str, dict[str, None]] = {}
    for window in analysis.faults:
        if window.start is not None:
            kinds.setdefault(window.target, {})[window.kind] = None
    shares = _failed(history, analysis)
    found = analysis.localisation
    alarmed = found is not None and found.alarm_s is not None
    suspects = found.suspects if found is not None and alarmed else ()
    places = {one.link: one.place for one in suspects if one.score > 0 and one.place <= SUSPECTS}

    def of_link(caller: str, callee: str) -> MapLink:
        name = f"{caller} -> {callee}"
        failed, suffered = shares.get(name, (None, False))
        return MapLink(caller, callee, tuple(kinds.get(name, ())), failed, suffered, places.get(name))

    services = {name: tuple(found) for name, found in kinds.items() if " -> " not in name}
    return SystemMap(tuple(of_link(*pair) for pair in dict.fromkeys(links)), services)


def _failed(history: History, analysis: Analysis) -> dict[str, tuple[float, bool]]:
    """Link to the share of its calls that failed while faults acted, and whether that is evidently more than
    in the baseline: as the callers count them."""
    starts = [window.start for window in analysis.faults if window.start is not None]
    baseline = history.phase("baseline")
    if not starts or baseline is None:
        return {}
    last = max((sample.t for sample in history.samples), default=0.0)
    during = (min(starts), max(last if one.end is None else one.end for one in analysis.faults))
    before = (baseline.start, min(starts))
    tried, failed = group(history.samples, TRIED), group(history.samples, FAILED)
    found: dict[str, tuple[float, bool]] = {}
    for (caller, _, callee), readings in tried.items():
        wrong = [failed.get((caller, name, callee), []) for name in sorted(FAILED)]
        calls, bad = _grown([readings], during), _grown(wrong, during)
        usual = _grown(wrong, before) / max(1.0, _grown([readings], before))
        if calls:
            share = min(1.0, bad / calls)
            found[f"{caller} -> {callee}"] = (share, bad >= LEAST_FAILED and share > usual + WORSE_BY)
    return found


def _grown(counters: Iterable[list[tuple[float, float]]], span: tuple[float, float]) -> float:
    grown = (increase(readings, *span) for readings in counters)
    return sum(one.value for one in grown if one is not None)


def layers(links: Iterable[MapLink]) -> list[list[str]]:
    """Services in columns: every callee right of its callers; a circle is broken where it is met."""
    callees: dict[str, list[str]] = {}
    for link in links:
        callees.setdefault(link.caller, []).append(link.callee)
        callees.setdefault(link.callee, [])
    depth: dict[str, int] = {}

    def place(service: str, at: int, above: tuple[str, ...]) -> None:
        if service in above or depth.get(service, -1) >= at:
            return
        depth[service] = at
        for callee in callees[service]:
            place(callee, at + 1, (*above, service))

    called = {callee for found in callees.values() for callee in found}
    for service in [one for one in callees if one not in called] + list(callees):
        if service not in depth:
            place(service, 0, ())
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for service, at in depth.items():
        columns[at].append(service)
    return columns


def drawing(seen: SystemMap) -> str:
    """The map as a drawing; empty where nothing calls anything."""
    columns = layers(seen.links)
    if not columns:
        return ""
    tallest = max(len(column) for column in columns)
    height = TOP + ROW * tallest + 34
    step = (WIDTH - BOX[0] - 8) / max(1, len(columns) - 1)
    centre: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        for row, service in enumerate(column):
            y = TOP + ROW * (row + 0.5 + (tallest - len(column)) / 2)
            centre[service] = (4 + BOX[0] / 2 + step * number, y + 9 * (number % 2))
    drawn = Drawing(WIDTH)
    told: list[tuple[float, float, str]] = []
    for link in sorted(seen.links, key=lambda one: (bool(one.faults), one.suffered, one.place is not None)):
        told += _link(drawn, link, centre[link.caller], centre[link.callee], step)
    for service, (x, y) in centre.items():
        kinds = seen.faulted.get(service, ())
        stroke, thickness = (svg.FAULT, 2.5) if kinds else (svg.MUTED, 1)
        drawn.rect(x - BOX[0] / 2, y - BOX[1] / 2, *BOX, svg.PANEL, stroke=stroke, thickness=thickness)
        drawn.text(
            x, y + 4, service if len(service) <= 16 else f"{service[:15]}…", anchor="middle", bold=True
        )
        if kinds:
            drawn.text(x, y - BOX[1] / 2 - 4, ", ".join(kinds), svg.FAULT, size=11, anchor="middle")
    for x, y, text in told:
        drawn.rect(x - 3.2 * len(text) - 4, y - 9, 6.4 * len(text) + 8, 17, svg.PAPER, opacity=0.9)
        drawn.text(x, y + 4, text, size=11, anchor="middle")
    _legend(drawn, height - 8)
    return drawn.svg(height, _alt(seen))


def _link(
    drawn: Drawing, link: MapLink, start: tuple[float, float], end: tuple[float, float], step: float
) -> list[tuple[float, float, str]]:
    """A curve from the caller's right edge to the callee's left one, around the columns in between; where
    what is to be said of it stands."""
    (x1, y1), (x2, y2) = (start[0] + BOX[0] / 2, start[1]), (end[0] - BOX[0] / 2, end[1])
    bend = max(30.0, abs(x2 - x1) / 2)
    around = -0.72 * ROW if abs(end[0] - start[0]) > 1.5 * step else 0.0
    colour, thickness = svg.GRID, 1.2
    if link.place is not None:
        colour, thickness = svg.PURPLE, 2.0
    if link.suffered:
        colour, thickness = svg.VERMILLION, 2.0
    if link.faults:
        colour, thickness = svg.FAULT, 3.5
    dashes = "6 3" if link.suffered and not link.faults else ""
    drawn.path(
        f"M {x1:.1f} {y1:.1f} C {x1 + bend:.1f} {y1 + around:.1f} {x2 - bend:.1f} {y2 + around:.1f} "
        f"{x2 - 6:.1f} {y2:.1f}",
        colour,
        thickness=thickness,
        dashes=dashes,
    )
    drawn.path(f"M {x2:.1f} {y2:.1f} l -8 -4 l 0 8 z", colour, fill=colour)
    told = list(link.faults)
    if link.suffered and link.failed is not None:
        told.append(f"{percent(link.failed)} failed")
    if link.place is not None:
        told.append(f"suspect {link.place:g}")
    return [((x1 + x2) / 2, (y1 + y2) / 2 + 0.75 * around, ", ".join(told))] if told else []


def _legend(drawn: Drawing, y: float) -> None:
    x = 4.0
    for colour, thickness, dashes, text in (
        (svg.FAULT, 3.5, "", "faulted"),
        (svg.VERMILLION, 2.0, "6 3", "more calls failed than in the baseline"),
        (svg.PURPLE, 2.0, "", "suspected by telemetry, with its place"),
    ):
        drawn.line(x, y - 4, x + 26, y - 4, colour, thickness=thickness, dashes=dashes)
        drawn.text(x + 32, y, text, svg.MUTED, size=11)
        x += 52 + 6.2 * len(text)


def _alt(seen: SystemMap) -> str:
    faulted = [f"{', '.join(one.faults)} on {one.name}" for one in seen.links if one.faults]
    faulted += [f"{', '.join(kinds)} on {service}" for service, kinds in seen.faulted.items()]
    suffered = [one.name for one in seen.links if one.suffered]
    suspects = [f"{one.name} (place {one.place:g})" for one in seen.links if one.place is not None]
    parts = (("Faulted", faulted), ("Suffered", suffered), ("Suspected", suspects))
    told = " ".join(f"{what}: {'; '.join(names)}." for what, names in parts if names)
    return f"{noun(len(seen.links), 'link')} between services. {told or 'Nothing was faulted.'}"
