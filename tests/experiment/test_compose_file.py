"""What is taken from a compose file."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment.compose_file import ComposeService, Mount, compose_path, compose_service, read_compose
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
    return compose_service(folder / "compose.yaml", name)


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
    found = compose_service(Path(__file__).parents[2] / "examples" / "shop" / "compose.yaml", "orders")
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
        compose_service(compose_path(tmp_path / "system.yaml"), "orders")


FOREIGN = """\
x-common: &common
  restart: on-failure
  environment: &variables {LOG: info}
services:
  vote:
    <<: *common
    image: "vote:${TAG:?the release}"
    entrypoint: /start.sh --now
    environment: {<<: *variables, REDIS: "redis:6379", NESTED: "${A:-${B:-deep}}", GIVEN: "${TAG:+yes}"}
    env_file: [vote.env, {path: missing.env, required: false}]
    ports: ["127.0.0.1:8081:80/tcp", {target: 9000}, "5000-5001", "53:53/udp"]
    expose: ["80", 8125]
    volumes: [data:/data, "./conf:/etc/vote:ro", /cache, {type: tmpfs, target: /run}]
    tmpfs: /tmp
    depends_on: {redis: {condition: service_healthy}}
    links: ["redis:cache"]
    networks: {back: {aliases: [ballot]}}
    user: "1000"
    profiles: [web]
  redis:
    image: redis
    healthcheck: {test: redis-cli ping}
    container_name: the-redis
volumes: {data: {}}
"""


def test_what_others_write_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anchors and merge keys, files of variables, long and short forms: as compose reads them."""
    monkeypatch.setenv("TAG", "7")
    (tmp_path / "vote.env").write_text("# settings\nMODE='a # b'\nexport LEVEL=\"x\\ty\" # said\nLOG=debug\n")
    found = read(tmp_path, "vote", FOREIGN)
    assert (found.image, found.entrypoint) == ("vote:7", ("/start.sh", "--now"))
    assert found.environment == {
        "MODE": "a # b",
        "LEVEL": "x\ty",
        "LOG": "info",
        "REDIS": "redis:6379",
        "NESTED": "deep",
        "GIVEN": "yes",
    }
    assert found.ports == (80, 9000, 5000, 5001, 8125)
    assert found.mounts == (
        Mount("volume", "/data", "data"),
        Mount("bind", "/etc/vote", str(tmp_path / "conf"), read_only=True),
        Mount("volume", "/cache"),
        Mount("tmpfs", "/run"),
        Mount("tmpfs", "/tmp"),
    )
    assert (found.depends_on, found.links) == ({"redis": "service_healthy"}, {"cache": "redis"})
    assert (found.aliases, found.user, found.profiles) == (("ballot",), "1000", ("web",))
    redis = read_compose(tmp_path / "compose.yaml")["redis"]
    assert (redis.test, redis.aliases) == (("/bin/sh", "-c", "redis-cli ping"), ("the-redis",))


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("network_mode: host", "network_mode of web", "a network of its own"),
        ("privileged: true", "privileged of web", "cannot reach around"),
        ("deploy: {replicas: 3}", "3 replicas of web", "1: one container"),
        ("extra_hosts: ['db:10.0.0.5']", "extra_hosts of web", "lead past the proxies"),
        ("networks: {a: {ipv4_address: 10.1.1.1}}", "ipv4_address of web in the network a", "its name"),
        ("extends: {service: base}", "extends of web", "written out"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(
    line: str, found: str, expected: str, tmp_path: Path
) -> None:
    """A service that was started in another way than its file says would not be that service."""
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, "web", f"services:\n  web:\n    image: web\n    {line}\n")
    (problem,) = raised.value.problems
    assert (problem.found, problem.where.line) == (found, 4)
    assert expected in problem.expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services: {web: {image: '${TAG:?name a release}'}}", "the variable TAG, which is not set"),
        ("services: {web: {image: '$'}}", r"with a single \$"),
        ("services: {web: {image: '${TAG'}}", "that does not end"),
        ("services: {web: {image: a, env_file: no.env}}", "no readable file of variables"),
        ("services: {web: {image: a, ports: [a]}}", 'the port "a"'),
        ("services: {web: {image: a, depends_on: {b: {condition: never}}}}", 'the condition "never"'),
        ("services: {web: {image: a}}\nnetworks: {n: {enable_ipv6: true}}", "enable_ipv6 of the network n"),
    ],
)
def test_a_mistake_in_a_compose_file_is_said(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that must be set, a port that is none, a file that is not there."""
    monkeypatch.delenv("TAG", raising=False)
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, "web", text)


def test_secrets_that_are_files_are_mounted_and_others_are_refused(tmp_path: Path) -> None:
    """Read-only, where compose lays them."""
    text = """\
services:
  web:
    image: a
    secrets: [password, {source: key, target: tls.key}]
    configs: [{source: site, target: /etc/site}]
  other: {image: a, secrets: [token]}
secrets: {password: {file: ./p.txt}, key: {file: ./k.pem}, token: {environment: TOKEN}}
configs: {site: {file: site.conf}}
"""
    assert read(tmp_path, "web", text).mounts == (
        Mount("bind", "/run/secrets/password", str(tmp_path / "p.txt"), read_only=True),
        Mount("bind", "/run/secrets/tls.key", str(tmp_path / "k.pem"), read_only=True),
        Mount("bind", "/etc/site", str(tmp_path / "site.conf"), read_only=True),
    )
    with pytest.raises(ConfigError, match="the secret token, expected one that is a file"):
        read(tmp_path, "other", text)


def test_repeated_aliases_do_not_blow_a_file_up(tmp_path: Path) -> None:
    """What an alias repeats counts as if it were written out."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 8):
        bomb += f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n"
    with pytest.raises(ConfigError, match="more than 50,000 keys and values"):
        read(tmp_path, "web", bomb + "services: {web: {image: a}}\n")


def test_a_file_that_compose_would_lay_over_is_not_passed_over(tmp_path: Path) -> None:
    """Named in the system's file, the compose file is meant alone."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "compose.override.yaml").write_text("services: {}\n")
    with pytest.raises(ConfigError, match=r"compose\.override\.yaml beside compose\.yaml"):
        compose_path(tmp_path / "system.yaml")
    assert compose_path(tmp_path / "system.yaml", "compose.yaml") == tmp_path / "compose.yaml"


ENDING = """\
services:
  web: {image: web, depends_on: {migrate: {condition: service_completed_successfully}}}
  migrate: {image: web, command: migrate, depends_on: [db]}
  db: {image: db}
"""


def test_what_ends_before_others_start_is_a_job(tmp_path: Path) -> None:
    """It is no dependency that stays; one that is not there, or cannot be played, is refused."""
    found = read(tmp_path, "web", ENDING)
    assert (found.jobs, dict(found.depends_on)) == (("migrate",), {})
    with pytest.raises(ConfigError, match=r'found no service "migrate", for whose end web waits'):
        read(tmp_path, "web", ENDING.replace("  migrate:", "  other:"))
    with pytest.raises(ConfigError, match="found privileged of migrate"):
        read(tmp_path, "web", ENDING.replace("command: migrate", "privileged: true"))
