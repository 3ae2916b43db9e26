from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from experiment.errors import ConfigError, Location
from experiment.yaml_source import (
    MAX_BYTES,
    MAX_VALUES,
    Mapping,
    Node,
    Scalar,
    Sequence,
    key_place,
    parse_yaml,
    place,
    read_yaml,
)
from tests.experiment.mistakes import problems_of, write

BOMB = "a: &a [x, x]\n" + "".join(
    f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)
MISTAKES = [
    ("empty", "", (1, 1), "an empty file", "a YAML mapping"),
    ("comment only", "# nothing\n", (1, 1), "an empty file", "a YAML mapping"),
    (
        "no YAML",
        "a: [1, 2\nb: 3\n",
        (2, 2),
        "text that is not YAML (did not find expected ',' or ']')",
        "a YAML document",
    ),
    (
        "unclosed quote",
        "a: 'x\n",
        (2, 1),
        "text that is not YAML (found unexpected end of stream)",
        "a YAML document",
    ),
    (
        "tab",
        "a:\n\tb: 1\n",
        (2, 1),
        "text that is not YAML (found character that cannot start any token)",
        "a YAML document",
    ),
    (
        "two documents",
        "a: 1\n---\nb: 2\n",
        (2, 1),
        "text that is not YAML (but found another document)",
        "a YAML document",
    ),
    (
        "duplicate key",
        "a: 1\nb: 2\na: 3\n",
        (3, 1),
        'the key "a" a second time',
        "each key once (first at line 1)",
    ),
    ("list as key", "[a]: 1\n", (1, 1), "a key that is a list or mapping", "a plain name"),
    ("alias", "a: &x 1\nb: *x\n", (2, 4), "an alias (*x)", "plain values"),
    ("bomb", BOMB, (2, 8), "an alias (*a)", "plain values"),
    ("merge of itself", "a: &a\n  <<: *a\n", (2, 7), "an alias (*a)", "plain values"),
    (
        "tag",
        "a: 1\nb: !!python/object/apply:os.system [ls]\n",
        (2, 4),
        "a tag (tag:yaml.org,2002:python/object/apply:os.system)",
        "plain values without tags",
    ),
    ("nesting bomb", "a:\n  " + "[" * 200_000, (2, 32), "more than 30 levels of nesting", "a flat document"),
    (
        "control character",
        "a: 1\nb: x\x07\n",
        (2, 5),
        "the character U+0007",
        "text without control characters",
    ),
    (
        "escaped control character",
        'a: "\\0"\n',
        (1, 4),
        "the character U+0000",
        "text without control characters",
    ),
    (
        "newer YAML",
        "%YAML 3.0\n---\na: 1\n",
        (1, 1),
        "text that is not YAML (found incompatible YAML document)",
        "a YAML document",
    ),
]


@pytest.mark.parametrize(
    ("text", "where", "found", "expected"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_file_that_cannot_be_read_says_where_and_why(
    text: str, where: tuple[int, int], found: str, expected: str, tmp_path: Path
) -> None:
    """Each mistake stops the reading at its line and column."""
    path = write(tmp_path, "bad.yaml", text)
    (problem,) = problems_of(lambda: read_yaml(path))
    assert problem.where == Location(str(path), *where)
    assert (problem.found, problem.expected) == (found, expected)


@pytest.mark.parametrize(
    ("raw", "where", "found"),
    [
        (b"\x00\x01\x02", (1, 1), "the character U+0000"),
        (b"\x89PNG\r\n\x1a\n", (1, 1), "the byte 0x89, which is not UTF-8"),
        ("ä: 1\nb: é".encode() + b"\xff", (2, 5), "the byte 0xff, which is not UTF-8"),
        ("a: 1".encode("utf-16"), (1, 1), "the byte 0xff, which is not UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_named(
    raw: bytes, where: tuple[int, int], found: str, tmp_path: Path
) -> None:
    """A binary file is refused at its first odd byte; columns count characters, not bytes."""
    path = write(tmp_path, "bad.yaml", raw)
    (problem,) = problems_of(lambda: read_yaml(path))
    assert (problem.where, problem.found) == (Location(str(path), *where), found)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """Nobody writes a quarter of a megabyte of scenario by hand."""
    (problem,) = problems_of(lambda: read_yaml(write(tmp_path, "big.yaml", b"#" * (MAX_BYTES + 1))))
    assert problem.found == "more than 250,000 bytes"
    assert problem.expected == "at most 250,000 bytes of YAML"


def test_a_device_is_not_read() -> None:
    """One that never ends would be read for ever."""
    (problem,) = problems_of(lambda: read_yaml(Path("/dev/zero")))
    assert problem.found == "no readable file (a device)"


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Opening it would wait for a writer."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (problem,) = problems_of(lambda: read_yaml(tmp_path / "pipe.yaml"))
    assert problem.found == "no readable file (a named pipe)"


def test_more_values_than_anybody_writes_are_refused() -> None:
    """A list of 120,000 numbers fits into the bytes and is no document."""
    (problem,) = problems_of(lambda: parse_yaml("a: [" + "1," * 120_000 + "1]", "f"))
    assert problem.found == f"more than {MAX_VALUES:,} keys and values"


@pytest.mark.parametrize("text", ["a: x\u202ey", "\u200ba: x", "a: 'x\x9b2J'", 'a: "\\u202e"', 'a: "\\e[2J"'])
def test_characters_that_nobody_sees_are_no_part_of_a_file(text: str) -> None:
    """A title that turns the direction of writing shows another text than it says."""
    (problem,) = problems_of(lambda: parse_yaml(text, "f"))
    assert re.fullmatch(r"the character U\+[0-9A-F]{4}", problem.found)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_is_not_there_says_what_to_do(name: str, tmp_path: Path) -> None:
    """A missing file and a folder are no readable files."""
    (problem,) = problems_of(lambda: read_yaml(tmp_path / name))
    assert problem.found.startswith("no readable file (")
    assert "`codeblue list`" in problem.hint


def test_a_mistake_reads_as_one_sentence_and_exits_with_64(tmp_path: Path) -> None:
    """The printed form is file, line, column, found, expected, hint."""
    path = write(tmp_path, "bad.yaml", "a: &x 1\nb: *x\n")
    (problem,) = problems_of(lambda: read_yaml(path))
    assert str(problem) == (
        f"{path}:2:4: found an alias (*x), expected plain values\n"
        "    write the value out: aliases can blow a file up without end"
    )
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert int(caught.value.exit_code) == 64


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    """Files of other editors read alike."""
    node = read_yaml(write(tmp_path, "bom.yaml", b"\xef\xbb\xbfa: 1\n"))
    assert isinstance(node, Mapping)
    assert node.get("a") == Scalar(Location(str(tmp_path / "bom.yaml"), 1, 4), "1", "int")


def test_scalars_keep_their_text_and_their_kind() -> None:
    """Nothing is converted here: `on` stays text with its kind beside it."""
    node = parse_yaml("{a: on, b: 1.5, c: ~, d: 0x1f, e: '7'}", "f")
    assert isinstance(node, Mapping)
    kinds = [(value.text, value.kind) for _, value in node.items if isinstance(value, Scalar)]
    assert kinds == [("on", "bool"), ("1.5", "float"), ("~", "null"), ("0x1f", "int"), ("7", "str")]


def test_a_place_is_found_by_its_path() -> None:
    """Keys and list positions lead to the value; a path that breaks off gives the last part that is there."""
    node = parse_yaml("a:\n  - {b: 1}\n  - {b: 2}\n", "f")
    assert place(node, "a", 1, "b") == Location("f", 3, 9)
    assert place(node, "a", 1, "c") == Location("f", 3, 5)
    assert place(node, "a", 7) == Location("f", 2, 3)
    assert key_place(node, "a", 1, "b") == Location("f", 3, 6)
    assert key_place(node, "a") == Location("f", 1, 1)
    assert key_place(node, "z") == Location("f", 1, 1)


def plain(node: Node) -> object:
    """Text, lists and dicts."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.items}


def test_files_of_others_may_have_aliases_and_merge_keys() -> None:
    """An alias stands for its value, at the value's own place; a mapping's own keys go before merged ones,
    and of merged ones the first."""
    text = "x: &x {a: 1, b: [2]}\ny: &y {b: 3, c: 4}\none: *x\n"
    text += "two: {<<: [*x, *y], a: 5}\nthree: {b: 6, <<: *y}\n"
    node = parse_yaml(text, "f", aliases=True)
    assert plain(node) == {
        "x": {"a": "1", "b": ["2"]},
        "y": {"b": "3", "c": "4"},
        "one": {"a": "1", "b": ["2"]},
        "two": {"a": "5", "b": ["2"], "c": "4"},
        "three": {"b": "6", "c": "4"},
    }
    assert place(node, "two", "b", 0) == Location("f", 1, 18)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(20)),
            "more than 50,000 keys and values",
        ),
        ("a: &a\n  <<: *a\n", "an alias (*a)"),
        ("a: *b\n", "an alias (*b)"),
        ("a: &a 1\nb: {<<: *a}\n", "a merge key with another value"),
    ],
)
def test_what_aliases_stand_for_is_there_and_of_a_reasonable_size(text: str, found: str) -> None:
    """A bomb, an alias of itself, one of nothing, and a text that is merged."""
    (problem,) = problems_of(lambda: parse_yaml(text, "f", aliases=True))
    assert problem.found == found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "\\ud83d\\ude00"}', "\U0001f600"),
        (r'{"a": "\\ud83d \uD83D\uDE00"}', "\\ud83d \U0001f600"),
        ('a: "\\U0001F600"\n', "\U0001f600"),
        ("a: \U0001f600\n", "\U0001f600"),
    ],
)
def test_a_character_may_be_written_as_json_writes_it(text: str, value: str) -> None:
    """Two escapes for one character; what follows an escaped backslash is no escape."""
    node = parse_yaml(text, "f.yaml")
    assert isinstance(node, Mapping)
    found = node.get("a")
    assert isinstance(found, Scalar) and found.text == value
    found.text.encode("utf-8")


@pytest.mark.parametrize("text", ['{"a": "\\ud83d"}', 'a: "\\ud83d\\ude00"\n', '{"a": "\\ude00\\ud83d"}'])
def test_half_a_character_is_refused_at_its_place(text: str) -> None:
    """It could be accepted and never be written; YAML that is not JSON has one escape for it."""
    with pytest.raises(ConfigError, match=r"f\.yaml:1:\d+: found the escape \\u[dD].*half a character"):
        parse_yaml(text, "f.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n\t\nb: 2\n",
        "a: 1\n \t \nb: 2\n",
        "\t# a note\na: 1\nb: 2\n",
        "a: 1\t\nb: 2\t\n",
        "a: 1 \t# a note\nb: 2\n",
        "a: 1\nb: 2\n\t",
        "a: 1\n" + "\t\n" * 200 + "b: 2\n",
    ],
)
def test_a_tab_that_yaml_allows_is_no_mistake(text: str) -> None:
    """In lines that hold nothing else or a comment, and at the end of a line."""
    node = parse_yaml(text, "f.yaml")
    assert isinstance(node, Mapping) and [key.text for key, _ in node.items] == ["a", "b"]


def test_tabs_inside_of_texts_stay() -> None:
    """Also where another one was passed over."""
    node = parse_yaml("a: |\n  x\t\n  \t\n\t\nb: 2\n\t\nc: 3\n", "f.yaml")
    assert isinstance(node, Mapping)
    found = node.get("a")
    assert isinstance(found, Scalar) and found.text == "x\t\n\t\n"


def test_a_tab_that_indents_is_refused() -> None:
    """With what to do instead."""
    with pytest.raises(ConfigError, match="indent with spaces"):
        parse_yaml("a:\n\tb: 1\n", "f.yaml")
