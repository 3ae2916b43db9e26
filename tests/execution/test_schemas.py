from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from execution.catalogue import default_catalogue
from execution.places import ROOT
from execution.schemas import FOLDER, of_files, published, text_of
from experiment.yaml_source import read_yaml
from tests.experiment.test_schema import plain

FILES = {
    "system": ["reference_system/system.yaml"],
    "design": ["reference_system/designs/*.yaml", "scenarios/planted_bugs/designs/*.yaml"],
    "scenario": ["scenarios/smoke/*.yaml", "scenarios/catalogue/*.yaml", "scenarios/planted_bugs/*.yaml"],
    "suite": ["scenarios/suites/*.yaml"],
}
ALL = [
    (kind, path) for kind, globs in FILES.items() for pattern in globs for path in sorted(ROOT.glob(pattern))
]


@pytest.mark.parametrize("name", published())
def test_the_published_schema_is_the_generated_one(name: str) -> None:
    """A change of a type is a change of its schema: `python -m execution.schemas` writes them again."""
    assert (FOLDER / name).read_text(encoding="utf-8") == text_of(published()[name])


def test_no_schema_is_published_that_nothing_generates() -> None:
    """The folder holds these files, what it says of itself, and nothing else."""
    assert {path.name for path in FOLDER.iterdir()} == {*published(), "README.md"}


@pytest.mark.parametrize(("kind", "path"), ALL, ids=[str(path.relative_to(ROOT)) for _, path in ALL])
def test_every_file_of_the_project_satisfies_its_schema(kind: str, path: Path) -> None:
    """What the loader takes, editors take too, with either version of YAML."""
    schema: dict[str, Any] = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    node = read_yaml(path)
    for newer in (False, True):
        jsonschema.Draft202012Validator(schema).validate(plain(node, newer))


def test_there_are_files_of_every_kind() -> None:
    """The test above looks at something."""
    assert {kind for kind, _ in ALL} == set(FILES)


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(place, description) of every property of the schema, at any depth."""

    def walk(part: object, at: str) -> Iterator[tuple[str, str]]:
        if isinstance(part, dict):
            properties = part.get("properties")
            if isinstance(properties, dict) and part.get("type") == "object":
                for name, one in properties.items():
                    shared = schema.get("$defs", {}).get(one.get("$ref", "").removeprefix("#/$defs/"), {})
                    yield f"{at}/{name}", one.get("description") or shared.get("description", "")
            for key, one in part.items():
                yield from walk(one, f"{at}/{key}")
        elif isinstance(part, list):
            for index, one in enumerate(part):
                yield from walk(one, f"{at}/{index}")

    return walk(schema, "")


@pytest.mark.parametrize("name", published())
def test_each_property_is_explained_by_a_sentence(name: str) -> None:
    """What an editor shows beside a key: it begins as a sentence, ends as one, and is no Python."""
    found = dict(_properties(published()[name]))
    assert len(found) > 5
    wrong = [
        f"{place}: {text!r}"
        for place, text in found.items()
        if not re.match(r"[A-Z`0-9]", text) or not text.endswith(".") or re.match(r"\w+\(", text)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_quantity_says_its_unit() -> None:
    """Beside what it means."""
    retry = published()["design.schema.json"]["$defs"]["Retry"]["properties"]
    assert retry["cap"]["description"] == "The longest pause. It takes a duration such as 250ms."
    budget = "The most retries, as a share of requests; without it, there is no limit."
    assert retry["budget"]["description"] == f"{budget} It takes a share such as 20%, or off."


def test_designs_of_another_system_have_its_own_schema() -> None:
    """Its links, services and switches; those of the reference system are unknown there."""
    shop = default_catalogue(ROOT / "examples" / "shop")
    made = of_files(shop.system())["design"]
    check = jsonschema.Draft202012Validator(made)
    files = set(shop.design_files().values())
    assert len(files) >= 2
    for path in files:
        check.validate(plain(read_yaml(path), True))
    assert not check.is_valid({"name": "x", "service_defaults": {"saga": True}})
    assert check.is_valid({"name": "x", "links": {"orders -> payments": {"timeout": "1s"}}})
    assert not check.is_valid({"name": "x", "links": {"billing -> payments": {"timeout": "1s"}}})
