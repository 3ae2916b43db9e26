"""compose.yaml brings up the system of system.yaml: it is generated, and this holds the two together."""

from __future__ import annotations

import json

from experiment.topology import load_system
from experiment.yaml_source import Mapping, read_yaml
from runtimes.containers.compose import as_yaml, generated
from runtimes.containers.recipes import SYSTEM


def test_the_committed_files_are_the_generated_ones() -> None:
    """After a change of the system or its design: python -m runtimes.containers.compose."""
    files = generated()
    committed = {"compose.yaml", *(f"compose/{path.name}" for path in (SYSTEM / "compose").iterdir())}
    assert committed == set(files), "run: python -m runtimes.containers.compose"
    stale = [name for name, text in files.items() if (SYSTEM / name).read_text() != text]
    assert not stale, f"{stale} are out of date; run: python -m runtimes.containers.compose"


def test_every_service_and_every_link_of_the_system_is_there() -> None:
    """Each service has a container, each link a proxy, and callers know only the proxies."""
    system = load_system(SYSTEM / "system.yaml")
    files = generated()
    root = read_yaml(SYSTEM / "compose.yaml")
    assert isinstance(root, Mapping)
    shown = root.get("services")
    assert isinstance(shown, Mapping)
    assert {key.text for key, _ in shown.items} == {*system.services, "toxiproxy"}
    proxies = json.loads(files["compose/toxiproxy.json"])
    assert {proxy["name"] for proxy in proxies} == {f"{link.caller}--{link.callee}" for link in system.links}
    for name, spec in system.services.items():
        if spec.module:
            links = json.loads(files[f"compose/{name}.json"])["links"]
            assert {link.callee for link in system.links if link.caller == name} == set(links)
            assert {link["host"] for link in links.values()} <= {"toxiproxy"}


def test_ports_are_published_on_loopback_only() -> None:
    """Nothing is reachable from other machines."""
    lines = [line for line in generated()["compose.yaml"].splitlines() if "ports:" in line]
    assert len(lines) == 5
    assert all('["127.0.0.1:' in line for line in lines)


def test_the_emitter_writes_what_a_yaml_parser_reads_back() -> None:
    """Mappings nest, long lists break into lines, and text is always quoted."""
    text = as_yaml({"a": {"b": "no: comment # here", "c": ["x" * 50, "y" * 50]}, "d": {}, "e": True})
    assert (
        text
        == f'a:\n  b: "no: comment # here"\n  c:\n    - "{"x" * 50}"\n    - "{"y" * 50}"\nd: {{}}\ne: true\n'
    )
