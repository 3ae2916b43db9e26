"""The switches of a system: how they are declared, what a design may say of them, and what a service gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from execution.catalogue import default_catalogue
from execution.places import ROOT
from experiment.design import Design, load_design
from experiment.named_files import check_shown_by
from experiment.switches import Value
from experiment.topology import System
from tests.experiment.mistakes import SYSTEM, problems_of, seen, system, write
from tests.test_architecture import LAYERS

DECLARED = """\
name: shop
services:
  orders: {command: [orders]}
  payments: {role: instrument, command: [payments]}
  postgres: {role: store}
links: [{caller: orders, callee: payments}, {caller: orders, callee: postgres, protocol: postgres}]
journeys: {order: {entry: orders, uses: [orders -> payments]}}
mixes: {visit: [{journey: order}]}
switches:
  blind: {type: switch, default: off, services: [orders], environment: {RETRY_BLINDLY: "{value}"}}
  check: {type: choice, choices: [copy, current], default: copy, environment: {CHECK: "{value}"}}
  wait:
    type: duration
    default: 1500ms
    minimum: 10ms
    maximum: 1min
    environment: {WAIT_S: "{value}", WAIT_MS: "{value_ms}"}
  cache: {type: duration, optional: on, environment: {CACHE_S: "{value}"}}
  limit: {type: rate, optional: on}
  part: {type: share, default: 10%, environment: {PART: "{value}"}}
  copies: {type: count, default: 2, minimum: 1}
  factor: {type: number, default: 1.5, maximum: 9}
  label: {type: text, default: plain}
  bound:
    type: record
    optional: on
    fields: {most: {type: count, default: 128, minimum: 1}, wait: {type: duration, optional: on}}
    environment: {MOST: "{value.most}", BOUND: "{value}"}
  keeps: {type: choice, choices: [owned, common], default: owned, effect: database}
"""
OFF: dict[str, Value] = {
    "blind": False,
    "check": "copy",
    "wait": 1.5,
    "cache": None,
    "limit": None,
    "part": 0.1,
    "copies": 2,
    "factor": 1.5,
    "label": "plain",
    "bound": None,
    "keeps": "owned",
}
VALUES: list[tuple[str, str, Value]] = [
    ("blind", "on", True),
    ("blind", "no", False),
    ("check", "current", "current"),
    ("wait", "250ms", 0.25),
    ("cache", "24h", 86400.0),
    ("cache", "off", None),
    ("limit", "30/min", 0.5),
    ("part", "100%", 1.0),
    ("copies", "7", 7),
    ("factor", "0.5", 0.5),
    ("label", "off", "off"),
    ("bound", "{most: 3}", {"most": 3, "wait": None}),
    ("bound", "{wait: 2s}", {"most": 128, "wait": 2.0}),
    ("bound", "off", None),
]
WRONG = [
    ("blind", "2s", '"2s"', "on or off", ""),
    ("check", "curent", '"curent"', "one of copy, current", 'did you mean "current"?'),
    ("wait", "5ms", '"5ms"', "a duration such as 250ms, from 10ms to 1min", ""),
    ("wait", "2min", '"2min"', "a duration such as 250ms, from 10ms to 1min", ""),
    ("wait", "20", '"20"', "a duration with its unit (us, ms, s, min, h), such as 250ms", ""),
    ("limit", "8", '"8"', "a rate with its unit (/s, /min), such as 8/s", ""),
    ("part", "120%", '"120%"', "a share of at most 100%, such as 20%", ""),
    ("copies", "0", '"0"', "a whole number, 1 or more", ""),
    ("copies", "1.5", '"1.5"', "a whole number", ""),
    ("factor", "10", '"10"', "a number, at most 9", ""),
    ("factor", "many", '"many"', "a number", ""),
    ("label", "[a]", "a list", "text", ""),
    ("bound", "on", '"on"', "a mapping with the keys most, wait or off", ""),
    ("bound", "{mots: 3}", 'the unknown key "mots"', "a key that is defined here", 'did you mean "most"?'),
    ("bound", "{most: 0}", '"0"', "a whole number, 1 or more", ""),
    ("blnid", "on", 'the unknown switch "blnid"', "a switch of the system", 'did you mean "blind"?'),
]
BAD = [
    (
        "type: switch, default: off, serv",
        "type: swich, default: off, serv",
        "swich",
        '"swich"',
        "one of switch, choice, duration, rate, share, count, number, text, record",
        'did you mean "switch"?',
    ),
    ("default: copy", "default: cpy", "cpy", '"cpy"', "one of copy, current", 'did you mean "copy"?'),
    ("default: 1500ms", "default: 5ms", "5ms", '"5ms"', "a duration such as 250ms, from 10ms to 1min", ""),
    ("default: 1500ms", "default: soon", "soon", '"soon"', "a duration such as 250ms", ""),
    ("maximum: 1min", "maximum: 1ms", "1ms", '"1ms"', "a duration such as 250ms, 10ms or more", ""),
    (
        "{type: share, default: 10%,",
        "{type: share,",
        "{type: share",
        'no key "default"',
        "default: a share such as 20%; or optional: on",
        "",
    ),
    (
        "choices: [copy, current], ",
        "",
        "{type: choice, default: copy",
        "a choice without choices",
        "choices: [one, another]",
        "",
    ),
    (
        "{type: text, default: plain}",
        "{type: text, choices: [a], default: a}",
        "[a]",
        "choices of a text",
        "choices of a choice only",
        "",
    ),
    ("[copy, current]", "[copy, copy]", "[copy, copy]", "a choice that stands twice", "each choice once", ""),
    (
        "{type: text, default: plain}",
        "{type: text, default: plain, minimum: 1}",
        "1}\n  bound",
        "a minimum of a text",
        "a minimum of a quantity, a count or a number only",
        "",
    ),
    (
        "{type: text, default: plain}",
        "{type: record, optional: on}",
        "{type: record, optional: on}",
        "a record without fields",
        "fields: {name: {type: count, default: 1}}",
        "",
    ),
    (
        "{type: duration, optional: on}}",
        "{type: record, optional: on}}",
        "record, optional: on}}",
        "a record in a record",
        "a field of another type",
        "",
    ),
    (
        "services: [orders]",
        "services: [oders]",
        "oders",
        'the unknown service "oders"',
        "a service of this file",
        'did you mean "orders"?',
    ),
    (
        '{WAIT_S: "{value}"',
        '{WAIT_S: "{valeu}"',
        '"{valeu}"',
        'the unknown placeholder "{valeu}"',
        "a placeholder of the value",
        'did you mean "value"?',
    ),
    (
        "{CHECK:",
        "{A-B:",
        "A-B",
        'the name "A-B"',
        "the name of an environment variable",
        "",
    ),
    (
        "  label:",
        "  retry:",
        "retry: {type",
        'the name "retry"',
        "a name that no link pattern has",
        "",
    ),
    (
        "  label:",
        "  a.b:",
        "a.b",
        'the name "a.b"',
        'at most 60 letters, digits and "_", with a letter first',
        "",
    ),
    (
        "{type: rate, optional: on}",
        "{type: rate, default: 3/s, effect: rate_limit}",
        "rate_limit",
        "the effect rate_limit of a rate that is always set",
        "a rate with optional: on, above which the service refuses requests",
        "",
    ),
    (
        "{type: share, default: 10%,",
        "{type: share, default: 10%, effect: certificates,",
        "certificates",
        "the effect certificates of a share",
        "a choice whose default needs no certificates",
        "",
    ),
    (
        "default: owned, effect",
        "default: owned, optional: on, effect",
        "database}",
        "a database that may be off",
        "a choice without optional: a service always has a database",
        "",
    ),
    (
        "[owned, common]",
        "[owned, payments]",
        "payments], default: owned",
        '"payments"',
        '"owned", or a name for a database: letters, digits and "_", and no service\'s name',
        "",
    ),
]


def shop(folder: Path, text: str = DECLARED) -> System:
    return system(folder, text)


def design(folder: Path, text: str) -> Design:
    return load_design(write(folder, "design.yaml", f"name: mine\n{text}"), shop(folder))


def test_every_service_has_every_switch_at_its_default(tmp_path: Path) -> None:
    """A design that names nothing is resolved all the same; what is optional is off."""
    assert design(tmp_path, "").services == dict.fromkeys(("orders", "payments", "postgres"), OFF)


@pytest.mark.parametrize(("switch", "text", "value"), VALUES)
def test_a_value_is_read_as_its_type(switch: str, text: str, value: Value, tmp_path: Path) -> None:
    """Seconds, per second, shares from 0 to 1; a record has all its fields."""
    read = design(tmp_path, f"services: {{orders: {{{switch}: {text}}}}}\n")
    assert read.services["orders"] == OFF | {switch: value}
    assert read.services["payments"] == OFF


@pytest.mark.parametrize(("switch", "text", "found", "expected", "hint"), WRONG)
def test_a_value_of_another_type_or_out_of_bounds_is_refused_at_its_place(
    switch: str, text: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """Where, what was found, what was expected, and the nearest name; alike for one service and for all."""
    for part in (
        f"services: {{orders: {{{switch}: {text}}}}}\n",
        f"service_defaults: {{{switch}: {text}}}\n",
    ):
        (problem,) = problems_of(lambda part=part: design(tmp_path, part))  # type: ignore[misc]
        assert (problem.found, problem.expected, problem.hint) == (found, expected, hint)
        written = f"name: mine\n{part}".splitlines()[problem.where.line - 1][problem.where.column - 1 :]
        assert written.startswith((switch, text, text.strip("{}").split(": ")[-1], text.strip("{}")))


def test_a_switch_of_another_service_is_refused(tmp_path: Path) -> None:
    """A key that would change nothing is a mistake; as a default it reaches the services that it concerns."""
    (problem,) = problems_of(lambda: design(tmp_path, "services: {payments: {blind: on}}\n"))
    assert (problem.found, problem.expected) == (
        'the switch "blind" for payments',
        "a service that it concerns: orders",
    )
    assert design(tmp_path, "service_defaults: {blind: on}\n").services["orders"]["blind"] is True


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[1][:50] for row in BAD]
)
def test_a_mistake_in_a_declaration_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """File, line, column, what was found, what was expected and the nearest right name."""
    assert DECLARED.count(good) == 1
    text = DECLARED.replace(good, bad)
    problems = problems_of(lambda: shop(tmp_path, text))
    assert seen(problems[0], mark, text) == (True, found, expected, hint)


def test_a_link_pattern_of_which_something_is_said_must_be_one(tmp_path: Path) -> None:
    """`link_patterns` holds the harness's own names."""
    text = DECLARED + "link_patterns: {timeout: {shown_by: [slow]}, breakr: {not_shown: none breaks}}\n"
    (problem,) = problems_of(lambda: shop(tmp_path, text))
    expected = ('the unknown link pattern "breakr"', "a link pattern", 'did you mean "breaker"?')
    assert (problem.found, problem.expected, problem.hint) == expected


def test_the_scenarios_that_show_a_lack_must_be_there(tmp_path: Path) -> None:
    """Each at its own place, with the nearest name."""
    text = DECLARED.replace("default: plain}", "default: plain, shown_by: [slow, fast]}")
    text += "link_patterns: {timeout: {shown_by: [slw]}}\n"
    read = shop(tmp_path, text)
    check_shown_by(read, ["slow", "fast", "slw"])
    problems = problems_of(lambda: check_shown_by(read, ["slow"]))
    assert seen(problems[0], "fast]", text) == (
        True,
        'the unknown scenario "fast"',
        "a scenario of the system",
        "known: slow",
    )
    assert seen(problems[1], "slw", text)[0]


def test_a_service_gets_its_switches_from_its_environment(tmp_path: Path) -> None:
    """Words as most programs read them; what is off, or of another service, leaves no variable."""
    read = design(tmp_path, "services: {orders: {blind: on, bound: {most: 3, wait: 2s}, cache: 1h}}\n")
    assert read.environment(shop(tmp_path), "orders") == {
        "RETRY_BLINDLY": "true",
        "CHECK": "copy",
        "WAIT_S": "1.5",
        "WAIT_MS": "1500",
        "CACHE_S": "3600",
        "PART": "0.1",
        "MOST": "3",
        "BOUND": '{"most": 3, "wait": 2.0}',
    }
    left = {"CHECK": "copy", "WAIT_S": "1.5", "WAIT_MS": "1500", "PART": "0.1"}
    assert read.environment(shop(tmp_path), "payments") == left


def test_a_system_without_switches_has_designs_of_link_patterns_alone(tmp_path: Path) -> None:
    """Nothing is assumed: a switch of another system is unknown there."""
    bare = system(tmp_path, SYSTEM.partition("switches:")[0])
    path = write(tmp_path, "design.yaml", "name: mine\nlink_defaults: {timeout: 1s}\n")
    assert load_design(path, bare).services == {name: {} for name in bare.services}
    wrong = write(tmp_path, "wrong.yaml", "name: mine\nservice_defaults: {saga: on}\n")
    (problem,) = problems_of(lambda: load_design(wrong, bare))
    assert (problem.found, problem.hint) == ('the unknown switch "saga"', "none is defined")


def test_the_wire_of_a_reference_design_is_what_services_have_always_read() -> None:
    """Names, order and units of one service under the two extremes, literally."""
    catalogue = default_catalogue()
    read = catalogue.system()
    fragile = catalogue.design("fragile", read).to_wire()["services"]["pharmacy"]
    resilient = catalogue.design("resilient", read).to_wire()["services"]["pharmacy"]
    assert list(fragile.items())[:18] == [  # later switches come behind them
        ("shedding", None),
        ("eligibility", "sync"),
        ("inline_wait", 1.0),
        ("eligibility_cache", None),
        ("unknown_cover", "presumed"),
        ("retry_schedule", 90.0),
        ("registry_fallback", False),
        ("idempotency_key", False),
        ("outbox", False),
        ("dedupe", False),
        ("version_fence", False),
        ("dispense_check", "projection"),
        ("if_match", False),
        ("saga", False),
        ("lookup_before_retry", False),
        ("database", "owned"),
        ("outbox_poll", 0.02),
        ("max_rate", None),
    ]
    assert list(resilient.items())[:18] == [
        ("shedding", {"concurrent": 256}),
        ("eligibility", "async"),
        ("inline_wait", 1.0),
        ("eligibility_cache", 86400.0),
        ("unknown_cover", "pending"),
        ("retry_schedule", 90.0),
        ("registry_fallback", True),
        ("idempotency_key", True),
        ("outbox", True),
        ("dedupe", True),
        ("version_fence", True),
        ("dispense_check", "reservation"),
        ("if_match", True),
        ("saga", True),
        ("lookup_before_retry", True),
        ("database", "owned"),
        ("outbox_poll", 0.1),
        ("max_rate", None),
    ]


def test_the_harness_names_no_switch_of_a_system() -> None:
    """It knows types and effects; the words left out are terms of the field that other things have too."""
    names = set(default_catalogue().system().switches) - {"outbox", "saga", "database", "delivery", "tls"}
    word = re.compile(rf"\b(?:{'|'.join(sorted(names))})\b|switches\[[\"']")
    layers = [layer for layer in LAYERS if (ROOT / layer).is_dir()]
    files = [path for layer in layers for path in sorted((ROOT / layer).rglob("*.py"))]
    assert len(files) > 200
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert not found, "\n".join(found)
