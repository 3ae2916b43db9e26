"""What a command loads before it needs it, counted in modules: its time would depend on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from execution.places import ROOT

SLOW = ("numpy", "scipy", "polars", "matplotlib", "jinja2", "docker", "locust", "gevent", "simpy", "pydantic")
PROGRAM = """
import json, sys
import harness
try:
    harness.main()
finally:
    roots = {name.partition(".")[0] for name in sys.modules}
    print(json.dumps([sorted(roots), len(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "at_most"),
    [
        (["--help"], 180),
        (["suite", "--help"], 180),
        (["validate", "scenarios/smoke/control.yaml", "scenarios/suites/smoke.yaml"], 400),
        (["validate", "reference_system/designs/resilient.yaml"], 400),
        (["list"], 400),
        (["list", "--json"], 400),
        (["plan", "smoke/control"], 450),
        (["plan", "smoke/billing_crash", "--design", "fragile", "--json"], 450),
    ],
)
def test_a_command_that_only_reads_files_loads_nothing_that_is_slow_to_load(
    words: list[str], at_most: int
) -> None:
    """No data frames, statistics, plots or templates, and no more modules than twice what is needed today."""
    found, number = modules_of(words)
    assert not found & set(SLOW)
    assert number < at_most


def test_validate_loads_the_twin_for_its_models_and_neither_data_frames_nor_statistics() -> None:
    """A system file names a package of models, which only the twin itself can read."""
    found, _ = modules_of(["validate", "reference_system/system.yaml"])
    assert "simpy" in found
    assert not found & {"scipy", "polars", "matplotlib", "jinja2", "docker", "locust"}


def modules_of(words: list[str]) -> tuple[set[str], int]:
    """The packages that are loaded when a command ends well, and how many modules."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    roots, number = json.loads(ended.stderr.splitlines()[-1])
    return set(roots), number
