"""A sweep made up for tests: fifty variants of three keys with five seeds, as `simulate` has its rows."""

from __future__ import annotations

from itertools import product

import polars as pl

from execution.campaigns.sweeps import sweep_report
from reports.sweep_report import SweepReport
from simulation.sweep import Figures, frame

TIMEOUTS = ("100ms", "300ms", "500ms", "1s", "3s")
ATTEMPTS = ("1", "2", "3", "4", "5")
KEYS = ("front -> back.timeout", "*.retry.attempts", "load.rate")


def row(timeout: str, attempts: str, rate: str, seed: int, score: float | None, verdict: str) -> Figures:
    """One run. A score of nought is a veto."""
    values = dict(zip(KEYS, (timeout, attempts, rate), strict=True))
    label = f"strong ({', '.join(f'{key}={value}' for key, value in values.items())})"
    vetoed = score == 0
    return {
        "scenario": "slow_back", "design": "strong", "label": label, **values, "seed": seed,
        "verdict": verdict, "vetoed": vetoed, "score": score, "recovery_s": 2.0 if score else None,
        "broken": "no_lost_order" if vetoed else "", "fault.good_ratio": (score or 0) / 100,
        "fault.p95_s": 0.02 * int(attempts), "attempts": 100 * int(attempts),
    }  # fmt: skip


def rows() -> pl.DataFrame:
    """The timeout costs six points a step, the second rate eight; five attempts lose orders at that rate."""
    made = []
    for (place, timeout), attempts, rate in product(enumerate(TIMEOUTS), ATTEMPTS, ("8/s", "40/s")):
        for seed in range(1, 6):
            lost = attempts == "5" and rate == "40/s" and seed < 4
            score = 0.0 if lost else 99 - 6 * place - 8 * (rate == "40/s") - 0.3 * seed
            made.append(row(timeout, attempts, rate, seed, score, "fail" if score < 80 else "pass"))
    return frame(made)


def fifty() -> SweepReport:
    """Its report."""
    note = "*.retry.attempts does not touch, in strong, 1 link where retry is off: front -> <b>store</b>"
    return sweep_report(rows(), KEYS, "uncalibrated", "codeblue simulate slow_back", [note])
