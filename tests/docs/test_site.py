"""The site builds without a warning and loads nothing from elsewhere, its reference is whole."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from ci.schema_pages import page_of

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "docs" / "schemas"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """It can be read without a network: scripts, styles, fonts and pictures are its own."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    loads = re.compile(
        r"<(?:script|img|source)[^>]*\ssrc=\"?(https?:[^\s\">]*)|<link[^>]*href=\"?(https?:[^\s\">]*)"
    )
    found = {
        (page.name, address)
        for page in pages
        for tag in loads.finditer(page.read_text(encoding="utf-8"))
        if "canonical" not in tag[0]
        for address in tag.groups()
        if address
    }
    assert not found


def test_links_between_pages_lead_to_pages(site: Path) -> None:
    """What a page links to on the site is there, files outside of docs/ included."""
    lost = set()
    for page in site.rglob("*.html"):
        for link in re.findall(r"<a [^>]*href=\"?([^\s\">]+)", page.read_text(encoding="utf-8")):
            target = unescape(link).split("#")[0]
            if target and not re.match(r"\w+:", target) and not (page.parent / target).exists():
                lost.add((str(page.relative_to(site)), link))
    assert not {(page, link) for page, link in lost if page != "404.html"}


def test_a_scenario_that_a_page_names_is_shown(site: Path) -> None:
    """A link to a YAML file leads to a page with its text."""
    shown = site / "project" / "scenarios" / "smoke" / "charge_response_lost.yaml.html"
    assert "lost_response" in shown.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["scenario", "design", "suite", "system"])
def test_the_reference_has_every_key_of_a_file(kind: str) -> None:
    """Each key of the schema, of all objects in it, stands in a table of the page."""
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
    told = set(re.findall(r"^\| `([^`]+)` \|", page_of(kind, kind, schema), re.MULTILINE))
    owners = [schema, *(inner for inner in schema["$defs"].values() if "properties" in inner)]
    assert told >= {key for owner in owners for key in owner["properties"]}


def test_every_fault_kind_has_its_keys_in_the_reference() -> None:
    """Objects of one kind of many stand under their titles, with their own keys."""
    schema = json.loads((SCHEMAS / "scenario.schema.json").read_text(encoding="utf-8"))
    page = page_of("Scenario files", "scenario", schema)
    assert "[latency](#latency) or [bandwidth](#bandwidth)" in page
    for kind in schema["properties"]["faults"]["items"]["oneOf"]:
        section = page.partition(f"\n## {kind['title']}\n")[2].partition("\n## ")[0]
        assert all(f"| `{key}` |" in section for key in kind["properties"]), kind["title"]


def test_make_docs_is_the_documented_way() -> None:
    """The make target exists and builds strictly."""
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run([make, "-n", "docs"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "mkdocs build --strict" in done.stdout
