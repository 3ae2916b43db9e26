"""What a system's own twin models are made of: the names that a package named by `workload.twin` may import.

from simulation.modelling import Node, Reply, Request, Work

class Stock(Node):
    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        yield from self.store(lambda: None, deadline)
        return Reply(201)

MODELS = {"stock": Stock}
"""

from __future__ import annotations

from experiment.rows import Record
from simulation.engine.groups import Group
from simulation.engine.tasks import Future, ModelError, Task, Work, within
from simulation.model.bus import Event, Outbox, winners
from simulation.model.messages import CallFailed, Held, Refused, Reply, Request
from simulation.model.nodes import Node
from simulation.model.spans import Told

__all__ = [
    "CallFailed",
    "Event",
    "Future",
    "Group",
    "Held",
    "ModelError",
    "Node",
    "Outbox",
    "Record",
    "Refused",
    "Reply",
    "Request",
    "Task",
    "Told",
    "Work",
    "winners",
    "within",
]
