"""What a run on a running system will touch, line by line with its undo, and who has allowed it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiment.attaching import Allowed, Attach, refused
from experiment.errors import StartError, UnsupportedError, UsageError
from experiment.plan import Plan
from experiment.topology import System
from runtimes.attach.kernel import number_of
from runtimes.attach.lodgings import host_in
from runtimes.attach.nodes import able, undone_by
from runtimes.attach.parts import Part, command_of_all, find_parts, own_network
from runtimes.attach.rules import Group, Network, group_of, require_rules
from runtimes.leaks import command_of

LOCKS = Path("/run/lock")


@dataclass(frozen=True, slots=True)
class Target:
    """A running system as it was found. `name` tells it from every other of this machine."""

    name: str
    attach: Attach
    parts: Mapping[str, Part]
    callers: Mapping[str, Group | Network]
    """By what the callers of redirected links are matched: those of our own network by their groups."""
    stands: Mapping[str, str] = field(default_factory=dict)
    """Link to the address at which its proxy listens, empty for loopback."""

    @property
    def table(self) -> str:
        """The nftables table of its rules."""
        return f"codeblue_{self.name}"

    @property
    def lock(self) -> Path:
        """Held while a run goes on: one run a target."""
        folder = LOCKS if LOCKS.is_dir() else Path(tempfile.gettempdir())
        return folder / f"codeblue-{self.name}.lock"


def find_target(system: System) -> Target:
    """Look at what runs. Raises UnsupportedError for what cannot be wired, StartError for what does not
    run."""
    attach = system.attach
    if attach is None:
        raise UnsupportedError(
            f"{system.source}: found no `attach`, expected where the parts of the running system are"
        )
    parts = find_parts(attach)
    places = sorted(str(part.address) for part in parts.values())
    name = hashlib.sha256(" ".join(places).encode()).hexdigest()[:8]
    redirected = [link for link in system.links if link.name not in attach.links]
    stands = {link.name: _stand(link.name, parts[link.caller], parts[link.callee]) for link in redirected}
    housed = {link.caller for link in redirected if stands[link.name]}
    if redirected:
        require_rules(groups=not all(stands.values()), networks=bool(housed))
    callers = {link.caller: place_of(name, parts[link.caller]) for link in redirected}
    _apart(callers)
    return Target(name, attach, parts, callers, stands)


def _stand(link: str, caller: Part, callee: Part) -> str:
    """Where the proxy of a caller in a container listens: this machine's address in a network of both; empty
    for a caller in our own network."""
    if caller.process is None:
        raise UnsupportedError(
            f"{link}: found its caller on another machine, expected it here or its proxy's name under "
            "attach.links"
        )
    if not own_network(caller):
        if callee.lodging is not None and own_network(callee):
            raise UnsupportedError(
                f"{link}: found its callee in a container and its caller in this machine's own network, "
                "expected both in containers, or the name of its proxy under attach.links"
            )
        return ""
    if caller.lodging is None:
        raise UnsupportedError(
            f"{link}: found its caller in a network of its own, expected its `container` instead of `at`, or "
            "the name of its proxy under attach.links"
        )
    shared = set(caller.lodging.addresses)
    if callee.lodging is not None:
        shared &= set(callee.lodging.addresses)
        if not shared:
            raise UnsupportedError(
                f"{link}: found no network of both {caller.lodging.name} and {callee.lodging.name}, expected "
                "one, or the name of its proxy under attach.links"
            )
    stand = host_in(caller.lodging, shared)
    if not stand:
        raise UnsupportedError(
            f"{link}: found no address of this machine in the network of {caller.lodging.name}, expected a "
            "bridge network of this machine, or the name of its proxy under attach.links"
        )
    return stand


def place_of(target: str, caller: Part) -> Group | Network:
    """By what a caller is matched, as it runs now."""
    if caller.process is not None and own_network(caller):
        return Network(caller.process.pid, number_of(caller.process.pid))
    return group_of(caller.pids, f"codeblue-{target}-{caller.name}")


def _apart(callers: Mapping[str, Group | Network]) -> None:
    """Two callers in one place could not be told apart."""
    seen: dict[object, str] = {}
    for caller, place in callers.items():
        key, what = (place.number, "network") if isinstance(place, Network) else (place.path, "process")
        if (other := seen.setdefault(key, caller)) != caller:
            raise UnsupportedError(f"attach: found {caller} and {other} as one {what}, expected one each")


def lines_of(target: Target, plans: Sequence[Plan], instances: Path) -> list[str]:
    """Everything that will be touched, each with its undo: the same list as long as the same processes
    run."""
    attach, system, lines = target.attach, plans[0].system, []
    for caller, place in target.callers.items():
        lodging = target.parts[caller].lodging
        if isinstance(place, Network) and lodging is not None:
            lines.append(
                f"container {lodging.name} of {caller}: its connections to callees are cut once, undo: it "
                "connects again; packet rules in its network, undo: they are removed"
            )
        if isinstance(place, Network):
            continue
        for pid in target.parts[caller].pids:
            what = f"process {pid} of {caller} ({command_of(pid)}): its connections to callees are cut once"
            moved = f"; it moves to the group {place.path}, undo: back to {place.home}" if place.made else ""
            lines.append(f"{what}, undo: it connects again{moved}")
    for link in system.links:
        if link.name in attach.links:
            proxy = attach.links[link.name].proxy
            lines.append(
                f"proxy {proxy} at {attach.toxiproxy} ({link.name}): gets toxics or is disabled, "
                "undo: no toxic, enabled"
            )
            continue
        known = target.parts[link.callee].addresses_for(target.parts[link.caller])
        callee = " or ".join(map(str, known))
        rule = f"rule: what {link.caller} sends to {callee} goes through a proxy of ours ({link.name})"
        if stand := target.stands.get(link.name):
            rule += f", which listens at {stand}"
        lines.append(f"{rule}, undo: nft delete table ip {target.table}; the connections are cut once more")
    for plan in plans:
        for acting in plan.activations:
            span = f"{acting.start_s:g} s to {acting.end_s:g} s of {plan.run_id}"
            undo, part = "it is healed", target.parts.get(acting.target)
            if part is not None:
                undo = undone_by(part, attach.services[acting.target], acting.fault.requires)
            lines.append(f"fault {acting.id}: {acting.fault.kind} on {acting.target}, {span}, undo: {undo}")
    lines.append(f"folder {instances}/instances/attach-*: journal and logs, undo: it is removed")
    lines.append(f"file {target.lock}: one run at a time, undo: it is unlocked")
    return lines


def refuse_faults(target: Target, plans: Sequence[Plan]) -> None:
    """Raises UnsupportedError for every fault on a part that nobody could bring back."""
    refused = []
    for plan in plans:
        for acting in plan.activations:
            part = target.parts.get(acting.target)
            if part is None or acting.fault.requires in able(part, target.attach.services[acting.target]):
                continue
            found = f"{acting.fault.kind} on {acting.target}"
            if part.process is None:
                refused.append(f"found {found}, which is on another machine, expected faults on links to it")
            else:
                refused.append(
                    f"found {found}, a process that somebody else started, expected the command that starts "
                    f"it again as attach.services.{acting.target}.starts, a pause, or faults on links to it"
                )
    if refused:
        raise UnsupportedError("\n".join(dict.fromkeys(refused)))


def digest(lines: Sequence[str]) -> str:
    """The hash that says yes to exactly these lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def require_consent(
    plans: Sequence[Plan], allowed: Allowed | None, yes: str, instances: Path, target: Target | None = None
) -> None:
    """Raises UsageError: without an allow file, for everything that it does not allow, and with the whole
    list where `yes` is not its hash."""
    system = plans[0].system
    target = target or find_target(system)
    if allowed is None:
        raise UsageError(
            "found no --allow FILE, expected one: it says which parts of a running system may be touched"
        )
    refuse_faults(target, plans)
    faulted = {acting.target for plan in plans for acting in plan.activations}
    arrivals = [plan.scenario.load.arrivals for plan in plans]
    load = max(max(one.rate, one.to or 0.0, one.burst_rate or 0.0) for one in arrivals)
    commands = [
        command_of_all(part.process.pid) for part in target.parts.values() if part.process is not None
    ]
    places = [one.host or one.container for one in target.attach.services.values()]
    names = [*places, target.attach.project, *system.services, *commands]
    problems = refused(allowed, target.attach, faulted, system.link_names, load, names)
    if problems:
        raise UsageError("\n".join(problems))
    lines = lines_of(target, plans, instances)
    wanted = digest(lines)
    if yes != wanted:
        said = f"found --yes {yes}, which is not the hash of this list" if yes else "found no --yes"
        raise UsageError(
            "\n".join([*lines, f"{said}, expected --yes {wanted} to touch all of this; nothing was touched"])
        )


class TargetLock:
    """One run a target: held from its start until its end, or the death of this process."""

    def __init__(self, target: Target) -> None:
        """Raises StartError when another run holds it."""
        self._descriptor = os.open(target.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise StartError(
                f"attach: another run goes on at this target ({target.lock}); wait for its end"
            ) from None

    def release(self) -> None:
        """Others may run. Calling it again does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
