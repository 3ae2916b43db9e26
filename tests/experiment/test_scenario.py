from __future__ import annotations

from pathlib import Path

import pytest

from experiment.scenario import PHASES, fault_window, phase_starts
from tests.experiment.mistakes import FAULT, SCENARIO, problems_of, scenario, seen

INSIDE = (
    "a fault inside the fault phase (6 s to 16 s): the baseline is measured before it, the recovery after it"
)
# (what stands in the good file, what replaces it, where the mistake is seen, found, expected, hint)
TIMES = [
    (
        FAULT,
        FAULT.replace("during: fault", "at: 90s, lasting: 5s"),
        "90s",
        "a fault from 90 s to 95 s",
        "a fault inside the run, which plays load until 26 s",
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "at: 8s, lasting: 1min"),
        "1min",
        "a fault from 8 s to 68 s",
        "a fault inside the run, which plays load until 26 s",
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "during: fault, lasting: 11s"),
        "11s",
        "a fault that lasts 11s from 0s on in the fault phase of 10s",
        "one that ends with the phase: at most 10s",
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "during: fault, at: 4s, lasting: 30s"),
        "30s",
        "a fault that lasts 30s from 4s on in the fault phase of 10s",
        "one that ends with the phase: at most 6s",
        "",
    ),
    (
        FAULT,
        FAULT.replace("fault}", "fault, repeat: {up: 3s, down: 1s, times: 3}}"),
        "3}",
        "3 activations that take 11 s",
        "activations that fit into the fault's 10 s",
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "at: 2s, lasting: 5s"),
        "2s, lasting",
        "a fault from 2 s to 7 s",
        INSIDE,
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "during: baseline"),
        "baseline}",
        "a fault from 1 s to 6 s",
        INSIDE,
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "during: recovery"),
        "recovery}",
        "a fault from 16 s to 26 s",
        INSIDE,
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "at: 8s"),
        "8s}",
        "a fault from 8 s to 8 s",
        "a fault that lasts: give its phase a length, or the fault `lasting`",
        "",
    ),
    (
        FAULT,
        FAULT.replace(", during: fault", ""),
        "{kind",
        "a fault without a time",
        'the key "during" (a phase) or "at" and "lasting"',
        "",
    ),
    (
        FAULT,
        f"{FAULT}\n  - {FAULT.replace('fault}', 'fault, at: 2s}')}",
        "{kind: latency, link: billing -> payments, delay: 500ms, during: fault, at",
        "two overlapping latency faults on billing -> payments",
        "each kind once at a time on one target",
        "",
    ),
    (
        FAULT,
        FAULT.replace("fault}", "fault, repeat: {up: 1ms, down: 1ms}}"),
        "{up",
        "more than 1000 activations",
        "a longer up or down, or times",
        "",
    ),
    (
        FAULT,
        FAULT.replace("fault}", "fault, repeat: {up: 0s, down: 0s}}"),
        "0s, down",
        "up 0 s",
        "a time for which the fault acts",
        "",
    ),
    ("baseline: 5s", "baseline: 0s", "0s", "a baseline of 0 s", "a baseline to compare with", ""),
    ("arrivals: 8/s", "arrivals: 0/s", "0/s", "a load without a rate", "a rate such as 8/s", ""),
    ("arrivals: 8/s", "arrivals: 8", "8", '"8"', "a rate with its unit (/s, /min), such as 8/s", ""),
    (
        "arrivals: 8/s",
        "arrivals: 500000/s",
        "500000/s",
        "up to 13,000,000 visits in 26 s",
        "at most 1,000,000 visits in a run: a lower rate, shorter phases",
        "",
    ),
    (
        "arrivals: 8/s",
        "arrivals: {process: replay}",
        "{process",
        "a replay without a file",
        "file: arrival times, one a line",
        "",
    ),
    (
        "arrivals: 8/s",
        "arrivals: {process: ramp, rate: 1/s}",
        "{process",
        'a ramp without "to"',
        "to: such as 8/s",
        "",
    ),
    (
        "arrivals: 8/s",
        "arrivals: {process: bursts, rate: 1/s}",
        "bursts",
        '"bursts"',
        "one of poisson, constant, burst, ramp, replay",
        'did you mean "burst"?',
    ),
]
OBJECTIVES = [
    (
        "hold: 3s",
        "hold: 30s",
        "30s",
        "a recovery that must hold 30 s in a phase of 10 s",
        "hold at most as long as phases.recovery",
        "",
    ),
    (
        ", recovery: 10s",
        "",
        "recovery: {within",
        "objectives in a recovery phase of 0 s",
        "phases.recovery with a length",
        "",
    ),
    (
        'success: ">= 99%"',
        'success: "<= 99%"',
        '"<= 99%"',
        'success "<= 99%"',
        'a lower bound such as ">= 99%"',
        "",
    ),
    ('success: ">= 99%"', 'p95: ">= 2s"', '">= 2s"', 'p95 ">= 2s"', 'an upper bound such as "<= 2s"', ""),
    (
        ', success: ">= 99%"',
        "",
        "pay}",
        "an objective for a journey without a figure",
        "success, p50, p95 or p99",
        "",
    ),
    (
        "expect:",
        "waivers: [{invariant: no_such, reason: r, by: b, until: 2027-01-01}]\nexpect:",
        "no_such",
        'the unknown property "no_such"',
        "a property of the system",
        "known: bounded_waiting, no_duplicate_charge, no_lost_checkin, no_retry_amplification, recovers",
    ),
    (
        "expect:",
        "waivers: [{invariant: no_lost_checkin, reason: r, by: b, until: soon}]\nexpect:",
        "soon",
        'until "soon"',
        "a date such as 2027-03-31",
        "",
    ),
    (
        "expect:",
        "waivers: [{invariant: no_lost_checkin, reason: '', by: b, until: 2027-01-01}]\nexpect:",
        "''",
        "nothing",
        "reason: text",
        "",
    ),
    (
        "expect:",
        "clock_scale: 0\nexpect:",
        "0\nexpect",
        "clock_scale 0",
        "a factor above 0 and up to 1000",
        "",
    ),
]
BAD = TIMES + OBJECTIVES


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[1][:60] for row in BAD]
)
def test_a_time_or_objective_that_cannot_be_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """File, line, column, what was found, what was expected and the nearest right name."""
    assert SCENARIO.count(good) == 1
    text = SCENARIO.replace(good, bad)
    problems = problems_of(lambda: scenario(tmp_path, text))
    told = [seen(problem, mark, text) for problem in problems]
    assert (True, found, expected, hint) in told
    assert {problem.where.file for problem in problems} == {str(tmp_path / "scenario.yaml")}


def test_a_fault_phase_without_length_is_told_for_fault_and_objectives(tmp_path: Path) -> None:
    """Both the fault that cannot act and the objective that nothing could meet are named."""
    problems = problems_of(lambda: scenario(tmp_path, SCENARIO.replace(", fault: 10s", "")))
    assert [problem.found for problem in problems] == [
        "a fault from 6 s to 6 s",
        "objectives in a fault phase of 0 s",
    ]


def test_phases_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    """Phases are lengths, so they cannot overlap."""
    starts = phase_starts(scenario(tmp_path).phases)
    assert [starts[name] for name in PHASES] == [0.0, 1.0, 6.0, 16.0, 26.0]


@pytest.mark.parametrize(
    ("times", "window"),
    [
        ("during: fault", (6.0, 16.0)),
        ("during: fault, at: 2s", (8.0, 16.0)),
        ("during: fault, lasting: 3s", (6.0, 9.0)),
        ("during: fault, at: 2s, lasting: 3s", (8.0, 11.0)),
        ("at: 7s, lasting: 3s", (7.0, 10.0)),
    ],
)
def test_a_window_is_placed_by_its_phase_and_its_times(
    times: str, window: tuple[float, float], tmp_path: Path
) -> None:
    """`at` counts from the phase when one is named, else from the run's zero."""
    read = scenario(tmp_path, SCENARIO.replace("during: fault", times))
    assert fault_window(read.faults[0], read.phases) == window
