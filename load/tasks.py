"""The tasks of somebody's own locustfile, each played at its planned instant, by a user who is free or new.

Waiting times, weights and shapes of the file are left aside: the plan says when what is played. What a task
asked for is what Locust's own event of requests tells of it. Like load/locustfile.py, only for a process of
the load: this imports locust.
"""

from __future__ import annotations

from locust import HttpUser, TaskSet, User, events  # first: it patches the standard library for gevent
from locust.env import Environment
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser

# isort: split

import argparse
import json
import logging
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent.local import local

from experiment.access import shown
from experiment.errors import ConfigError, Location, Problem, nearest
from experiment.outcomes import seen_status
from experiment.playing import Heard
from experiment.python_source import load_python
from experiment.traces import CALLER

logger = logging.getLogger(__name__)

ENDS = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser)  # how a task ends by itself
MARK = "codeblue"  # in the context of a request: the list that it is told to
# The first that fits what is said of a failure; of none it is a reset: anything may have happened.
FAILURES = {
    "ConnectTimeout": "connect_timeout",
    "Timeout": "timeout",
    "timed out": "timeout",
    "Connection refused": "refused",
    "ConnectionRefused": "refused",
    "closed": "closed",
}
Sent = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Task:
    """One task: the user class, the sets of tasks below it, and what is called there. `weight` is the share
    of all tasks that it has."""

    name: str
    user: type[User]
    sets: tuple[type[TaskSet], ...]
    function: Any
    weight: float


@dataclass(frozen=True, slots=True)
class Told:
    """What Locust's event told of one request."""

    name: str
    took_s: float
    status: int
    failure: str


@dataclass(slots=True)
class Visitor:
    """One user with his sets of tasks; `told` are the requests of the task that he plays."""

    user: User
    holder: Any
    told: list[Told]


def tasks_in(path: Path) -> dict[str, Task]:
    """Every task of a locustfile, by its name such as `WebsiteUser.UserTasks.index`. Raises ConfigError."""
    users = {
        name: one
        for name, one in vars(load_python(path, "a locustfile")).items()
        if isinstance(one, type) and issubclass(one, User) and not one.abstract
    }
    weights = {name: max(1, user.weight) for name, user in users.items()}
    found = {
        task.name: task
        for name, user in users.items()
        for task in _below(name, user, (), user.tasks, weights[name] / sum(weights.values()))
    }
    if not found:
        raise ConfigError([Problem(Location(str(path)), "no task of a user", "one at least")])
    return found


def _below(
    name: str, user: type[User], sets: tuple[type[TaskSet], ...], tasks: Any, share: float
) -> Iterator[Task]:
    counted = Counter(tasks)
    for one, times in counted.items():
        part = share * times / counted.total()
        path = f"{name}.{one.__name__}"
        if isinstance(one, type) and issubclass(one, TaskSet):
            yield from _below(path, user, (*sets, one), one.tasks, part)
        else:
            yield Task(path, user, sets, one, part)


class Tasks:
    """Plays the tasks of one locustfile in this process."""

    def __init__(self, path: Path, sent: Sent) -> None:
        """`sent` is told each request: its name with what failed, and the seconds that it took. Raises
        ConfigError."""
        self._path = path
        self._tasks = tasks_in(path)
        self._sent = sent
        self._environment = Environment(
            user_classes=list({one.user for one in self._tasks.values()}), events=events
        )
        self._free: dict[tuple[str, str], list[Visitor]] = {}
        self._playing = local()
        # What Locust's events are called with has no types.
        events.request.add_listener(self._hear)  # type: ignore[no-untyped-call]
        events.init.fire(environment=self._environment, runner=None, web_ui=None)  # type: ignore[no-untyped-call]
        events.test_start.fire(environment=self._environment)  # type: ignore[no-untyped-call]

    def require(self, names: Iterator[str]) -> None:
        """Raises ConfigError for a task that the file does not have."""
        problems = [
            Problem(
                Location(str(self._path)),
                f'no task "{name}"',
                f"one of {', '.join(self._tasks)}",
                nearest(name, self._tasks),
            )
            for name in names
            if name not in self._tasks
        ]
        if problems:
            raise ConfigError(problems)

    def play(self, name: str, base: str, token: str, patience_s: float, trace: str) -> Heard:
        """One task at this base address, within the patience of its user. What came of it is what came of
        its requests: the first that failed, or else the last."""
        task = self._tasks[name]
        free = self._free.setdefault((name.rpartition(".")[0], base), [])
        visitor: Visitor | None = None
        fault, in_time = "", False
        told = self._playing.told = []
        try:
            with gevent.Timeout(patience_s, False):
                visitor = free.pop() if free else self._arrive(task, base, token, trace)
                visitor.told = told
                _mark(visitor.user, trace)
                task.function(visitor.holder)
                in_time = True
        except ENDS:
            in_time = True
        except (Exception, SystemExit) as error:
            logger.exception("%s raised", name)
            in_time = True
            fault = f"{name} raised {traceback.format_exception_only(error)[-1].strip()}"
        for one in told:
            self._sent(f"{one.name}{': ' if one.failure else ''}{one.failure}", one.took_s)
        if not in_time:
            return Heard("timeout")
        if visitor is not None and not fault:
            free.append(visitor)
        return _heard(told, fault or ("" if told else f"{name} sent no request"))

    def close(self) -> None:
        """As at the end of a test of Locust, whose events have no types."""
        events.test_stop.fire(environment=self._environment)  # type: ignore[no-untyped-call]
        events.request.remove_listener(self._hear)  # type: ignore[no-untyped-call]

    def _arrive(self, task: Task, base: str, token: str, trace: str) -> Visitor:
        """A new user, who has begun: his requests at the begin are those of his first task."""
        made = type(task.user.__name__, (task.user,), {"host": base})
        visitor = Visitor(made(self._environment), None, self._playing.told)
        own = visitor.user.context  # a method, but Locust asks each user for his own, and gives no other way
        visitor.user.context = lambda: {**own(), MARK: visitor.told}  # type: ignore[method-assign]
        _mark(visitor.user, trace)
        if isinstance(visitor.user, HttpUser):
            visitor.user.client.headers.update({"x-caller": CALLER, **shown(token)})
        visitor.user.on_start()
        visitor.holder = visitor.user
        for one in task.sets:
            visitor.holder = one(visitor.holder)
            visitor.holder.on_start()
        return visitor

    def _hear(
        self,
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None = None,
        context: Any = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        told = (context or {}).get(MARK)
        if told is None:
            told = getattr(self._playing, "told", None)
        if told is not None:
            status = int(getattr(response, "status_code", 0) or 0)
            failure = "" if exception is None else f"{type(exception).__name__}: {exception}"
            told.append(Told(f"{request_type} {name}", (response_time or 0.0) / 1000.0, status, failure))


def _mark(user: User, trace: str) -> None:
    """What the user sends from now on carries the trace of this operation."""
    headers = getattr(getattr(user, "client", None), "headers", None)
    if isinstance(headers, MutableMapping):
        headers["traceparent"] = trace


def _heard(told: list[Told], fault: str) -> Heard:
    failed = next((one for one in told if one.failure), None)
    if failed is None and fault:
        return Heard(
            "misread" if told else "workload", told[-1].status or None if told else None, fault=fault
        )
    if failed is None:
        status = told[-1].status
        fine = 200 <= status < 300
        return Heard(seen_status(status if fine else 200, {}, False), status or None)
    if not failed.status:
        return Heard(next((seen for word, seen in FAILURES.items() if word in failed.failure), "reset"))
    if 200 <= failed.status < 300:  # the file itself says that this answer was wrong
        return Heard("misread", failed.status)
    return Heard(seen_status(failed.status, {}, False), failed.status)


def main() -> None:
    """`python -m load.tasks FILE` tells the tasks of a locustfile with their shares, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m load.tasks")
    parser.add_argument("file", type=Path)
    try:
        found = tasks_in(parser.parse_args().file)
    except ConfigError as error:
        sys.exit(str(error))
    os.write(1, json.dumps({name: one.weight for name, one in found.items()}).encode() + b"\n")


if __name__ == "__main__":
    main()
