"""The plan's load as a file of JSON lines: what the load process reads. First a head, then one array an
operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec

from experiment.errors import UnsupportedError, nearest
from experiment.forms import AnswerForm, RequestForm
from experiment.kept_values import not_set
from experiment.plan import Plan
from experiment.requests import PlannedOperation
from experiment.workload import Workload, load_client


@dataclass(frozen=True, slots=True)
class Part:
    """One journey as the client needs it: base address of its entry service, patience in seconds; request
    and answer where the system's file says them."""

    endpoint: str
    patience: float
    writes: bool
    request: RequestForm | None = None
    answer: AnswerForm | None = None
    task: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """`load_end` in seconds since the run's zero; `history` is the file to append to; `day` an ISO date;
    `client` the Python of the system's workload, `locustfile` that of its tasks, each empty for none."""

    run_id: str
    load_end: float
    history: str
    day: str
    parts: dict[str, Part]
    client: str = ""
    locustfile: str = ""

    def workload(self) -> Workload:
        """The workload as the load process needs it. Raises ConfigError."""
        client = load_client(self.client) if self.client else None
        return Workload(self.parts, client, self.client)


@dataclass(frozen=True, slots=True)
class Script:
    head: Head
    operations: tuple[PlannedOperation, ...]


_FIELDS = tuple(f.name for f in fields(PlannedOperation))


def unsendable(plan: Plan) -> list[str]:
    """A sentence for each journey of the plan that has no request, and for each variable that requests take
    from the environment and that is not set."""
    names = sorted({op.journey for op in plan.operations} - plan.requests.keys())
    expected = "expected one with a request, here or in REQUESTS of the workload's client"
    refused = [
        f"{plan.system.source}: found the journey {name}, {expected}; {nearest(name, plan.requests)}"
        for name in names
    ]
    asked = {op.journey for op in plan.operations}
    forms = {f"journey {name}": one.request for name, one in plan.system.journeys.items() if name in asked}
    takes = {name: not_set(form.template) for name, form in forms.items() if form is not None}
    takes |= {f"final read of {key}": not_set(form.headers) for key, form in plan.system.final_reads.items()}
    return refused + [
        f"{plan.system.source}: found no variable {variable} in the environment, expected it for the {name}"
        for name, variables in takes.items()
        for variable in variables
    ]


def write_script(plan: Plan, endpoints: Mapping[str, str], history: Path, day: str, path: Path) -> None:
    """`endpoints`: service name to base address such as http://127.0.0.1:41001. Raises UnsupportedError when
    a journey of the plan has no request, or its entry service no address."""
    parts: dict[str, Part] = {}
    refused = unsendable(plan)
    if refused:
        raise UnsupportedError("\n".join(refused))
    for name in sorted({op.journey for op in plan.operations}):
        journey = plan.system.journeys[name]
        if journey.entry not in endpoints:
            raise UnsupportedError(
                f"journey {name}: found no address of its entry service {journey.entry}, "
                f"expected one of each; known: {', '.join(sorted(endpoints))}"
            )
        parts[name] = Part(
            endpoints[journey.entry],
            journey.patience,
            journey.writes,
            journey.request,
            journey.answer,
            journey.task,
        )
    named = plan.system.workload.client
    client = str(plan.system.file(named).resolve()) if named else ""
    tasks = plan.system.workload.locustfile
    locustfile = str(plan.system.file(tasks).resolve()) if tasks else ""
    head = Head(plan.run_id, plan.load_end_s, str(history), day, parts, client, locustfile)
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.write(encode(head) + b"\n")
        file.writelines(encode([getattr(op, name) for name in _FIELDS]) + b"\n" for op in plan.operations)


def read_script(path: Path, shard: int = 0, shards: int = 1) -> Script:
    """The script, or the share of it that falls to worker `shard` of `shards`: whole visits, by their
    number."""
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        head = msgspec.json.decode(next(file), type=Head)
        operations = tuple(PlannedOperation(*decode(line)) for line in file)
    return Script(head, tuple(op for op in operations if op.visit % shards == shard))
