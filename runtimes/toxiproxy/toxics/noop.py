"""noop: passes everything on unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Pipe, Place, Toxic


@dataclass(frozen=True)
class Noop(Toxic):
    """No effect; also what runs in the place of a toxic whose toxicity was not drawn."""

    GO_NAME: ClassVar[str] = "NoopToxic"

    def pipe(self, place: Place) -> Pipe:
        while (chunk := (yield RECEIVE)) is not None:
            yield chunk
