"""docs/system_contract.md and the example folder: what they show can be read as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from execution.catalogue import default_catalogue, read_system
from execution.places import ROOT
from experiment.design import load_design
from experiment.services import CONTRACT, OF_DATABASE, OF_LINK, OWN
from experiment.suite import load_suite
from experiment.topology import System

PAGE = (ROOT / "docs" / "system_contract.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^(?=[a-z_]+:)", re.MULTILINE)
CLIENT = (
    "from experiment.workload import Request\n\nREQUESTS = {'order': lambda op, known: Request('GET', '/')}\n"
)


def sections(text: str) -> dict[str, str]:
    """Top-level key to its lines."""
    return {part.partition(":")[0]: part for part in SECTION.split(text) if part.strip()}


def folder(where: Path) -> Path:
    """The files that the examples name."""
    for name in ("front", "back", "workload/twin"):
        (where / name).mkdir(parents=True)
    (where / "front" / "Dockerfile").write_text("FROM scratch\n")
    (where / "workload" / "client.py").write_text(CLIENT)
    (where / "workload" / "twin" / "__init__.py").write_text("MODELS = {}\n")
    return where / "system.yaml"


def with_example(where: Path, example: str) -> System:
    """The smallest system of the page, with the sections of one example added or replaced."""
    path = folder(where)
    path.write_text("".join((sections(EXAMPLES[0]) | sections(example)).values()))
    return read_system(path)


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.strip().partition("\n")[0] for one in EXAMPLES])
def test_every_example_of_the_page_is_read(example: str, tmp_path: Path) -> None:
    """As it stands, on the smallest system: nobody copies a mistake."""
    assert with_example(tmp_path, example).name == "tiny"


def test_the_design_of_the_page_sets_the_switches_of_the_page(tmp_path: Path) -> None:
    """The file that stands between the sections, beside the switches that it sets."""
    switches = next(one for one in EXAMPLES if one.startswith("switches:"))
    [design] = re.findall(r"(?:^    .*\n)+", PAGE[PAGE.index("A design then says:") :], re.MULTILINE)[:1]
    system = with_example(tmp_path, switches)
    path = tmp_path / "careful.yaml"
    path.write_text(re.sub(r"^    ", "", design, flags=re.MULTILINE))
    careful = load_design(path, system)
    assert careful.links["front -> back"].timeout == 0.5
    assert careful.services["front"]["send_key"] is True


def test_the_page_names_every_endpoint_and_every_placeholder() -> None:
    """A new one that nobody can look up would be none."""
    endpoints = type(CONTRACT).__dataclass_fields__
    missing = [name for name in endpoints if f"| `{name}` |" not in PAGE]
    missing += [name for name in OWN if f"`{{{name}}}`" not in PAGE]
    missing += [name for name in (*OF_LINK, *OF_DATABASE) if f"`{{callee.{name}}}`" not in PAGE]
    assert not missing


def test_the_shop_and_all_its_files_are_read() -> None:
    """The example folder is what the page promises: it brings no Python for the harness."""
    catalogue = default_catalogue(ROOT / "examples" / "shop")
    system = catalogue.system()
    assert system.workload.client == system.workload.twin == ""
    assert all(service.foreign for service in system.services.values() if service.is_code)
    for name in catalogue.scenario_files():
        catalogue.scenario(name, system)
    for name in catalogue.design_files():
        catalogue.design(name, system)
    words = "codeblue|code blue|toxiproxy|chaos|harness"
    told = [
        f"{path.name}: {found.group(0)}"
        for path in (ROOT / "examples" / "shop").rglob("*")
        if path.suffix in (".py", ".txt", ".sql") or path.name in ("Dockerfile", "compose.yaml")
        for found in re.finditer(words, path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    assert not told


def test_the_suites_of_the_page_are_read_and_one_is_a_part_of_the_other(tmp_path: Path) -> None:
    """The files that the section on suites shows, by their names."""
    section = PAGE[PAGE.index("## Suites") : PAGE.index("## Python of your own")]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    found = []
    for block in blocks:
        text = re.sub(r"^    ", "", block, flags=re.MULTILINE)
        path = tmp_path / Path(text.partition("\n")[0].removeprefix("# ")).name
        path.write_text(text)
        found.append(load_suite(path))
    full, part = found
    assert [entry.design for entry in full.entries] == ["as_it_is", "careful"]
    assert (part.part_of, part.covers.causes) == (full.name, (1,))
