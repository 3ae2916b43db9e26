"""What users do, as a system says it: in system.yaml, and in a Python client where YAML does not suffice.

A client is a module with some of these, all optional:

    population(folder: Path | None, seed: int) -> Population    whom and what the users act for
    feed(name: str, folder: Path) -> dict                       data of --NAME-feed, for the services too
    visit(population, rng) -> subject                           drawn once a visit; else one of the subjects
    arguments(subject, journey: str, nth: int) -> dict          of one operation; nth: 0 for the visit's first
    REQUESTS: dict[journey, (op, known) -> Request]
    ANSWERS: dict[journey, (op, reply) -> Answered]
    FINAL_READS: dict[key prefix, (reply) -> Answered]
    intended_value(op) -> str | None                            what a write means to leave behind

Subjects and arguments are JSON values. A reader of answers raises Unreadable (`reply.at` does) for an
answer that does not say what it must; whatever else a client raises is an error of the workload, never of
the system.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

import msgspec

from experiment.answers import NOTHING, Answered, Reply, Unreadable, reader, value_of, version_of
from experiment.client_checks import client_problems, defined, match_problems
from experiment.errors import ConfigError, Location, Problem
from experiment.forms import AnswerForm, FinalReadForm, RequestForm
from experiment.kept_values import names_kept
from experiment.python_source import load_python
from experiment.requests import (
    Known,
    PlannedOperation,
    Request,
    RequestTraits,
    builder,
    request_problem,
)
from experiment.templates import FIXED, Unfilled
from experiment.topology import System

__all__ = [
    "Answered",
    "Known",
    "PlannedOperation",
    "Population",
    "Reply",
    "Request",
    "Unreadable",
    "Workload",
    "WorkloadFault",
    "load_workload",
]

T = TypeVar("T")
Build = Callable[[PlannedOperation, Known], Request]
Read = Callable[[PlannedOperation, Reply], Answered]
OF_A_TASK = RequestForm("/")  # stands for what a task of a locustfile asks, which only Locust knows
CLIENT = "a client of the workload"
RESERVED = frozenset(FIXED)
_NONE = type(None)
_TEXT, _FLOAT = (_NONE, str), (_NONE, float)
# Of POST /admin/reset, beside the data.
RESET_KEYS = frozenset(("run", "seed", "design", "clock_scale", "services"))


@dataclass(frozen=True, slots=True)
class Population:
    """Whom and what the users of a run act for. `source` says where it came from, for the report; `subjects`
    are JSON values of which a visit takes one; `data` is what POST /admin/reset hands to the services."""

    source: str = "none"
    subjects: tuple[Any, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


class WorkloadFault(ConfigError):
    """The workload's own code raised or gave something else than it must. `line` says it in one line."""

    def __init__(self, where: Location, found: str, expected: str, hint: str = "") -> None:
        super().__init__([Problem(where, found, expected, hint)])
        self.line = f"{found} ({where.file}:{where.line})"


class JourneyForms(Protocol):
    """What YAML says of one journey; None where the client does it."""

    @property
    def request(self) -> RequestForm | None: ...
    @property
    def answer(self) -> AnswerForm | None: ...
    @property
    def task(self) -> str: ...


class Workload:
    """Requests and answers of a system's journeys, and where their arguments come from. Pure but for what a
    client does."""

    def __init__(
        self,
        journeys: Mapping[str, JourneyForms],
        client: ModuleType | None,
        home: str,
        final_reads: Mapping[str, FinalReadForm] | None = None,
    ) -> None:
        """`home` is the file to name in errors when no line of Python is to blame."""
        self._client = client
        self._folder = Path(client.__file__).parent if client is not None and client.__file__ else None
        self._home = home
        self._build: dict[str, Build] = dict(_table(client, "REQUESTS"))
        self._read: dict[str, Read] = dict(_table(client, "ANSWERS"))
        self._read_last: dict[str, Callable[[Reply], Answered]] = dict(_table(client, "FINAL_READS"))
        asked = {name: one.request or (OF_A_TASK if one.task else None) for name, one in journeys.items()}
        self._in_yaml = {name for name, form in asked.items() if form is not None}
        self._keep = {name: one.answer.keep for name, one in journeys.items() if one.answer is not None}
        self._names_kept = names_kept(journeys)
        for name, journey in journeys.items():
            if (request := asked[name]) is not None:
                self._build[name] = builder(request)
            if journey.answer is not None:
                self._read[name] = partial(_read_form, _reader(journey.answer))
        for prefix, form in (final_reads or {}).items():
            if form.answer is not None:
                self._read_last[prefix] = _reader(form.answer)

    # before a run

    def population(self, folder: Path | None, seed: int) -> Population:
        """From a folder, or as the client makes it up. Raises ConfigError."""
        function = getattr(self._client, "population", None)
        if function is None:
            if folder is not None:
                expected = "none: the system's workload has no function population(folder, seed)"
                raise ConfigError([Problem(Location(self._home), f"the population {folder}", expected)])
            return Population()
        made = self._ask("population", function, folder, seed)
        if not isinstance(made, Population):
            raise self._wrong(function, f"population gave {made!r:.80}", "a Population")
        self._require_json(function, "population", [list(made.subjects), dict(made.data)])
        if not RESET_KEYS.isdisjoint(made.data):
            taken = min(RESET_KEYS.intersection(made.data))
            expected = "another name: POST /admin/reset has one of its own"
            raise self._wrong(function, f'population gave data called "{taken}"', expected)
        return made

    def fed(self, population: Population, name: str, folder: Path) -> Population:
        """With what the client reads from the folder of a feed. Raises ConfigError."""
        function = getattr(self._client, "feed", None)
        if function is None:
            expected = "none: the system's workload has no function feed(name, folder)"
            raise ConfigError([Problem(Location(self._home), f"the feed {name}", expected)])
        data = self._ask("feed", function, name, folder)
        if not isinstance(data, Mapping):
            raise self._wrong(function, f"feed gave {data!r:.80}", "a dict")
        self._require_json(function, "feed", dict(data))
        if taken := sorted(data.keys() & (RESET_KEYS | population.data.keys())):
            raise self._wrong(function, f'feed gave data called "{taken[0]}"', "another name: it is taken")
        return replace(
            population,
            source=f"{population.source}, feed {name} of {folder}",
            data={**population.data, **data},
        )

    def visit(self, population: Population, rng: random.Random) -> Any:
        """The subject of one visit."""
        function = getattr(self._client, "visit", None)
        if function is None:
            return rng.choice(population.subjects) if population.subjects else {}
        subject = self._ask("visit", function, population, rng)
        self._require_json(function, "visit", subject)
        return subject

    def arguments(self, subject: Any, journey: str, nth: int) -> dict[str, Any]:
        """What the client gives one operation; without its function, the entries of the subject."""
        function = getattr(self._client, "arguments", None)
        if function is None:
            return dict(subject) if isinstance(subject, Mapping) else {}
        given = self._ask(f"arguments of {journey}", function, subject, journey, nth)
        if not isinstance(given, dict):
            raise self._wrong(function, f"arguments of {journey} gave {given!r:.80}", "a dict")
        self._require_json(function, f"arguments of {journey}", given)
        if not RESERVED.isdisjoint(given):
            taken = min(RESERVED.intersection(given))
            expected = "another name: a placeholder has this one"
            raise self._wrong(function, f'arguments of {journey} gave "{taken}"', expected)
        return given

    def intended_value(self, op: PlannedOperation) -> str | None:
        """What a write means to leave behind, as the client says."""
        function = getattr(self._client, "intended_value", None)
        if function is None:
            return None
        value = self._ask(f"intended_value of {op.journey}", function, op)
        if value is not None and not isinstance(value, str):
            raise self._wrong(function, f"intended_value gave {value!r:.80}", "text or None")
        return value

    def traits(self, op: PlannedOperation) -> RequestTraits | None:
        """What the requests of an operation's journey have in common; None when it has none."""
        if op.journey not in self._build:
            return None
        request = self.request(op, Known(version=1, kept=dict.fromkeys(self._names_kept, "")))
        return RequestTraits(request.keyed, request.expected_version is not None)

    # while it plays

    def request(self, op: PlannedOperation, known: Known) -> Request:
        """The request of an operation, header names in lower case. Raises WorkloadFault, and KeyError for a
        journey that has none."""
        build = self._build[op.journey]
        try:
            request = build(op, known)
            problem = request_problem(request)
        except Unfilled as missing:
            found = f"request of {op.journey}: nothing stands for {{{missing.args[0]}}}"
            raise WorkloadFault(Location(self._home), found, "a value of the plan or an argument") from None
        except (Exception, SystemExit) as error:
            raise self._raised(f"request of {op.journey}", build, error) from error
        if problem:
            raise self._wrong(build, f"request of {op.journey}: {problem}", "a Request that can be sent")
        return request if op.journey in self._in_yaml else request.in_lower_case()

    def read(self, op: PlannedOperation, status: int, headers: Mapping[str, str], body: bytes) -> Answered:
        """What a success says; header names in lower case. Raises Unreadable and WorkloadFault."""
        read = self._read.get(op.journey)
        reply = Reply(status, headers, body)
        answered = NOTHING if read is None else self._reading("answer", op.journey, read, op, reply)
        labelled = _labelled(_in_order(answered, reply), reply)
        keep = self._keep.get(op.journey)
        if not keep:
            return labelled
        return replace(labelled, kept={name: reply.at(where) for name, where in keep.items()})

    def read_last(self, prefix: str, status: int, headers: Mapping[str, str], body: bytes) -> Answered:
        """What a final read of a key with this prefix says. Raises Unreadable and WorkloadFault."""
        read = self._read_last.get(prefix)
        reply = Reply(status, headers, body)
        return NOTHING if read is None else _in_order(self._reading("final read", prefix, read, reply), reply)

    # errors

    def _reading(self, what: str, of: str, read: Callable[..., Answered], *given: Any) -> Answered:
        try:
            answered = read(*given)
        except Unreadable:
            raise
        except (Exception, SystemExit) as error:
            raise self._raised(f"{what} of {of}", read, error) from error
        if not isinstance(answered, Answered):
            raise self._wrong(read, f"{what} of {of} gave {answered!r:.80}", "an Answered")
        return answered

    def _ask(self, what: str, function: Callable[..., T], *given: Any) -> T:
        try:
            return function(*given)
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:
            raise self._raised(what, function, error) from error

    def _raised(self, what: str, function: Callable[..., Any], error: BaseException) -> WorkloadFault:
        last = traceback.format_exception_only(error)[-1].strip()
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if self._folder in Path(frame.filename).parents]
        where = Location(own[-1].filename, own[-1].lineno or 1) if own else self._place(function)
        return WorkloadFault(where, f"{what} raised {last}", "a workload that does not raise")

    def _wrong(self, function: Callable[..., Any], found: str, expected: str) -> WorkloadFault:
        return WorkloadFault(self._place(function), found, expected)

    def _place(self, function: Callable[..., Any]) -> Location:
        """Where the client defines a function; the home of what YAML says."""
        where = defined(function, self._home)
        return where if self._folder in Path(where.file).parents else Location(self._home)

    def _require_json(self, function: Callable[..., Any], what: str, value: Any) -> None:
        if _comes_back(value):
            return
        odd = _not_json(value)
        if odd is not None:
            expected = "JSON values: text, numbers, True, False, None, lists and dicts with text as keys"
            raise self._wrong(function, f"{what} gave {odd!r:.80}, a {type(odd).__name__}", expected)


def load_workload(system: System) -> Workload:
    """The workload of a system with its client, checked against the journeys. Raises ConfigError with every
    mistake."""
    client = load_client(str(system.file(system.workload.client))) if system.workload.client else None
    if client is not None:
        problems = [*client_problems(client), *match_problems(system, client)]
        if problems:
            raise ConfigError(problems)
    return Workload(system.journeys, client, system.source or system.name, system.final_reads)


def load_client(path: str) -> ModuleType:
    """A client by its path. Raises ConfigError."""
    return load_python(Path(path), CLIENT)


def _table(client: ModuleType | None, name: str) -> Mapping[str, Any]:
    table = getattr(client, name, {})
    return table if isinstance(table, Mapping) else {}


def _reader(form: AnswerForm) -> Callable[[Reply], Answered]:
    return reader(form.version, form.value, form.label, form.age, 0.001 if form.age_in == "ms" else 1.0)


def _read_form(read: Callable[[Reply], Answered], _op: PlannedOperation, reply: Reply) -> Answered:
    return read(reply)


def _in_order(answered: Answered, reply: Reply) -> Answered:
    """With the types that a row takes, whatever a client took from the answer. Raises Unreadable."""
    version, value, label, age = answered.version, answered.value, answered.label, answered.age
    whole = version is None or (type(version) is int and abs(version) < 2**63)
    if whole and type(value) in _TEXT and type(label) in _TEXT and type(age) in _FLOAT:
        return answered
    try:
        return Answered(
            None if version is None else version_of(version),
            None if value is None else value_of(value),
            None if label is None else value_of(label),
            None if age is None else float(age),
        )
    except (TypeError, ValueError) as error:
        raise reply.unreadable(str(error)) from None


def _labelled(answered: Answered, reply: Reply) -> Answered:
    """With what any answer may say of itself in the headers x-label and x-age-ms. Raises Unreadable."""
    label, age = reply.headers.get("x-label"), reply.headers.get("x-age-ms")
    if label is None and age is None:
        return answered
    try:
        seconds = answered.age if age is None else float(age) / 1000.0
    except ValueError:
        raise reply.unreadable(f"x-age-ms: {age}") from None
    said = answered.label if label is None else label
    return Answered(answered.version, answered.value, said, seconds)


def _comes_back(value: Any) -> bool:
    """Whether a value is the same after it was JSON: a quick look at many of them."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return False


def _not_json(value: Any) -> Any:
    """The first part of a value that JSON does not have, or None."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if abs(value) < float("inf") else value
    if isinstance(value, list):
        return next((odd for each in value if (odd := _not_json(each)) is not None), None)
    if isinstance(value, dict):
        keys = next((key for key in value if not isinstance(key, str)), None)
        if keys is not None:
            return keys
        return next((odd for each in value.values() if (odd := _not_json(each)) is not None), None)
    return value
