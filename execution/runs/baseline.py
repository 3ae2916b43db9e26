"""The baseline judged while the run goes on: what is broken before any fault must not be blamed on one."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from experiment.history import History
from experiment.scenario import Expect, Scenario
from experiment.topology import System
from measurement.expectations import describe, judge_expectations
from measurement.quality import grade


def baseline_problems(history: History, scenario: Scenario, system: System) -> list[str]:
    """One sentence for each baseline objective that is not met by the operations that have ended so far."""
    asked = replace(scenario, expect=Expect(baseline=scenario.expect.baseline))
    graded = grade(history, asked, system, pl.Series(dtype=pl.Int64))
    results = judge_expectations(history, asked, graded, None, None)
    return [describe(result) for result in results if result.status == "not met"]
