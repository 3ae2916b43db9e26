"""The kinds of records that system.yaml declares are those that the services give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.measurement.histories import REFERENCE

SERVICES = Path(__file__).parents[2] / "reference_system" / "services"
COMMON = SERVICES.parent / "common" / "operations.py"


@pytest.mark.parametrize("name", [name for name, one in REFERENCE.services.items() if one.is_code])
def test_the_declared_kinds_are_those_that_the_service_gives(name: str) -> None:
    """A property that is bound to another kind is refused before a run, so the list must be true."""
    folder = SERVICES / (REFERENCE.services[name].module or "").rpartition(".")[2]
    source = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    if "DISCLOSES: ClassVar[bool] = True" in source:  # what all that show patient data have in common
        source += COMMON.read_text(encoding="utf-8")
    given = set(re.findall(r'\b(?:record|records_of)\(\s*"(\w+)"', source))
    assert given == set(REFERENCE.services[name].records)
