"""Journeys of the tasks of a locustfile, as text of a system's file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from discovery.first_files import FILL_IN, MIX, word


def tasks_text(
    file: str, tasks: Mapping[str, float], entry: str, uses: Sequence[str]
) -> tuple[str, list[str]]:
    """(the sections workload, journeys and mixes, the journeys that are played). `tasks` are names of tasks
    and the shares that the file gives them; `file` is its path, relative to the system's file."""
    names = _short(tasks)
    lines = [
        f"workload: {{locustfile: {word(file)}}}",
        "",
        f"journeys:                       # tasks of {file}; {FILL_IN}: their times and links",
    ]
    for task, name in names.items():
        lines += [f"  {name}:", f"    entry: {word(entry)}"]
        lines += [f"    uses: {json.dumps(list(uses))}"] if uses else []
        lines += [f"    task: {word(task)}", "    writes: off                 # nothing tells what it writes"]
    lines += [
        "mixes:",
        f"  {MIX}:                        # one task an arrival, as often as the file weighs it",
    ]
    lines += [
        f"    - {{journey: {names[task]}, share: {max(share, 0.001):.1%}}}" for task, share in tasks.items()
    ]
    return "\n".join(lines), list(names.values())


def _short(tasks: Mapping[str, float]) -> dict[str, str]:
    """Task to the name of its journey: its last word, or all of them where two tasks have the same one."""
    last = [task.rpartition(".")[2] for task in tasks]
    return {
        task: one if last.count(one) == 1 else task.replace(".", "_")
        for task, one in zip(tasks, last, strict=True)
    }
