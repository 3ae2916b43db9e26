"""What services show of the design that they obey: asked at their own endpoint, or, of those that know
nothing of the harness, read from the kernel or the engine. Never what the harness told them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psutil

from experiment.design import Design
from experiment.obeyed import digest_of, started_with, variables_of
from experiment.rows import Obeyed
from experiment.topology import System
from experiment.variants import IMAGE
from runtimes.http_calls import CallError, call
from runtimes.readings import Readings
from runtimes.runtime import Address

DEADLINE_S = 5.0


class _Answer(msgspec.Struct):
    """The body of GET /design."""

    digest: str
    obeys: dict[str, Any]


_ANSWER = msgspec.json.Decoder(_Answer)


def told(readings: Readings, t: float) -> list[Obeyed]:
    """What every service with the endpoint `design` says that it obeys, at `t`."""

    def ask(service: str, address: Address, path: str) -> Obeyed:
        try:
            answer = call(address, "GET", path, deadline_s=DEADLINE_S)
        except CallError as error:
            return Obeyed(t, service, "", trouble=str(error))
        if answer.status != 200:
            return Obeyed(t, service, "", trouble=f"GET http://{address}{path}: status {answer.status}")
        try:
            said = _ANSWER.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return Obeyed(t, service, "", trouble=f"GET http://{address}{path}: {error}")
        trouble = "" if said.digest == digest_of(said.obeys) else "its digest is not that of what it shows"
        return Obeyed(t, service, said.digest, said.obeys, trouble=trouble)

    return list(readings.each("design", ask).values())


def of_process(system: System, design: Design, service: str, pid: int, t: float) -> Obeyed:
    """By the environment and the command line of a running process, as the kernel shows them."""
    try:
        process = psutil.Process(pid)
        environment, argv = process.environ(), process.cmdline()
    except (psutil.Error, OSError) as error:
        return Obeyed(t, service, "", trouble=f"its environment cannot be read: {error}")
    return of_start(system, design, service, environment, argv, t)


def of_start(
    system: System,
    design: Design,
    service: str,
    environment: Mapping[str, str],
    argv: Sequence[str],
    t: float,
    image: str = "",
    image_asked: str = "",
) -> Obeyed:
    """The variables and arguments that the design decides, among all that a service was started with.

    Arguments are counted from the end: what a script's first line names comes before its own. `image` is
    the digest of what it runs from, `image_asked` the name for that which the design gives, if it is that."""
    spec = system.services[service]
    variables, arguments = variables_of(spec, started_with(system, design, service))
    shown: dict[str, Any] = {name: environment.get(name) for name in variables}
    for number in arguments:
        back = len(spec.command) - number
        shown[f"argument {number}"] = argv[-back] if back <= len(argv) else None
    if IMAGE in started_with(system, design, service):
        shown[IMAGE] = image_asked or image or None
    return Obeyed(t, service, digest_of(shown), shown, image)
