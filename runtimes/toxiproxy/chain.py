"""The toxics of a proxy: a chain for each direction, and the live links that run it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from runtimes.toxiproxy import errors
from runtimes.toxiproxy.link import Link
from runtimes.toxiproxy.toxics.pipe import Tally, Toxic


class Direction(IntEnum):
    """Which way bytes flow: towards the upstream server, or down to the client."""

    UPSTREAM = 0
    DOWNSTREAM = 1

    @classmethod
    def parse(cls, stream: str) -> Direction:
        """By name in any case. Raises ApiError 400."""
        for direction in cls:
            if direction.name == stream.upper():
                return direction
        raise errors.invalid_stream()


@dataclass(slots=True, eq=False)
class ToxicSettings:
    """A toxic as its user set it. One object for its whole life: the links know it by identity."""

    name: str
    kind: str
    stream: str
    """As it was written, in whatever case."""
    direction: Direction
    toxicity: float
    toxic: Toxic
    tally: Tally = field(default_factory=Tally)


def _empty() -> tuple[list[ToxicSettings], list[ToxicSettings]]:
    return [], []


def _no_links() -> tuple[set[Link], set[Link]]:
    return set(), set()


@dataclass(slots=True)
class ToxicChain:
    """Both chains of a proxy. Every change reaches all live links before the call returns."""

    by_direction: tuple[list[ToxicSettings], list[ToxicSettings]] = field(default_factory=_empty)
    links: tuple[set[Link], set[Link]] = field(default_factory=_no_links)

    def all(self) -> list[ToxicSettings]:
        """Every toxic, those of the upstream direction first, each in the order of its adding."""
        return [settings for chain in self.by_direction for settings in chain]

    def find(self, name: str) -> ToxicSettings:
        """By name. Raises ApiError 404."""
        for settings in self.all():
            if settings.name == name:
                return settings
        raise errors.toxic_not_found()

    def add(self, settings: ToxicSettings) -> None:
        """Put a toxic at the end of its chain."""
        self.by_direction[settings.direction].append(settings)
        for link in list(self.links[settings.direction]):
            link.add_toxic(settings)

    def update(self, settings: ToxicSettings, *, toxic: Toxic, toxicity: float) -> None:
        """Give a toxic new attributes; its toxicity is drawn again on every link."""
        settings.toxic = toxic
        settings.toxicity = toxicity
        for link in list(self.links[settings.direction]):
            link.update_toxic(settings)

    def remove(self, settings: ToxicSettings) -> None:
        """Take a toxic out of its chain."""
        self.by_direction[settings.direction].remove(settings)
        for link in list(self.links[settings.direction]):
            link.remove_toxic(settings)

    def clear(self) -> None:
        """Take all toxics out."""
        for chain in self.by_direction:
            while chain:
                self.remove(chain[0])
