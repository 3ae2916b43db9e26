"""The engine is chosen as the docker command chooses it, and what is wrong with it is said."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.docker_engine import Door, EngineError, EngineGone, endpoint


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


def test_no_other_command_imports_docker() -> None:
    """The package is loaded when the containers runtime is used, and not before."""
    program = "import harness, execution.commands.live, sys; sys.exit('docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
