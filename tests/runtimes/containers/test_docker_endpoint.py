"""The engine is chosen as the docker command chooses it, and what is wrong with it is said."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import docker.errors
import pytest

from runtimes.docker_engine import Door, EngineError, EngineGone, check_endpoint, endpoint


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the docker command with nothing in it."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def add_context(home: Path, name: str, host: str) -> None:
    """As `docker context create` writes it."""
    folder = home / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(meta))


def test_without_any_choice_it_is_the_local_socket() -> None:
    """The place where an engine listens by itself."""
    assert endpoint().endswith("/var/run/docker.sock")


def test_docker_host_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats every context."""
    add_context(home, "there", "unix:///there.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "there")
    monkeypatch.setenv("DOCKER_HOST", "unix:///here.sock")
    assert endpoint() == "unix:///here.sock"


def test_a_context_is_taken_by_name_or_as_the_current_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOCKER_CONTEXT beats the current context of the configuration."""
    add_context(home, "there", "unix:///there.sock")
    add_context(home, "yonder", "unix:///yonder.sock")
    (home / "config.json").write_text('{"currentContext": "there"}')
    assert endpoint() == "unix:///there.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "yonder")
    assert endpoint() == "unix:///yonder.sock"


def test_an_unknown_context_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not silently replaced by the default."""
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(EngineError, match="nowhere"):
        endpoint()


def test_an_engine_that_does_not_answer_is_named_with_its_address(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was looked for, by whose choice, and why it failed."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/none.sock")
    with pytest.raises(
        EngineGone, match=r"no Docker engine answers at unix://.*none\.sock \(greet .*DOCKER_HOST"
    ):
        Door()


@pytest.mark.parametrize("host", ["ssh://far", "tcp://10.9.8.7:2375", "https://engine.example:2376"])
def test_an_engine_elsewhere_is_refused_before_anything_is_sent(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Front doors are published on the engine's loopback: another machine's is out of reach."""
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr("docker.APIClient", None)
    told = rf"{host} \(from DOCKER_HOST\) is on another machine.*unset DOCKER_HOST"
    with pytest.raises(EngineError, match=told):
        Door()


@pytest.mark.parametrize("host", ["foo", "/var/run/docker.sock", "unix://", "tcp://", "ftp://127.0.0.1"])
def test_what_is_no_endpoint_is_refused_with_the_right_form(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found, where it was set, what is expected."""
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError, match=rf'found the Docker endpoint "{host}".*expected unix:///'):
        Door()


@pytest.mark.parametrize(
    "host", ["tcp://127.0.0.1:2375", "tcp://localhost:2375", "tcp://[::1]:2375", "unix:///x"]
)
def test_engines_of_this_machine_may_be_named_in_every_way(host: str) -> None:
    """By socket or by a loopback address."""
    check_endpoint(host, "DOCKER_HOST")


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (FileNotFoundError(2, "No such file or directory"), "start Docker Engine"),
        (ConnectionRefusedError(111, "Connection refused"), "start Docker Engine"),
        (PermissionError(13, "Permission denied"), "group docker"),
    ],
    ids=str,
)
def test_an_engine_that_cannot_be_reached_is_told_with_the_mend(
    reason: OSError, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reason has another thing to do about it."""

    def refuse(*_: object, **__: object) -> None:
        raise docker.errors.DockerException(f"Error while fetching server API version: {reason!r}")

    monkeypatch.setattr("docker.APIClient", refuse)
    with pytest.raises(EngineGone, match=rf"{reason.strerror}; .*{hint}"):
        Door()


def test_no_other_command_imports_docker() -> None:
    """The package is loaded when the containers runtime is used, and not before."""
    program = "import harness, execution.commands.session, sys; sys.exit('docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
