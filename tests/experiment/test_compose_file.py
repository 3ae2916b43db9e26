"""What is taken from a compose file."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment.compose_file import ComposeService, compose_service
from experiment.errors import ConfigError

COMPOSE = """\
services:
  orders:
    build: {context: code, dockerfile: Orders.Dockerfile}
    command: python -m orders --title "My shop"
    environment:
      - PAYMENTS_URL=http://payments:8080
      - FROM_OUTSIDE
  payments:
    image: payments:${PAYMENTS_VERSION:-1.2}
    command: ["serve", "$$HOME"]
    environment: {LIMIT: 10, MODE: "${MODE-strict}"}
  postgres: {image: "postgres:18", volumes: [data:/var/lib/postgresql]}
"""


def read(folder: Path, name: str, text: str = COMPOSE) -> ComposeService:
    (folder / "compose.yaml").write_text(text)
    return compose_service(folder / "system.yaml", name)


def test_image_build_command_and_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both notations of each; variables are replaced as compose does."""
    monkeypatch.setenv("FROM_OUTSIDE", "yes")
    monkeypatch.delenv("PAYMENTS_VERSION", raising=False)
    assert read(tmp_path, "orders") == ComposeService(
        build="code",
        dockerfile="Orders.Dockerfile",
        command=("python", "-m", "orders", "--title", "My shop"),
        environment={"PAYMENTS_URL": "http://payments:8080", "FROM_OUTSIDE": "yes"},
    )
    assert read(tmp_path, "payments") == ComposeService(
        image="payments:1.2", command=("serve", "$HOME"), environment={"LIMIT": "10", "MODE": "strict"}
    )


def test_the_shop_as_its_developers_start_it_can_be_read() -> None:
    """Its compose file is an ordinary one, with health checks, dependencies and volumes beside."""
    found = compose_service(Path(__file__).parents[2] / "examples" / "shop" / "system.yaml", "orders")
    assert found.build == "."
    assert found.environment["PAYMENTS_SEND_KEY"] == "false"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("order", COMPOSE, r'compose.yaml:2:3: found no service "order", expected a service of this file'),
        ("orders", "services: {orders: {image: [a]}}", "found a list, expected a text"),
        ("orders", "services: {orders: {environment: A=1}}", "expected a mapping or a list of NAME=VALUE"),
    ],
)
def test_a_compose_file_that_does_not_help_says_where(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    """The place is in the compose file, where the mistake is."""
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, name, text)


def test_a_missing_compose_file_is_named(tmp_path: Path) -> None:
    """The file that was looked for beside the system's file."""
    with pytest.raises(ConfigError, match=r"compose\.yaml"):
        compose_service(tmp_path / "system.yaml", "orders")
