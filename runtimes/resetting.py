"""Emptying all services for the next run, at once."""

from __future__ import annotations

from collections.abc import Callable

from experiment.errors import StartError
from runtimes.http_calls import Answer, CallError, call
from runtimes.readings import Readings
from runtimes.runtime import Address, RunSettings
from runtimes.service_files import reset_body

RESET_DEADLINE_S = 10.0


def reset_services(readings: Readings, run: RunSettings, look: Callable[[], None]) -> list[str]:
    """POST to the endpoint `reset` of every service that has one. Returns those that want a restart for this
    design (409). `look` is called while they answer, and may raise.

    Raises StartError naming every service that could not be reset, and what it answered.
    """
    body = reset_body(run)

    def post(_: str, address: Address, path: str) -> Answer | CallError:
        try:
            return call(address, "POST", path, body, deadline_s=RESET_DEADLINE_S)
        except CallError as error:
            return error

    answers = readings.each("reset", post, look)
    problems = [
        f"{service}: {_shown(answer)}"
        for service, answer in answers.items()
        if isinstance(answer, CallError) or answer.status not in (200, 204, 409)
    ]
    if problems:
        raise StartError("found services that were not reset, expected 200:\n    " + "\n    ".join(problems))
    return [name for name, answer in answers.items() if isinstance(answer, Answer) and answer.status == 409]


def _shown(answer: Answer | CallError) -> str:
    if isinstance(answer, CallError):
        return str(answer)
    return f"{answer.status} {answer.body[:300].decode('utf-8', 'replace')}"
