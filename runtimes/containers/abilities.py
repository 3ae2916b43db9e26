"""What the containers runtime can do here, told before anything of the system is started."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import cache

from runtimes.behaviour_controls import BEHAVIOURS
from runtimes.containers.engine import Engine
from runtimes.containers.engine_images import Images
from runtimes.containers.images import require_images
from runtimes.containers.layout import FIRST_RUN, INSTANCE, OWNER
from runtimes.containers.links import DAMAGES, LOSSES
from runtimes.containers.nodes import ANY, ONLY_SERVICES, ONLY_STORES
from runtimes.containers.recipes import KIND, name_of
from runtimes.containers.specs import ContainerSpec
from runtimes.containers.toolbox import PacketAbilities, Toolbox
from runtimes.links.controls import IMPAIRMENTS
from runtimes.owners import this_process


def abilities(needed: frozenset[str]) -> Mapping[str, frozenset[str]]:
    """By kind of target (link, behaviour, node) and by role of a node: service, instrument, store, bus.

    The kernel is asked only when something is needed that depends on it. Raises EngineError.
    """
    if needed & (LOSSES | DAMAGES):
        return abilities_with(kernel_abilities())
    return abilities_with(PacketAbilities(False, False))


def abilities_with(packets: PacketAbilities) -> Mapping[str, frozenset[str]]:
    """As `abilities`, on a kernel that can do this with packets."""
    links = IMPAIRMENTS | (LOSSES if packets.loss else set()) | (DAMAGES if packets.netem else set())
    return {
        "link": links,
        "behaviour": BEHAVIOURS,
        "node": ANY,
        "service": ONLY_SERVICES,
        "instrument": ONLY_SERVICES,
        "store": ONLY_STORES,
        "bus": ONLY_STORES,
    }


def proxies_know() -> bool:
    """Whether the image of Toxiproxy holds the server that knows requests. Raises EngineError."""
    images = Images()
    server = images.find(name_of("toxiproxy"))
    images.close()
    return server is None or server.labels.get(KIND) == "embedded"  # one that is missing is told elsewhere


@cache
def kernel_abilities() -> PacketAbilities:
    """Tried in a container without a network, which is removed again."""
    engine = Engine()
    require_images()
    instance = f"trial-{os.getpid()}-{secrets.token_hex(4)}"
    labels = {INSTANCE: instance, OWNER: str(this_process()), FIRST_RUN: "none: a trial of the kernel"}
    spec = ContainerSpec(
        name=f"codeblue-{instance}",
        hostname="trial",
        image=name_of("toolbox"),
        network="none",
        labels=labels,
        user="0:0",
        capabilities=("NET_ADMIN",),
    )
    try:
        engine.create(spec)
        engine.start(spec.name)
        return Toolbox(engine, spec.name).abilities()
    finally:
        engine.remove(spec.name)
        engine.close()
