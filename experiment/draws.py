"""Arguments drawn from the seed, as system.yaml says: in the order of the file, from one stream."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from experiment.forms import Draw


class Drawing:
    """Draws the arguments of one plan. `token` is the run's, so that what is unique in a plan differs from
    what another run made."""

    def __init__(self, rng: random.Random, token: str) -> None:
        self._rng = rng
        self._token = token
        self._counts: dict[int, int] = {}

    def draw(self, draws: Mapping[str, Draw]) -> dict[str, Any]:
        """One value for each name."""
        return {name: self._one(draw) for name, draw in draws.items()}

    def _one(self, draw: Draw) -> Any:
        if draw.kind == "uniform":
            value = self._rng.uniform(*draw.of)
            return value if draw.decimals is None else round(value, draw.decimals)
        if draw.kind == "integer":
            return self._rng.randint(*draw.of)
        if draw.kind == "one_of":
            if draw.weights:
                return self._rng.choices(draw.of, draw.weights)[0]
            return self._rng.choice(draw.of)
        if draw.kind == "constant":
            return draw.of
        number = self._counts.get(id(draw), 0)
        self._counts[id(draw)] = number + 1
        if draw.kind == "sequence":
            return draw.of + number
        return f"{draw.of}-{self._token}-{number:06d}"
