"""The door for text that others wrote: what passes it acts on nothing, and says what it said."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import given

from experiment.errors import ConfigError, Location, Problem, StartError, UsageError, nearest
from experiment.plain_text import MOST, Ours, Plain, block, clean, csv_text, hidden, json_text, line, plain

ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|##[A-Za-z]*\[")
COMMAND = re.compile(r"^\s*::[^\n]*::", re.MULTILINE)
# Any text, and text that is likely to act.
TEXTS = st.text() | st.text(alphabet="#:[]ab \n\r\t\x1b\x9b\u202e\ud800")


@given(TEXTS)
def test_nothing_that_passes_the_door_acts(text: str) -> None:
    """Whatever comes in: no control character, no mark of direction, no command of a pipeline goes out."""
    for passed in (clean(text), line(text), block(text)):
        assert not ACTS.search(passed)
        assert not COMMAND.search(passed)


@given(TEXTS)
def test_what_has_passed_passes_again_unchanged(text: str) -> None:
    """A text that is cleaned twice, by a report and by the terminal, is the same."""
    assert clean(clean(text)) == clean(text)


@given(
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)).filter(
        lambda t: "##" not in t and "::" not in t
    )
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Letters, digits and marks of a sentence are nobody's commands."""
    assert clean(text) == line(text) == block(text) == text


def test_control_characters_and_direction_overrides_are_replaced() -> None:
    """Newlines and tabs stay; escapes, overrides and lone surrogates do not."""
    assert clean("a\nb\tc\x1b[0m\x00\u202e\ud800\u2028é") == "a\nb\tc\ufffd[0m\ufffd\ufffd\ufffd\ufffdé"


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("##[error]x", "# #[error]x"),
        ("a ##vso[task.x]", "a # #vso[task.x]"),
        ("::stop-commands::t", ": :stop-commands::t"),
        ("a\n \t::error file=x::y", "a\n \t: :error file=x::y"),
        ("listens on ::1", "listens on ::1"),
        ("::1 answers", "::1 answers"),
        ("## a heading", "## a heading"),
    ],
)
def test_commands_of_pipelines_are_broken_visibly(text: str, passed: str) -> None:
    """A space breaks them: characters that nobody sees are skipped by some who look for commands."""
    assert clean(text) == passed


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    """Nobody reads 200,000 characters of one value."""
    assert line("x" * 200_000) == "x" * MOST + "… (200,000 characters)"


def test_of_many_lines_the_first_and_the_last_are_kept() -> None:
    """The reason stands first, and what a service said last stands at the end of its log."""
    shown = block("\n".join(f"line {n}" for n in range(1_000)), lines=10).split("\n")
    assert shown[:5] == [f"line {n}" for n in range(5)]
    assert shown[5] == "... 990 lines are left out ..."
    assert shown[-1] == "line 999" and len(shown) == 11


@given(st.recursive(st.none() | st.integers() | TEXTS.filter(lambda t: not re.search("[\ud800-\udfff]", t)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="#[ab\x9b"), inner)))  # fmt: skip
def test_json_says_the_same_and_does_not_act(value: object) -> None:
    """What is replaced elsewhere is an escape in JSON: no program loses a character."""
    text = json_text(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not ACTS.search(text)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_cell_is_not_a_formula(text: str) -> None:
    """A spreadsheet shows it as text."""
    assert csv_text(text) == f"'{text}"


def test_the_hidden_character_is_named() -> None:
    """A file that holds one is told which."""
    assert hidden("ab\u202ec") == "U+202E" and hidden("plain") == ""


@dataclass(frozen=True, slots=True)
class Inner:
    text: str
    rows: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Plain):
    title: str
    inner: Inner
    named: dict[str, int] = field(default_factory=dict)


def test_a_document_is_plain_to_its_last_field() -> None:
    """Nested values, rows of evidence and names of mappings pass the door when the document is made."""
    long = "k" * 3_000
    page = Page(
        "\x1b[1m", Inner("##[x]", ({"a\x9b": ["\u202e", {"b": "\x07"}]},)), {long + "1": 1, long + "2": 2}
    )
    assert not ACTS.search(repr(page))
    assert page.inner.rows == ({"a\ufffd": ["\ufffd", {"b": "\ufffd"}]},)
    assert sorted(page.named.values()) == [1, 2]


def test_our_own_lines_are_let_through() -> None:
    """Colours of the console are ours."""
    assert plain(Ours("\x1b[1;32mPASS\x1b[0m")) == "\x1b[1;32mPASS\x1b[0m"


def test_errors_are_plain_text() -> None:
    """The log of a failing service and the value of a file are quoted, and do not act."""
    error = StartError("orders ended:\n    \x1b[2J\n    ::stop-commands::x\n    ##[error]y")
    assert str(error) == "orders ended:\n    \ufffd[2J\n    : :stop-commands::x\n    # #[error]y"
    problem = Problem(Location("a.yaml", 2, 3), f'"{"v" * 5_000}\n"', "a number", "\x9b")
    assert len(str(ConfigError([problem]))) < 500
    assert not ACTS.search(str(problem)) and "\n" not in problem.found


def test_fifty_mistakes_are_told_and_the_others_counted() -> None:
    """A file with thousands of mistakes is answered on one page."""
    told = str(ConfigError([Problem(Location("a.yaml", n), "x", "y") for n in range(1, 22_001)]))
    assert len(told.splitlines()) == 51
    assert told.endswith("\nand 21,950 more mistakes")


@pytest.mark.parametrize("code", [0xA0, 0x2009, 0x200C, 0x200D, 0x202F, 0x3000, 0xFE0F, 0x3164])
def test_a_mistake_names_the_characters_that_nobody_sees(code: int) -> None:
    """Two words that look alike are told apart by the code point, in files and on the command line."""
    word = f"pay{chr(code)}ment"
    told = str(Problem(Location("a.yaml"), f'the unknown mix "{word}"', "a mix", nearest(word, ["payment"])))
    assert f'"pay<U+{code:04X}>ment"' in told and f'did you mean "payment"? (found U+{code:04X})' in told
    assert f"pay<U+{code:04X}>ment" in str(UsageError(f"found no scenario {word}"))


def test_a_letter_of_another_script_is_named() -> None:
    """A Cyrillic letter looks like a Latin one."""
    assert nearest("p\u0430yment", ["payment"]) == 'did you mean "payment"? (found U+0430)'
    assert nearest("paymnt", ["payment"]) == 'did you mean "payment"?'
