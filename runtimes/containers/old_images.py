"""Images that nothing needs any more, removed: those that newer ones replaced.

An image is named after its content, so that every change of a system's code makes another one. All are made
again when they are needed; only time is lost.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from experiment.units import noun
from runtimes.containers.engine_images import ImageFacts, Images
from runtimes.containers.recipes import BASE, CONTENT
from runtimes.docker_engine import EngineError
from runtimes.leftovers import Swept

NEWEST = 2  # of each name: a gate has two sides
MADE_LATELY_S = 3600.0  # who made it may be about to start it
CURRENT = ":current"


def unneeded(images: Sequence[ImageFacts], used: Collection[str], now: float) -> list[ImageFacts]:
    """Of our images those that may go, the oldest first. What stays: the `current` ones, the newest two of
    each name, the bases of these, what a container is made of (ids in `used`), and what was made within the
    last hour."""
    newest_first = sorted(images, key=lambda image: -image.made_at)
    kept: list[ImageFacts] = []
    seen: dict[str, int] = {}
    for image in newest_first:
        names = {name.rpartition(":")[0] for name in image.names}
        rank = min((seen.get(name, 0) for name in names), default=NEWEST)
        seen |= {name: seen.get(name, 0) + 1 for name in names}
        current = any(name.endswith(CURRENT) for name in image.names)
        if current or rank < NEWEST or image.id in used or now - image.made_at < MADE_LATELY_S:
            kept.append(image)
    bases = {image.labels.get(BASE, "") for image in kept}
    return [
        image
        for image in reversed(newest_first)
        if image not in kept and not bases & {image.id, *image.names}
    ]


def remove_old_images() -> Swept:
    """Remove them from the engine in use. Without an engine there is nothing to say: who looks for its
    containers says that."""
    try:
        images = Images()
    except EngineError:
        return Swept()
    try:
        gone = freed = 0
        for image in unneeded(images.with_label(CONTENT), images.in_use(), time.time()):
            if all(images.discard(name) for name in image.names or (image.id,)):
                gone, freed = gone + 1, freed + image.size_bytes
        told = f"images that newer ones replaced: {noun(gone, 'image')}"
        return Swept((f"{told} ({freed / 1e6:,.0f} MB with the layers that they share)",) if gone else ())
    except EngineError as error:
        return Swept(failed=(f"old images: they cannot be looked for: {error}",))
    finally:
        images.close()
