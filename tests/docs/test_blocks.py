"""Every block of the documentation is read by what a reader would give it to."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from execution.catalogue import default_catalogue, read_system
from execution.places import ROOT
from experiment.attaching import load_allowed
from experiment.design import load_design
from experiment.scenario_file import load_scenario
from faults import KINDS

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "reference_system/README.md")),
    *sorted((ROOT / "reports" / "sample").glob("README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
# Pages whose YAML a test of their own reads, as whole files and as sections.
OF_OTHERS = {
    "docs/faults.md": "faults/test_documentation.py",
    "docs/load.md": "load/test_docs.py",
    "docs/properties.md": "measurement/properties/test_documentation.py",
    "docs/system_contract.md": "execution/test_system_contract.py",
    "docs/tutorial.md": "docs/test_tutorial.py",
    "docs/your_system.md": "execution/test_your_system.py",
}
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
SECTION = re.compile(r"^(?=[a-z_]+:)", re.MULTILINE)
OUTPUT = {"", "text", "console"}
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
PROGRAMS = {"codeblue", "git", "docker", "kubectl", "curl", "cd", ".", "export", "make", "cp", "mkdir"}
PYTHONS = {"python", "python3", ".venv/bin/python", ".venv/bin/pip"}
COMMAND = re.compile(r"^(?:\$ )?((?:make|codeblue|python3?|\.venv/bin/\w+) .*)$", re.MULTILINE)

Block = tuple[str, str, str]


def blocks() -> list[Block]:
    """(page, language, text) of all blocks; those without a fence have no language."""
    found: list[Block] = []
    for page in PAGES:
        name, text = str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")
        found += [(name, block[2], _flush(block[3])) for block in FENCE.finditer(text)]
        found += [(name, "", _flush(block)) for block in INDENTED.findall(FENCE.sub("", text))]
    return found


def _flush(text: str) -> str:
    """Without the indentation that all lines share."""
    lines = text.splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "".join(line[margin:] + "\n" for line in lines)


def named(block: Block) -> str:
    return f"{block[0]}-{block[2].strip().partition(chr(10))[0][:40]}"


def of(*languages: str) -> list[Block]:
    return [block for block in blocks() if block[1] in languages]


def sections(text: str) -> dict[str, str]:
    """Top-level key to its lines."""
    return {part.partition(":")[0]: part for part in SECTION.split(text) if part.strip()}


def test_each_block_has_a_reader() -> None:
    """A block in a language that no test below reads would be read by nobody before a user does."""
    assert {language for _, language, _ in blocks()} <= {"yaml", "json", "sql", "python", "sh", *OUTPUT}
    assert len(blocks()) > 80


def commands(text: str) -> list[str]:
    """The command lines of a block of output or of commands, without comments."""
    joined = text.replace("\\\n", " ")
    return [line.partition(" #")[0].strip() for line in COMMAND.findall(joined)]


@pytest.mark.parametrize("block", of("sh"), ids=named)
def test_shell_blocks_are_words_of_a_shell(block: Block) -> None:
    """A shell takes each as it stands, and each line begins with a program that a reader has."""
    done = subprocess.run(
        ["bash", "-n"], input=block[2], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    for line in block[2].replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            assert line.split()[0] in PROGRAMS | PYTHONS, f"{block[0]}: {line}"


@pytest.mark.parametrize("page", sorted({block[0] for block in of("sh", *OUTPUT)}))
def test_what_make_and_python_are_told_is_there(page: str) -> None:
    """Targets of the Makefile, modules of this project; `codeblue` is parsed by tests of the command line."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    shown = [line for where, _, text in of("sh", *OUTPUT) if where == page for line in commands(text)]
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    shown += re.findall(r"`((?:make|python) [^`\n]+)`", text)
    for line in shown:
        program, *words = line.split()
        if program == "make":
            asked = {word for word in words if "=" not in word and not word.startswith("-")}
            assert asked <= targets, f"{page}: make {asked - targets}"
        elif program in PYTHONS and words[:1] == ["-m"] and not words[1].isupper():  # a placeholder
            assert words[1] == "pip" or importlib.util.find_spec(words[1]), f"{page}: {line}"


@pytest.mark.parametrize("block", of("python"), ids=named)
def test_python_blocks_compile(block: Block) -> None:
    """Every block of Python is Python."""
    compile(block[2], block[0], "exec")


@pytest.mark.parametrize("block", of("json", "sql") or [("none", "json", "{}")], ids=named)
def test_json_and_sql_are_what_they_say(block: Block) -> None:
    """JSON is read, and a statement is complete; there may be none of them."""
    if block[1] == "json":
        json.loads(block[2])
    else:
        assert sqlite3.complete_statement(block[2])


@pytest.mark.parametrize("page", sorted(OF_OTHERS))
def test_pages_with_tests_of_their_own_are_read_there(page: str) -> None:
    """What is left to another test is named in it, and it looks for YAML."""
    text = (ROOT / "tests" / OF_OTHERS[page]).read_text(encoding="utf-8")
    assert Path(page).name in text and "yaml" in text


@pytest.mark.parametrize("block", [block for block in of("yaml") if block[0] not in OF_OTHERS], ids=named)
def test_yaml_is_read_by_what_it_is_for(block: Block, tmp_path: Path) -> None:
    """Scenarios, designs, sections of a system, files for attaching, workflows: none is only text."""
    page, _, text = block
    found = yaml.safe_load(text)
    if found is None:
        schema = re.search(r"\$schema=(\S+)", text)
        assert schema and (ROOT / "scenarios" / "smoke" / schema[1]).is_file(), page
        return
    reads(found, text, tmp_path)


def reads(found: Any, text: str, folder: Path) -> None:
    """Give it to the reader of its form. Raises what that reader raises."""
    if isinstance(found, list) or "jobs" in found:
        steps = (
            found if isinstance(found, list) else [s for job in found["jobs"].values() for s in job["steps"]]
        )
        workflow(found, steps)
    elif "include" in found:
        gitlab(found)
    elif "abort" in found or "phases" in found:
        scenario(text, folder)
    elif "extends" in found:
        (folder / "design.yaml").write_text(text, encoding="utf-8")
        load_design(folder / "design.yaml", default_catalogue().system())
    elif "highest_load" in found:
        (folder / "allow.yaml").write_text(text, encoding="utf-8")
        assert load_allowed(folder / "allow.yaml").highest_load
    else:
        section_of_a_system(found, text, folder)


def scenario(text: str, folder: Path) -> None:
    """A whole scenario, or keys that take the place of a real one's."""
    base = (ROOT / "scenarios" / "smoke" / "charge_response_lost.yaml").read_text(encoding="utf-8")
    whole = text if "phases:" in text else "".join((sections(base) | sections(text)).values())
    (folder / "scenario.yaml").write_text(whole, encoding="utf-8")
    load_scenario(folder / "scenario.yaml", default_catalogue().system(), KINDS)


def section_of_a_system(found: dict[str, Any], text: str, folder: Path) -> None:
    """Sections that take the place of those of the shop, or stand beside those of the reference system."""
    if "switches" in found:
        source, added = ROOT / "reference_system", text.partition("switches:\n")[2]
        whole = (source / "system.yaml").read_text(encoding="utf-8")
        assert whole.count("\nswitches:\n") == 1
        whole = whole.replace("\nswitches:\n", f"\nswitches:\n{added}")
    elif "attach" in found:
        source = ROOT / "examples" / "shop" / "attached"
        whole = attached(found["attach"], text)
    else:
        source = ROOT / "examples" / "shop"
        whole = (source / "system.yaml").read_text(encoding="utf-8")
        whole = "".join((sections(whole) | sections(text)).values())
    shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / source.name / "system.yaml").write_text(whole, encoding="utf-8")
    system = read_system(folder / source.name / "system.yaml")
    assert all(name in system.switches for name in found.get("switches", ()))


def attached(found: dict[str, Any], text: str) -> str:
    """The smallest system with the parts that an example says the places of: such an example names all."""
    links = [link.split(" -> ") for link in found.get("links", ())]
    places = found["services"]
    return (
        yaml.safe_dump(
            {
                "name": "tiny",
                "services": {name: {"title": name} for name in places},
                "links": [
                    {"caller": caller, "callee": callee, "protocol": "tcp"} for caller, callee in links
                ],
                "mixes": {"all": [{"journey": "look"}]},
                "journeys": {"look": {"entry": "orders", "request": {"method": "GET", "path": "/"}}},
            }
        )
        + text
    )


def workflow(found: Any, steps: list[dict[str, Any]]) -> None:
    """Steps that the service takes; our own action is given inputs that it has."""
    known = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    ours = [step for step in steps if re.match(r"\./$|OWNER/", step.get("uses", ""))]
    assert ours and all(set(step.get("with", {})) <= set(known) for step in ours)
    assert all(re.match(r"\./$|[\w.-]+/[\w.-]+@\S+$", step["uses"]) for step in steps)
    if isinstance(found, dict):
        asked = found["on"] if "on" in found else found[True]  # YAML 1.1 reads `on` as true
        assert set(asked) <= {"push", "pull_request", "schedule", "workflow_dispatch"}
        assert all({"runs-on", "steps"} <= set(job) for job in found["jobs"].values())
        if any(step.get("with", {}).get("sarif") for step in ours):
            assert found["permissions"]["security-events"] == "write"


def gitlab(found: dict[str, Any]) -> None:
    """The file that is included is there, with the job that is extended and the variables that are set."""
    known: dict[str, Any] = {}
    for include in found["include"]:
        known |= yaml.safe_load((ROOT / include["file"]).read_text(encoding="utf-8"))
    jobs = {name: job for name, job in found.items() if name != "include"}
    assert jobs
    for job in jobs.values():
        assert set(job["variables"]) <= set(known[job["extends"]]["variables"])
