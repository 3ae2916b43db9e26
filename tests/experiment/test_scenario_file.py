from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.mistakes import FAULT, NEEDS_UNIT, PLAIN_NAME, SCENARIO, problems_of, scenario, seen

# (what stands in the good file, what replaces it, where the mistake is seen, found, expected, hint)
NAME_ONE = (
    'name a property under expect.invariants, or an objective such as {journey: pay, success: ">= 99%"}'
)
EXPECT = SCENARIO[SCENARIO.index("expect:") :]
BAD = [
    (
        FAULT,
        FAULT.replace("link: billing -> payments", "link: {one_of: [billing -> paymets, desk -> billing]}"),
        "billing -> paymets",
        'the unknown link "billing -> paymets"',
        "a link of the system",
        'did you mean "billing -> payments"?',
    ),
    (
        FAULT,
        FAULT.replace("link: billing -> payments", "link: {one_of: [billing -> payments]}"),
        "[billing",
        "one_of with 1 name",
        "two or more, or one name without it",
        "",
    ),
    (
        FAULT,
        FAULT.replace("link: billing -> payments", "link: {one_off: [billing -> payments, desk -> billing]}"),
        "one_off",
        'the unknown key "one_off"',
        "a key that is defined here",
        'did you mean "one_of"?',
    ),
    (
        EXPECT,
        'expect:\n  baseline:\n    - {journey: pay, success: ">= 99%"}\n',
        "expect",
        "faults and nothing that is expected of the system under them",
        "a property, or an objective for the fault, the recovery or after it",
        f"{NAME_ONE} under expect.fault",
    ),
    (
        SCENARIO[SCENARIO.index("faults:") :],
        "",
        "name: slow_payments",
        "a scenario that expects nothing",
        "a property or an objective",
        f"{NAME_ONE} under expect.baseline",
    ),
    (
        FAULT,
        FAULT.replace("latency", "latencey"),
        "latencey",
        'the unknown fault "latencey"',
        "a fault kind",
        'did you mean "latency"?',
    ),
    (
        FAULT,
        FAULT.replace("kind: latency, ", ""),
        "{link",
        'a fault without "kind"',
        "a fault kind",
        "known: crash, latency, lost_response",
    ),
    (
        FAULT,
        FAULT.replace("kind: latency", "kind: [latency]"),
        "[latency]",
        "a list as the kind of a fault",
        "a fault kind",
        "known: crash, latency, lost_response",
    ),
    (
        FAULT,
        FAULT.replace("billing -> payments", "billing -> paymets"),
        "billing -> paymets",
        'the unknown link "billing -> paymets"',
        "a link of the system",
        'did you mean "billing -> payments"?',
    ),
    (
        FAULT,
        FAULT.replace("link: billing -> payments", "service: billing"),
        "{kind",
        'a latency fault without "link"',
        "link: one of the system's",
        "",
    ),
    (
        FAULT,
        FAULT.replace("during", "service: billing, during"),
        "billing -> payments",
        "both link and service",
        "only link for a latency fault",
        "",
    ),
    (
        FAULT,
        "{kind: crash, service: biling, during: fault}",
        "biling",
        'the unknown service "biling"',
        "a service of the system",
        'did you mean "billing"?',
    ),
    (
        FAULT,
        "{kind: lost_response, link: billing -> postgres, during: fault}",
        "billing -> postgres",
        "a postgres link",
        "a link to a service: lost_response acts inside the callee",
        "",
    ),
    (
        FAULT,
        FAULT.replace("link:", "lnk:"),
        "lnk",
        'the unknown key "lnk"',
        "a key that is defined here",
        'did you mean "link"?',
    ),
    (
        FAULT,
        FAULT.replace("delay", "dealy"),
        "{kind",
        'no key "delay"',
        "delay: a duration such as 250ms",
        "",
    ),
    (FAULT, FAULT.replace("500ms", "500"), "500,", '"500"', NEEDS_UNIT, ""),
    (
        FAULT,
        FAULT.replace("delay: 500ms", "delay: 1s, jitter: 2s"),
        "2s",
        "a jitter above the delay",
        "a jitter that is not longer",
        "",
    ),
    (
        FAULT,
        FAULT.replace("during: fault", "during: faults"),
        "faults}",
        '"faults"',
        "one of warm_up, baseline, fault, recovery",
        'did you mean "fault"?',
    ),
    (
        FAULT,
        "latency",
        "latency",
        '"latency"',
        "a fault such as {kind: latency, link: a -> b, during: fault}",
        "",
    ),
    (
        "{visit: 1}",
        "{vist: 1}",
        "vist",
        'the unknown journey mix "vist"',
        "a mix of the system",
        'did you mean "visit"?',
    ),
    (
        "{visit: 1}",
        "{visit: 0}",
        "{visit: 0}",
        "no weight above 0 in journeys",
        "a mix of the system with a weight of 1",
        "",
    ),
    ("{visit: 1}", "{}", "{}", "no weight above 0 in journeys", "a mix of the system with a weight of 1", ""),
    (
        "journey: pay",
        "journey: pays",
        "pays",
        'the unknown journey "pays"',
        "a journey of the system",
        'did you mean "pay"?',
    ),
    (
        "[no_duplicate_charge]",
        "[no_lost_checkin, no_duplicate_charges]",
        "no_duplicate_charges",
        'the unknown property "no_duplicate_charges"',
        "a property of the system",
        'did you mean "no_duplicate_charge"?',
    ),
    ("name: slow_payments", "name: ../../etc", "../../etc", 'the name "../../etc"', PLAIN_NAME, ""),
    (
        "phases: {warm_up",
        "phases: {warmup",
        "warmup",
        'the unknown key "warmup"',
        "a key that is defined here",
        'did you mean "warm_up"?',
    ),
]


def test_a_good_scenario_is_read(tmp_path: Path) -> None:
    """The file of these tests is right, so that each change below is the one mistake."""
    read = scenario(tmp_path)
    assert read.load.arrivals.rate == 8.0
    assert read.faults[0].target == "billing -> payments"
    assert read.expect.invariants == ("no_duplicate_charge",)
    assert read.source == str(tmp_path / "scenario.yaml")


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[1][:60] for row in BAD]
)
def test_a_mistake_in_a_scenario_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """File, line, column, what was found, what was expected and the nearest right name."""
    assert SCENARIO.count(good) == 1
    text = SCENARIO.replace(good, bad)
    problems = problems_of(lambda: scenario(tmp_path, text))
    told = [seen(problem, mark, text) for problem in problems]
    assert (True, found, expected, hint) in told
    assert {problem.where.file for problem in problems} == {str(tmp_path / "scenario.yaml")}


def test_several_mistakes_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """All of them at once, the top of the file first."""
    text = SCENARIO.replace("{visit: 1}", "{vist: 1}").replace("journey: pay", "journey: pays")
    problems = problems_of(lambda: scenario(tmp_path, text))
    assert [problem.where.line for problem in problems] == [5, 12]


FAULTS_ALL_WRONG = """\
  - {kind: latency, link: billing -> paymets, delay: 500, dealy: 1s, during: fault}
  - {kind: crash, service: biling, link: desk -> biling, at: 7}
  - {kind: crsh, service: biling, during: falt}
"""


def test_units_keys_and_names_are_told_together(tmp_path: Path) -> None:
    """A name that nothing has is told although its own fault, or another part of the file, cannot be read."""
    text = SCENARIO.replace(f"  - {FAULT}\n", FAULTS_ALL_WRONG).replace("baseline: 5s", "baseline: 5")
    text = text.replace("{visit: 1}", "{vist: 1}").replace("journey: pay", "journey: pays")
    problems = problems_of(lambda: scenario(tmp_path, text.replace("_charge]", "_charg]")))
    assert [(problem.where.line, problem.found) for problem in problems] == [
        (5, 'the unknown journey mix "vist"'),
        (6, '"5"'),
        (8, 'the unknown link "billing -> paymets"'),
        (8, '"500"'),
        (8, 'the unknown key "dealy"'),
        (9, 'the unknown service "biling"'),
        (9, "both link and service"),
        (9, 'the unknown link "desk -> biling"'),
        (9, '"7"'),
        (10, 'the unknown fault "crsh"'),
        (10, 'the unknown service "biling"'),
        (10, '"falt"'),
        (12, 'the unknown property "no_duplicate_charg"'),
        (14, 'the unknown journey "pays"'),
    ]


def test_a_replay_file_that_is_not_there_is_found_before_the_run(tmp_path: Path) -> None:
    """The file is looked for beside the scenario."""
    text = SCENARIO.replace("arrivals: 8/s", "arrivals: {process: replay, file: visits.txt}")
    (problem,) = problems_of(lambda: scenario(tmp_path, text))
    assert seen(problem, "visits.txt", text)[:2] == (True, 'no file "visits.txt"')
    (tmp_path / "visits.txt").write_text("0.5\n")
    assert scenario(tmp_path, text).load.arrivals.file == "visits.txt"


@pytest.mark.parametrize("text", ["", "[]\n", "- name: x\n", "name: [\n", "\tname: x\n", "\0"])
def test_a_file_that_is_no_scenario_is_one_mistake(text: str, tmp_path: Path) -> None:
    """Nothing, a list, a broken list, a tab and a control character are each told once."""
    (problem,) = problems_of(lambda: scenario(tmp_path, text))
    assert problem.where.file == str(tmp_path / "scenario.yaml")
    assert problem.expected
