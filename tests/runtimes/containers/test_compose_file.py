"""compose.yaml brings up the system of system.yaml: it is generated, and this holds the two together."""

from __future__ import annotations

import json
from typing import Any

import yaml

from experiment.topology import load_system
from experiment.yaml_source import Mapping, read_yaml
from measurement.properties import KINDS
from runtimes.containers.compose import as_yaml, generated
from runtimes.containers.recipes import SYSTEM


def test_the_committed_files_are_the_generated_ones() -> None:
    """After a change of the system or its design: python -m runtimes.containers.compose."""
    files = generated()
    below = [path for path in (SYSTEM / "compose").rglob("*") if path.is_file()]
    committed = {"compose.yaml", *(str(path.relative_to(SYSTEM)) for path in below)}
    assert committed == set(files), "run: python -m runtimes.containers.compose"
    stale = [name for name, text in files.items() if (SYSTEM / name).read_text() != text]
    assert not stale, f"{stale} are out of date; run: python -m runtimes.containers.compose"


def test_no_generated_file_tells_where_this_checkout_lies() -> None:
    """They are the same on every machine."""
    assert not [name for name, text in generated().items() if str(SYSTEM.parent) in text]


def composed() -> dict[str, Any]:
    """compose.yaml as compose reads it."""
    read = yaml.safe_load((SYSTEM / "compose.yaml").read_text())
    assert isinstance(read, dict)
    return read


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = composed()["services"]
    return found


def test_every_service_and_every_link_of_the_system_is_there() -> None:
    """Each service has a container, each link a proxy, and callers know only the proxies."""
    system = load_system(SYSTEM / "system.yaml", KINDS)
    files = generated()
    root = read_yaml(SYSTEM / "compose.yaml")
    assert isinstance(root, Mapping)
    shown = root.get("services")
    assert isinstance(shown, Mapping)
    assert {key.text for key, _ in shown.items} == {*system.services, "toxiproxy", "seed"}
    proxies = json.loads(files["compose/toxiproxy.json"])
    assert {proxy["name"] for proxy in proxies} == {f"{link.caller}--{link.callee}" for link in system.links}
    for name, spec in system.services.items():
        if spec.module:
            links = json.loads(files[f"compose/configs/{name}.json"])["links"]
            assert {link.callee for link in system.links if link.caller == name} == set(links)
            assert {link["host"] for link in links.values()} <= {"toxiproxy"}


def test_ports_are_published_on_loopback_only() -> None:
    """Nothing is reachable from other machines."""
    ports = [port for one in services().values() for port in one.get("ports", ())]
    system = load_system(SYSTEM / "system.yaml", KINDS)
    entries = {journey.entry for journey in system.journeys.values()}
    assert len(ports) == len(entries) + 1  # and Toxiproxy's
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_containers_have_the_rights_and_limits_that_they_have_in_a_run() -> None:
    """Read-only, without capabilities, not root, with limits of memory and processes; no way out."""
    for name, one in services().items():
        assert one["read_only"] and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["pids_limit"] == 512 and one["user"] not in ("", "0:0"), name
        assert one.get("mem_limit", 0) == (
            0 if name == "toxiproxy" else 2 * 2**30 if name in ("postgres", "bus") else 512 * 2**20
        ), name
    network = composed()["networks"]["default"]["driver_opts"]
    assert network == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


def test_services_start_after_what_they_call_is_healthy_and_are_then_seeded() -> None:
    """Whoever says `docker compose up` gets patients without another command."""
    healthy = {"condition": "service_healthy"}
    shown = services()
    system = load_system(SYSTEM / "system.yaml", KINDS)
    modules = [name for name, spec in system.services.items() if spec.module]
    for name in modules:
        assert shown[name]["depends_on"] == dict.fromkeys(("toxiproxy", "postgres", "bus"), healthy)
    assert shown["seed"]["depends_on"] == dict.fromkeys(modules, healthy)
    patients = json.loads(generated()["compose/population.json"])["patients"]
    assert patients[0]["id"] == "pat-00000" and patients[-1]["id"] == "pat-00199"


def test_every_file_that_a_container_mounts_is_there() -> None:
    """Docker makes a folder of what it does not find, and the service then fails to read it."""
    for one in services().values():
        for bind in one["volumes"]:
            source = bind.partition(":")[0]
            assert source.startswith("codeblue-") or (SYSTEM / source).exists(), bind


def test_the_emitter_writes_what_a_yaml_parser_reads_back() -> None:
    """Mappings nest, long lists break into lines, and text is always quoted."""
    text = as_yaml({"a": {"b": "no: comment # here", "c": ["x" * 50, "y" * 50]}, "d": {}, "e": True})
    assert (
        text
        == f'a:\n  b: "no: comment # here"\n  c:\n    - "{"x" * 50}"\n    - "{"y" * 50}"\nd: {{}}\ne: true\n'
    )
