"""Removes what bears an instance's label, and what dead owners left behind. Nothing else is ever touched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runtimes.containers.engine import Engine
from runtimes.containers.layout import INSTANCE, OWNER
from runtimes.docker_engine import EngineError, EngineGone
from runtimes.leftovers import Identity, Swept, boot_id, identify

EMPTY_WITHIN_S = 8.0
LATE_S = 0.5
POLL_S = 0.05
AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that an instance belongs to, as its labels say."""

    identity: Identity
    boot: str

    def __str__(self) -> str:
        return f"{self.identity.pid}:{self.identity.started_ticks}:{self.boot}"

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and self.identity.alive


def owner_of_this_process() -> Owner:
    identity = identify(os.getpid())
    assert identity is not None
    return Owner(identity, boot_id())


def read_owner(label: str) -> Owner | None:
    """The owner named by a label; None when the label is not one of ours."""
    try:
        pid, ticks, boot = label.split(":")
        return Owner(Identity(int(pid), int(ticks)), boot)
    except ValueError:
        return None


def remove_instance(engine: Engine, instance: str) -> list[str]:
    """Remove containers, network and volumes of one instance and look again. Returns what is left."""
    label = f"{INSTANCE}={instance}"
    end = time.monotonic() + EMPTY_WITHIN_S
    while (left := _names(engine, instance)) and time.monotonic() < end:
        _each(engine.remove, engine.containers(label))
        _each(engine.remove_network, engine.networks(label))
        _each(engine.remove_volume, engine.volumes(label))
        if _names(engine, instance):
            time.sleep(POLL_S)
    return left


def _each(remove: Callable[[str], None], names: Iterable[str]) -> None:
    """Several at once; what one call cannot remove yet, the next round does."""

    def one(name: str) -> None:
        try:
            remove(name)
        except EngineGone:
            raise
        except EngineError:
            return

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="remove") as pool:
        for done in [pool.submit(one, name) for name in names]:
            done.result()


def sweep_instance(instance: str) -> Swept:
    """Remove the containers of a dead owner's instance, which its journal names."""
    try:
        engine = Engine()
        names = set(_names(engine, instance))
        left = remove_instance(engine, instance)
        while late := _late_arrivals(engine, instance):
            names |= late
            left = remove_instance(engine, instance)
            if left:
                break
        engine.close()
    except EngineError as error:
        return Swept(failed=(f"its containers cannot be looked for: {error}",))
    removed = len(names - set(left))
    done = (f"removed {removed} containers, networks and volumes",) if removed else ()
    return Swept(done, tuple(f"{name} cannot be removed" for name in left))


def _late_arrivals(engine: Engine, instance: str) -> set[str]:
    """What the engine still makes of calls that the owner sent just before its end."""
    end = time.monotonic() + LATE_S
    while not (names := set(_names(engine, instance))) and time.monotonic() < end:
        time.sleep(POLL_S)
    return names


def sweep_engine() -> Swept:
    """Remove every instance whose owner is dead, journaled or not. Raises EngineGone."""
    engine = Engine()
    owners: dict[str, str] = {}
    for kind in (engine.containers, engine.networks, engine.volumes):
        for labels in kind(INSTANCE).values():
            owners[labels.get(INSTANCE, "")] = labels.get(OWNER, "")
    engine.close()
    dead = [name for name, label in owners.items() if (owner := read_owner(label)) and not owner.alive]
    swept = {name: sweep_instance(name) for name in dead}
    return Swept(
        tuple(f"{name}: {line}" for name, one in swept.items() for line in one.done),
        tuple(f"{name}: {line}" for name, one in swept.items() for line in one.failed),
    )


def _names(engine: Engine, instance: str) -> list[str]:
    label = f"{INSTANCE}={instance}"
    return [*engine.containers(label), *engine.networks(label), *engine.volumes(label)]
