"""What a run keeps of its containers: their logs, and how each of them fared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from runtimes.containers.engine import Engine
from runtimes.docker_engine import EngineError


def collect_logs(engine: Engine, containers: Mapping[str, str], logs: Path, since: float) -> None:
    """Write `PART.log` of each part's container since a unix time, and `containers.json`. Raises OSError.

    What an engine that went away cannot tell is said to be not known.
    """
    logs.mkdir(parents=True, exist_ok=True)
    fates: dict[str, dict[str, object]] = {}
    for part, container in containers.items():
        try:
            state = engine.state(container)
            (logs / f"{part}.log").write_bytes(engine.logs(container, since=since))
        except EngineError as error:
            fates[part] = {"status": f"not known: {error}"}
            continue
        fates[part] = {
            "status": state.status,
            "exit_code": state.exit_code,
            "out_of_memory": state.oom_killed,
            "started_at": state.started_at,
        }
    (logs / "containers.json").write_text(json.dumps(fates, indent=1))
