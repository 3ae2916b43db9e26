"""Another user of this machine, who tries what a test asks for."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

STRANGER = 65534  # nobody
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def as_stranger(attempt: Callable[..., Any], *arguments: Any) -> Any:
    """What an attempt returns in a process of user and group `nobody`, as JSON brings it back. The process is
    a fork: the interpreter may lie where nobody can go."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            with os.fdopen(writing, "w") as file:
                json.dump(attempt(*arguments), file)
            status = 0
        except BaseException:  # noqa: BLE001 - told here, since nothing may leave the fork
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    _, ended = os.waitpid(child, 0)
    assert ended == 0, f"the attempt itself failed, saying {said!r}"
    return json.loads(said)
