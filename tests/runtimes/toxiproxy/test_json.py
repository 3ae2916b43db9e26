"""Bodies are read with Go's leniency and Go's complaints, and written as Go writes them."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.toxiproxy.json_reader import JsonSyntaxError, JsonValue, Number, Object, read
from runtimes.toxiproxy.json_writer import single_precision, write

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def simple(value: JsonValue) -> object:
    """What `json.loads` would give."""
    match value:
        case Object():
            return {key: simple(member) for key, member in value.members}
        case list():
            return [simple(item) for item in value]
        case Number():
            return json.loads(value.literal)
    return value


@given(PLAIN)
def test_any_json_is_read_as_it_was_written(value: object) -> None:
    """Reading what was written gives the same value, however it is spaced."""
    for text in (json.dumps(value), json.dumps(value, indent=3, ensure_ascii=False)):
        assert simple(read(text.encode("utf-8", "surrogatepass"))) == value


@given(PLAIN)
def test_any_value_is_written_as_json(value: JsonValue) -> None:
    """What is written is JSON for the value, in ASCII quotes and without spaces between."""
    assert json.loads(write(value)) == value  # type: ignore[arg-type]


@given(st.binary())
def test_any_bytes_are_json_or_an_error(body: bytes) -> None:
    """No body breaks the reader in any other way than by its error."""
    with suppress(JsonSyntaxError):
        read(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'"a\xffb"', "a\ufffdb"),
        (b'"\xe2\x82"', "\ufffd\ufffd"),
        (b'"\\ud83d\xff"', "\ufffd\ufffd"),
        (b'"\xc3\xa9"', "é"),
    ],
)
def test_each_byte_that_is_no_utf_8_is_replaced(body: bytes, text: str) -> None:
    """As in Go: one replacement character a byte, inside of strings."""
    assert read(body) == text


def test_a_byte_that_is_no_utf_8_is_named() -> None:
    """The complaint names the byte that came, not what it was replaced by."""
    with pytest.raises(JsonSyntaxError, match="invalid character 'ÿ' looking for beginning of value"):
        read(b"\xff\xfe")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ('{"a": x}', 6),
        ('{"a" 1}', 5),
        ("[1 2]", 3),
        ('{"a": 1,\n}', 9),
        ('"a\tb"', 2),
        ('"a\\qb"', 3),
        ("[1", 2),
    ],
)
def test_a_mistake_is_found_where_it_is(text: str, at: int) -> None:
    """An error tells how many characters were right."""
    with pytest.raises(JsonSyntaxError) as error:
        read(text.encode())
    assert error.value.at == at


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "EOF"),
        ("  ", "EOF"),
        ("{", "unexpected EOF"),
        ('{"a', "unexpected EOF"),
        ("nope", "invalid character 'o' in literal null (expecting 'u')"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{1", "invalid character '1' looking for beginning of object key string"),
        ('{"a" 1', "invalid character '1' after object key"),
        ('{"a":1 2', "invalid character '2' after object key:value pair"),
        ("[1 2", "invalid character '2' after array element"),
        ('"\n', "invalid character '\\n' in string literal"),
        ('"\\x', "invalid character 'x' in string escape code"),
        ('"\\u12g', "invalid character 'g' in \\u hexadecimal character escape"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+x", "invalid character 'x' in exponent of numeric literal"),
        ("'", "invalid character '\\'' looking for beginning of value"),
        ("é", "invalid character 'Ã' looking for beginning of value"),
        ("[" * 10_001, "exceeded max depth"),
    ],
)
def test_syntax_errors_read_as_from_the_original(body: str, reason: str) -> None:
    """The reason is worded as Go's decoder words it."""
    with pytest.raises(JsonSyntaxError) as error:
        read(body.encode())
    assert str(error.value) == reason


@pytest.mark.parametrize("body", ['{"a": 1} trailing', '{"a": 1}{"b": 2}', ' \t\r\n{"a":1}\x00'])
def test_what_follows_the_first_value_is_ignored(body: str) -> None:
    """Only the first value of a body counts."""
    assert simple(read(body.encode())) == {"a": 1}


def test_keys_are_kept_in_order_and_twice() -> None:
    """Repeated keys are all there, for the last to win where it is used."""
    value = read(b'{"b": 1, "a": 2, "b": 3}')
    assert isinstance(value, Object)
    assert [key for key, _ in value.members] == ["b", "a", "b"]


def test_broken_text_is_replaced() -> None:
    """Bytes that are no UTF-8, and halves of surrogate pairs, become replacement characters."""
    assert read(b'"\xff"') == "\ufffd"
    assert read(b'"\\ud800x"') == "\ufffdx"
    assert read(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (0.5, "0.5"),
        (0.0, "0"),
        (7.0, "7"),
        (-2.5, "-2.5"),
        (1e-7, "1e-7"),
        (1e-6, "0.000001"),
        (0.1234567891, "0.12345679"),
        (16777217.0, "16777216"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (3.4e38, "3.4e+38"),
    ],
)
def test_a_toxicity_is_written_in_its_shortest_form(number: float, text: str) -> None:
    """As many digits as a 32-bit float needs, with an exponent from 1e21 and below 1e-6."""
    assert single_precision(number) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_written_toxicity_reads_back(number: float) -> None:
    """The text gives the same 32-bit float again."""
    assert struct.pack("f", float(single_precision(number))) == struct.pack("f", number)


def test_html_is_escaped() -> None:
    """Names cannot break out of a page they are shown in."""
    assert write("<&>\u2028\x01\x7f") == '"\\u003c\\u0026\\u003e\\u2028\\u0001\x7f"'
