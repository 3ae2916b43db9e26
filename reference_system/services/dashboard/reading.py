"""What the dashboard understands of a result that the laboratory tells of: an event's body, an entry of its
list, a row of its table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

V1, V2 = "lab.result.v1", "lab.result.v2"


class Unknown(Exception):
    """The schema is none that is understood."""

    def __init__(self, schema: str) -> None:
        super().__init__(schema)
        self.schema = schema


@dataclass(frozen=True, slots=True)
class Result:
    """One result as it is shown."""

    report: str
    version: int
    patient: str
    code: str
    value: str
    unit: str
    flag: str
    status: str

    def entry(self) -> dict[str, Any]:
        return asdict(self)


def read(body: Mapping[str, Any], known: Collection[str]) -> Result:
    """Raises Unknown for a schema that is not `known`, KeyError for a body that is not what its schema
    says."""
    schema = str(body.get("schema", ""))
    if schema not in known:
        raise Unknown(schema)
    return second(body) if schema == V2 else first(body)


def first(body: Mapping[str, Any]) -> Result:
    """Version 1 of the contract, and what the tables say of themselves. Raises KeyError."""
    return _result(body, body["code"], body["value"], body["unit"], body["interpretation"])


def second(body: Mapping[str, Any]) -> Result:
    """Version 2 of the contract. Raises KeyError."""
    observed = body["observation"]
    quantity = observed["quantity"]
    return _result(body, observed["code"], quantity["value"], quantity["unit"], body["flag"])


def _result(body: Mapping[str, Any], code: Any, value: Any, unit: Any, flag: Any) -> Result:
    about = str(body["report"]), int(body["version"]), str(body["patient"])
    return Result(*about, str(code), f"{value:g}", str(unit), str(flag), str(body["status"]))
