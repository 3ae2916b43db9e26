"""The JSON Schemas that are published in docs/schemas: `python -m execution.schemas` writes them again."""

from __future__ import annotations

import json
from typing import Any

from comparison.formats import comparison_schema
from execution.catalogue import default_catalogue
from execution.envelope import Failure, Result
from execution.places import ROOT
from experiment.schema import design_schema, scenario_schema, suite_schema, system_schema
from experiment.topology import System
from faults import KINDS
from gate.formats import gate_schema
from measurement.properties import KINDS as PROPERTY_KINDS
from reports.json_report import run_schema
from reports.json_report import suite_schema as suite_report_schema
from reports.scan import scan_schema
from reports.schemas import document_schema

FOLDER = ROOT / "docs" / "schemas"


def of_files(system: System) -> dict[str, dict[str, Any]]:
    """Kind of file to schema, of what people write; designs are those of this system."""
    return {
        "system": system_schema(PROPERTY_KINDS),
        "scenario": scenario_schema(KINDS),
        "design": design_schema(system),
        "suite": suite_schema(),
    }


def published() -> dict[str, dict[str, Any]]:
    """File name to schema, of every file that people write and every report that programs read. Designs are
    those of the reference system."""
    written = of_files(default_catalogue().system())
    return {
        **{f"{kind}.schema.json": schema for kind, schema in written.items()},
        "run_report.schema.json": run_schema(),
        "suite_report.schema.json": suite_report_schema(),
        "comparison.schema.json": comparison_schema(),
        "gate_report.schema.json": gate_schema(),
        "scan.schema.json": scan_schema(),
        "output.schema.json": either(document_schema(Result), document_schema(Failure)),
    }


def either(*documents: dict[str, Any]) -> dict[str, Any]:
    """The schema of what satisfies one of these."""
    inner = {name: part for one in documents for name, part in one["$defs"].items()}
    return {
        "$schema": documents[0]["$schema"],
        "anyOf": [{"$ref": one["$ref"]} for one in documents],
        "$defs": inner,
    }


def text_of(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write() -> None:
    """Write every schema to its file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in published().items():
        (FOLDER / name).write_text(text_of(schema), encoding="utf-8")


if __name__ == "__main__":
    write()
