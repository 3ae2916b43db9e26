"""Removes what carries an instance's label, and what dead owners left behind. Nothing else is touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from runtimes.containers.engine import Engine
from runtimes.containers.layout import INSTANCE, OWNER
from runtimes.docker_engine import EngineError, EngineGone
from runtimes.leftovers import Swept
from runtimes.owners import ELSEWHERE, read_owner

EMPTY_WITHIN_S = 8.0
LATE_S = 0.5
POLL_S = 0.1
AT_ONCE = 16


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


def sweep_instance(instance: str, endpoint: str) -> Swept:
    """Remove the containers of a dead owner's instance from the engine that its journal names."""
    try:
        engine = Engine(endpoint)
    except EngineError as error:
        return Swept(failed=(f"its containers cannot be looked for, its journal is kept: {error}",))
    try:
        return _sweep(engine, instance)
    finally:
        engine.close()


def _sweep(engine: Engine, instance: str) -> Swept:
    try:
        names = set(_names(engine, instance))
        left = remove_instance(engine, instance)
        while late := _late_arrivals(engine, instance):
            names |= late
            left = remove_instance(engine, instance)
            if left:
                break
    except EngineError as error:
        return Swept(failed=(f"its containers could not all be removed: {error}",))
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
    """Remove every instance whose owner is dead for certain, journaled or not, from the engine in use."""
    try:
        engine = Engine()
    except EngineError as error:
        return Swept(passed_over=(f"containers were not looked for: {error}",))
    swept = Swept()
    try:
        for instance, label in _owners(engine).items():
            owner = read_owner(label)
            fate = owner.fate if owner is not None else "unknown"
            if fate == "dead":
                swept += _sweep(engine, instance).of(instance)
            elif fate == "unknown":
                swept += Swept(passed_over=(ELSEWHERE,)).of(instance)
    except EngineError as error:
        swept += Swept(failed=(f"containers of dead owners: they cannot be looked for any more: {error}",))
    finally:
        engine.close()
    return swept


def _owners(engine: Engine) -> dict[str, str]:
    """The owner's label of every instance that has something in the engine."""
    kinds = (engine.containers, engine.networks, engine.volumes)
    shown = [labels for kind in kinds for labels in kind(INSTANCE).values()]
    return {labels.get(INSTANCE, ""): labels.get(OWNER, "") for labels in shown}


def _names(engine: Engine, instance: str) -> list[str]:
    label = f"{INSTANCE}={instance}"
    return [*engine.containers(label), *engine.networks(label), *engine.volumes(label)]
