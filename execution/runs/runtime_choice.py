"""Runtimes by name, and what each can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from execution.options import ATTACH, CONTAINERS, PROCESSES
from experiment.controls import CutShort, SkewClock, Split, Throttle, capability
from experiment.errors import StartError, UnsupportedError, UsageError, nearest
from experiment.plan import Plan
from experiment.scenario import FaultSpec
from experiment.services import CODE
from experiment.stop import Stop
from experiment.topology import System
from load.script import unsendable
from runtimes.behaviour_controls import BEHAVIOURS
from runtimes.leftovers import Swept
from runtimes.links.controls import IMPAIRMENTS
from runtimes.links.request_faults import APPROXIMATED, AT_PROXY, ON_EMBEDDED, knows_requests
from runtimes.links.servers import find_server
from runtimes.planned_changes import CHANGE
from runtimes.processes.node_controls import ACTIONS
from runtimes.processes.own_names import way
from runtimes.processes.runtime import ProcessesRuntime
from runtimes.runtime import Runtime

CARRIED = frozenset(map(capability, (Throttle, Split, CutShort)))  # seen in how long so many bytes take


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """`can` takes the capabilities that are asked for and maps the kind of a fault's target (link, node,
    behaviour), or the role of a node, to what its controls are capable of here. `make` takes an image of the
    services too, empty for that of the system's checkout. Of all faults that need one of `one_at_a_time` only
    one may act at a time. `proxies_know` says whether the proxies know requests, so that they play what a
    service cannot be told to do."""

    make: Callable[[System, Path, str, Stop], Runtime]
    can: Callable[[frozenset[str]], Mapping[str, frozenset[str]]]
    one_at_a_time: frozenset[str] = frozenset()
    proxies_know: Callable[[], bool] = lambda: True


def _processes(system: System, var: Path, service_image: str, stop: Stop) -> Runtime:
    if service_image:
        raise UsageError(f"found the image {service_image}, which needs --runtime {CONTAINERS}")
    return ProcessesRuntime(system, var, stop)


def _processes_can(_: frozenset[str]) -> Mapping[str, frozenset[str]]:
    roles = {role: frozenset({CHANGE}) for role in CODE}
    return {"link": IMPAIRMENTS, "node": ACTIONS, "behaviour": BEHAVIOURS, **roles}


# The modules of the containers runtime are imported only when it is chosen: they need the package docker.


def _containers(system: System, var: Path, service_image: str, stop: Stop) -> Runtime:
    from runtimes.containers.runtime import ContainersRuntime

    return ContainersRuntime(system, var, service_image, stop)


def _containers_know() -> bool:
    from runtimes.containers.abilities import proxies_know

    return proxies_know()


def _containers_can(needed: frozenset[str]) -> Mapping[str, frozenset[str]]:
    from runtimes.containers.abilities import abilities

    return abilities(needed)


def _attach(system: System, var: Path, service_image: str, stop: Stop) -> Runtime:
    from runtimes.attach.runtime import AttachRuntime

    if service_image:
        raise UsageError(f"found the image {service_image}, which needs --runtime {CONTAINERS}")
    return AttachRuntime(system, var, stop)


def _attach_can(_: frozenset[str]) -> Mapping[str, frozenset[str]]:
    """Which service can be brought back is known once the running system was looked at: consent refuses the
    others by name."""
    return {"link": IMPAIRMENTS, "node": ACTIONS}


# The simulation has no system to start: see simulated_bench.
LIVE_RUNTIMES: dict[str, RuntimeChoice] = {
    PROCESSES: RuntimeChoice(_processes, _processes_can, proxies_know=lambda: knows_requests(find_server())),
    ATTACH: RuntimeChoice(_attach, _attach_can),
    CONTAINERS: RuntimeChoice(
        _containers, _containers_can, frozenset({"corrupt", "reorder"}), _containers_know
    ),
}


def sweep_containers(instance: str, endpoint: str) -> Swept:
    """Remove the containers of an instance whose journal says that it had some, and in which engine."""
    from runtimes.containers.sweeping import sweep_instance

    return sweep_instance(instance, endpoint)


def sweep_unjournaled_containers() -> Swept:
    """Remove what bears the label of a dead owner though no journal is left; it is said when no engine could
    be asked."""
    from runtimes.containers.sweeping import sweep_engine

    return sweep_engine()


def sweep_old_images() -> Swept:
    """Remove the images that newer ones replaced and nothing needs."""
    from runtimes.containers.old_images import remove_old_images

    return remove_old_images()


def choose(name: str) -> RuntimeChoice:
    """Raises UsageError naming the nearest."""
    if name not in LIVE_RUNTIMES:
        raise UsageError(f'found the runtime "{name}", expected a live one: {nearest(name, LIVE_RUNTIMES)}')
    return LIVE_RUNTIMES[name]


def refuse_unsupported(plan: Plan, runtime: str) -> None:
    """Compare each fault with what the runtime can do. Raises UnsupportedError naming every one it cannot."""
    can = choose(runtime).can(frozenset(spec.fault.requires for spec in plan.scenario.faults))
    refused = []
    for spec in plan.scenario.faults:
        able = can.get(spec.fault.target_kind, frozenset())
        if spec.fault.target_kind == "node":
            able |= can.get(plan.system.services[spec.target].role, frozenset())
        if missing := _missing(spec, plan.system, choose(runtime)):
            refused.append(f"{spec.where}: {missing}")
        elif spec.fault.requires not in able:
            known = ", ".join(sorted(able)) or "nothing"
            what = f"{spec.fault.kind} on {spec.target}, which the runtime {runtime} cannot do"
            refused.append(f"{spec.where}: found {what}, expected one of what it can: {known}")
    refused += _unstartable(plan.system, runtime)
    if runtime != CONTAINERS:
        refused += [
            f"{plan.design.source or plan.design.name}: found the image {one.image} of {name} on the runtime "
            f"{runtime}, which starts no images, expected --runtime {CONTAINERS}"
            for name, one in plan.design.variants.items()
            if one.image
        ]
    refused += unsendable(plan)
    refused += _overlaps(plan, choose(runtime).one_at_a_time)
    if refused:
        raise UnsupportedError("\n".join(refused))


def _missing(spec: FaultSpec, system: System, choice: RuntimeChoice) -> str:
    """What a service lacks for a fault, empty when nothing: only one that has the endpoint can be told to
    misbehave, where no proxy can play it, and only the clock of one that is started by us can be moved."""
    what = f"found {spec.fault.kind} on {spec.target}"
    if spec.fault.target_kind == "behaviour":
        player = system.link(spec.target).played_by
        tellable = system.services[player].control.behaviour is not None
        if not tellable and (lacks := _not_at_the_proxy(spec, system, choice)):
            return f"{what}, and {player} has no endpoint behaviour, {lacks}"
    if "->" in spec.target and system.link(spec.target).protocol == "tcp" and spec.fault.requires in CARRIED:
        expected = "another protocol, or a fault such as latency, blackhole, refusal or reset"
        return f"{what}, whose protocol is tcp, expected {expected}: how much comes back is not known there"
    if spec.fault.requires == capability(SkewClock) and system.services[spec.target].foreign:
        return f"{what}, which is not a module, expected a module: only its image can have its clock moved"
    return ""


def _not_at_the_proxy(spec: FaultSpec, system: System, choice: RuntimeChoice) -> str:
    """Why a proxy cannot play a fault in place of a callee, and what can; empty: it can."""
    player = system.link(spec.target).played_by
    endpoint = f"services.{player}.endpoints.behaviour in the system's file"
    if spec.fault.requires not in AT_PROXY or system.link(spec.target).protocol != "http":
        return f"expected {endpoint}, or a fault of the link such as latency or blackhole"
    if choice.proxies_know():
        return ""
    near = APPROXIMATED[spec.fault.requires]
    return (
        f"and Toxiproxy's own server knows no requests: {ON_EMBEDDED}, {endpoint}, or what comes near: {near}"
    )


def _unstartable(system: System, runtime: str) -> list[str]:
    """A sentence for each service that the runtime has no way to start."""
    if runtime != PROCESSES:
        return []
    try:
        if any(link.wired == "name" for link in system.links):
            way()
    except StartError as error:
        return [f"{system.source}: {error}"]
    return [
        f"{system.source}: found no command to start {name} with, expected one, or --runtime {CONTAINERS}"
        for name, service in system.services.items()
        if service.is_code and not (service.module or service.command)
    ]


def _overlaps(plan: Plan, one_at_a_time: frozenset[str]) -> list[str]:
    """A sentence for each two faults that would act at the same time and cannot."""
    alone = [acting for acting in plan.activations if acting.fault.requires in one_at_a_time]
    return [
        f"found {later} at {later.start_s:g} s while {first} acts, expected one such fault at a time: the "
        "kernel has one queue for them"
        for first, later in pairwise(alone)
        if later.start_s < first.end_s
    ]
