"""Who calls whom, from compose files such as others write."""

from __future__ import annotations

from pathlib import Path

import pytest

from discovery.composed import Found, FoundLink, Mention, found_in
from discovery.first_files import entry_of
from execution.places import ROOT
from experiment.compose_file import read_compose

# Hosts stand in the code: only the order of starts tells who calls whom.
VOTES = """\
services:
  vote:
    build: ./vote
    depends_on: {redis: {condition: service_healthy}}
    healthcheck: {test: [CMD, curl, -f, "http://localhost"], interval: 15s}
    ports: ["8080:80"]
  result:
    build: ./result
    depends_on: {db: {condition: service_healthy}}
    ports: ["8081:80", "127.0.0.1:9229:9229"]
  worker:
    build: ./worker
    depends_on: {redis: {condition: service_healthy}, db: {condition: service_healthy}}
  redis: {image: "redis:alpine"}
  db: {image: "postgres:15-alpine", environment: {POSTGRES_USER: vote, POSTGRES_PASSWORD: secret}}
  seed: {build: ./seed, profiles: [seed], depends_on: {vote: {condition: service_healthy}}}
"""
# gRPC by host and port, a broker by a list, a database by host and port apart, shared settings by an anchor.
STORE = """\
x-common: &common
  KAFKA_BOOTSTRAP_SERVERS: broker:9092
  LOG_LEVEL: info
services:
  web:
    image: store/web
    environment: {<<: *common, CATALOGUE_ADDR: "catalogue:3550", API_URL: "http://api:3000/v1"}
    ports: ["80:8080"]
  api:
    image: store/api
    command: [serve, --db-host, maria, --db-port, "3306", --cache=redis://cache:6379/0]
    environment: {<<: *common}
  catalogue: {image: store/catalogue, environment: {PORT: "3550"}}
  broker:
    image: apache/kafka
    environment: {KAFKA_ADVERTISED_LISTENERS: "PLAINTEXT://broker:9092"}
  maria: {image: "mariadb:11", container_name: store-db}
  cache: {image: "valkey/valkey:8"}
"""


def found(folder: Path, text: str, *profiles: str) -> Found:
    path = folder / "compose.yaml"
    path.write_text(text, encoding="utf-8")
    return found_in(read_compose(path), profiles)


def told(links: tuple[FoundLink, ...]) -> list[tuple[str, int | None, bool | None, bool]]:
    return [(f"{link.caller} -> {link.callee}", link.port, link.http, link.sure) for link in links]


def test_where_texts_name_nobody_the_order_of_starts_is_a_guess(tmp_path: Path) -> None:
    """Ports come from images and health checks; a service of a profile is left out unless it is asked for."""
    votes = found(tmp_path, VOTES)
    assert told(votes.links) == [
        ("vote -> redis", 6379, False, False),
        ("result -> db", 5432, False, False),
        ("worker -> redis", 6379, False, False),
        ("worker -> db", 5432, False, False),
    ]
    assert votes.left_out == ("seed",)
    assert [(one.name, one.port, one.known_port, one.health, one.door) for one in votes.services][:3] == [
        ("vote", 80, True, "/", True),
        ("result", 80, True, "", True),
        ("worker", 8080, False, "", False),
    ]
    assert entry_of(votes).name == "vote"
    assert ("seed -> vote", 80, True, False) in told(found(tmp_path, VOTES, "seed").links)


def test_lists_pairs_options_and_merged_variables_name_callees(tmp_path: Path) -> None:
    """What says nothing of its protocol stays open; a broker's own address is not a link to itself."""
    store = found(tmp_path, STORE)
    assert told(store.links) == [
        ("web -> catalogue", 3550, None, True),
        ("web -> api", 3000, True, True),
        ("web -> broker", 9092, False, True),
        ("api -> broker", 9092, False, True),
        ("api -> cache", 6379, False, True),
        ("api -> maria", 3306, False, True),
    ]
    (maria,) = (link for link in store.links if link.callee == "maria")
    assert maria.mentions == (Mention("the option db-host of its command", "maria:3306"),)
    assert entry_of(store).name == "web"
    assert [f"{link.caller} -> {link.callee}" for link in store.reached("web")] == [
        "web -> catalogue",
        "web -> api",
        "web -> broker",
        "api -> broker",
        "api -> cache",
        "api -> maria",
    ]


def test_all_links_of_the_shop_are_found_in_its_own_compose_file() -> None:
    """The same nine that its system.yaml declares, and where each is called."""
    shop = found_in(read_compose(ROOT / "examples" / "shop" / "compose.yaml"))
    assert sorted(told(shop.links)) == [
        ("orders -> bus", 4222, False, True),
        ("orders -> payments", 8080, True, True),
        ("orders -> postgres", 5432, False, True),
        ("orders -> stock", 8080, True, True),
        ("payments -> postgres", 5432, False, True),
        ("stock -> bus", 4222, False, True),
        ("stock -> postgres", 5432, False, True),
        ("storefront -> orders", 8080, True, True),
        ("storefront -> stock", 8080, True, True),
    ]
    assert entry_of(shop).name == "storefront"


@pytest.mark.parametrize("variables", ['{URL: "http://api:1", OTHER: "http://api:2"}', '{A: "api:1,api:2"}'])
def test_a_second_port_of_a_callee_is_told(variables: str, tmp_path: Path) -> None:
    """A link has one port: what goes to the other one would pass its proxy by."""
    text = f"services: {{web: {{image: a, environment: {variables}}}, api: {{image: b}}}}"
    (link,) = found(tmp_path, text).links
    assert (link.port, link.other_ports) == (1, (2,))


def test_what_ends_is_no_service(tmp_path: Path) -> None:
    """A run starts it by itself, before what waits for it."""
    path = tmp_path / "compose.yaml"
    path.write_text(
        "services:\n"
        "  web: {image: w, depends_on: {job: {condition: service_completed_successfully}, db: {}}}\n"
        "  job: {image: w, environment: {DB: 'postgres://db/x'}}\n"
        "  db: {image: postgres}\n"
    )
    found = found_in(read_compose(path))
    assert [one.name for one in found.services] == ["web", "db"]
    assert (found.jobs, found.left_out) == (("job",), ())
