"""Text from services and files, in every field of every document, in every format: shown, never obeyed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.reports.hostile import TOGETHER, documents

ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\U000e0000-\U000e0fff]"
)
COMMAND = re.compile(r"##[A-Za-z]*\[|^\s*::[^\n]*::", re.MULTILINE)
TAGS = re.compile(r"(?i)^(script|img|iframe|object|embed|link|base|form|input|foreignobject|animate|set)$")
OWN_ICON = ("link", {"rel": "icon", "href": "data:,"})  # keeps browsers from asking for one
OWN_SCRIPTS = [("script", {"type": "application/json", "class": "figures"}), ("script", {})]
LARGEST = 600_000  # characters of a document whose every field had 200,000


def made(name: str) -> dict[str, str]:
    return documents(TOGETHER[name])


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", TOGETHER)
def test_no_character_and_no_command_acts(name: str) -> None:
    """No document holds a control character or a mark of direction, and none a command of a pipeline but the
    annotations of the gate, which are whole lines of our own."""
    for form, text in made(name).items():
        assert not ACTING.search(text), form
        if form != "gate annotations":
            assert not COMMAND.search(text), form
    for line in made(name)["gate annotations"].splitlines():
        assert re.match(r"::(error|warning|notice) [^\n]*::", line) and "##[" not in line
        assert "stop-commands::" not in line.split("::", 2)[1]


@pytest.mark.parametrize("name", TOGETHER)
def test_pages_hold_no_element_and_no_attribute_of_others(name: str) -> None:
    """Text stays text: no element that loads or runs, no handler of events, no address but our own."""
    for form, text in made(name).items():
        if not form.endswith((".html", ".svg")):
            continue
        found = Elements(text).found
        if form == "run report.html":
            assert [one for one in found if one[0] == "script"] in ([], OWN_SCRIPTS)
            found = [one for one in found if one not in OWN_SCRIPTS]
        for tag, attributes in found:
            if (tag, attributes) == OWN_ICON:
                continue
            assert not TAGS.match(tag), (form, tag)
            assert not [key for key in attributes if key.startswith("on")], form
            for key in ("href", "src", "action", "xlink:href"):
                value = attributes.get(key) or ""
                assert not re.match(r"(?i)\s*(javascript|data|https?):", value), (form, tag, value[:80])


@pytest.mark.parametrize("name", TOGETHER)
def test_documents_for_programs_stay_well_formed(name: str) -> None:
    """JSON and SARIF can be decoded, JUnit parsed; no entity is declared."""
    for form, text in made(name).items():
        if form.endswith((".json", ".sarif")):
            json.loads(text)
        elif form.endswith(".xml"):
            assert "<!" not in text.replace("<!DOCTYPE svg", "")
            ElementTree.fromstring(text)


@pytest.mark.parametrize("name", TOGETHER)
def test_markdown_links_and_embeds_nothing(name: str) -> None:
    """Outside of code there is no HTML, no image, no mention, and no link but to pages of our own."""
    for form, text in made(name).items():
        if not form.endswith(".md"):
            continue
        outside = re.sub(r"(?<!\\)(`+).*?(?<!`)\1(?!`)", "", re.sub(r"(?s)```sh\n.*?\n```", "", text))
        assert "<" not in outside, form
        own = r"#|(?!/)[\w.~/%-]+\)"  # a place on the page, or a page below: no scheme, no other host
        assert not re.search(rf"(?<!\\)\]\((?!{own})", outside), form
        assert not re.search(r"://(?!\u200b)|www\.(?!\u200b)", outside), form
        assert not re.search(r"@\w", outside), form


def test_no_document_grows_with_the_text() -> None:
    """200,000 characters in every field are cut, and their number is told."""
    for form, text in made("long").items():
        assert len(text) < LARGEST, form
    assert "(200,000 characters)" in made("long")["run report.txt"]
