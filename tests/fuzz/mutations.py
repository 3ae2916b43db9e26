"""Mutations of valid files: pieces are cut out, repeated, turned round or replaced by words that may hurt."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st

WORDS = [
    *(
        b"null",
        b"~",
        b"nan",
        b".inf",
        b"-1",
        b"0",
        b"1e999",
        b"9" * 30,
        b"9" * 5000,
        b"true",
        b"[]",
        b"{}",
        b"''",
    ),
    *(
        b"[",
        b"{",
        b"]",
        b"}",
        b":",
        b"- ",
        b"? ",
        b"&a ",
        b"*a",
        b"!!x ",
        b"<<",
        b"#",
        b"|",
        b">",
        b"%",
        b"---\n",
    ),
    *(
        b"\x00",
        b"\xff",
        b"\x1b",
        b"\xe2\x80\xae",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\r",
        b"\t",
        b"\n",
        b'"',
    ),
    *(
        b"400h",
        b"0s",
        b"-5s",
        b">= 0%",
        b"a -> b",
        b"[" * 50,
        b'{"a":' * 50,
        b"\\u0000",
        b"\\ud800",
        b"1:30",
        b"0o17",
    ),
]


@st.composite
def mutated(draw: st.DrawFn, files: Sequence[bytes]) -> bytes:
    """One of the files after one to six changes; now and then bytes that are no file at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=400))
    content = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        piece = content[start:end]
        at = draw(st.integers(0, len(content)))
        new = draw(
            st.sampled_from(WORDS)
            | st.just(b"")
            | st.just(piece * 3)
            | st.just(piece[::-1])
            | st.binary(max_size=8)
            | st.just(content[at : at + 30])
        )
        content = content[:start] + new + content[end:]
    return content
