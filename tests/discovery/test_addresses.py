"""Hosts and ports in the texts that configure services."""

from __future__ import annotations

import pytest

from discovery.addresses import Address, addresses, named_hosts, options_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://orders:8080", ["http://orders:8080"]),
        ("https://orders/v1?next=http://stock:81/x", ["https://orders:443", "http://stock:81"]),
        ("postgresql+psycopg://shop:secret@postgres/orders", ["postgresql://postgres:5432"]),
        ("jdbc:postgresql://db/x", ["postgresql://db:5432"]),
        ("host=postgres port=5433 user=x password=secret", ["postgres:5433"]),
        ("Server=db;Database=shop;Password=secret", ["db"]),
        ("user:secret@tcp(mysql:3306)/shop", ["mysql:3306"]),
        ("amqp://guest:guest@rabbitmq", ["amqp://rabbitmq:5672"]),
        ("redis://:secret@redis:6379/0", ["redis://redis:6379"]),
        ("kafka1:9092,kafka2:9093", ["kafka1:9092", "kafka2:9093"]),
        ("nats://a:4222,nats://b:4222", ["nats://a:4222", "nats://b:4222"]),
        ("mongodb://u:secret@m1,m2:27018/db", ["mongodb://m1:27017", "mongodb://m2:27018"]),
        ("--url=http://x:1", ["http://x:1"]),
        ("PLAINTEXT://kafka:29092", ["plaintext://kafka:29092"]),
        ("catalogue:3550", ["catalogue:3550"]),
        ("postgres", []),
        ("", []),
    ],
)
def test_every_usual_notation_is_read_and_no_login_is_kept(text: str, shown: list[str]) -> None:
    """A scheme gives the port that it means; what is no address is none."""
    found = [address.shown for address in addresses(text)]
    assert found == shown
    assert "secret" not in "".join(found)


def test_a_host_alone_is_told_by_the_name_of_its_variable() -> None:
    """Its port stands in the variable beside it; the name of a database is not one of a host."""
    values = {"PGHOST": "db", "PGPORT": "5433", "REDIS_HOST": "redis", "POSTGRES_DB": "orders", "DB": "db"}
    assert list(named_hosts(values)) == [("PGHOST", Address("db", 5433)), ("REDIS_HOST", Address("redis"))]


def test_options_of_a_command_are_read_as_variables_are() -> None:
    """In both notations; an option without a value has none."""
    words = ("serve", "--db-host", "db", "--db-port=5433", "-v", "--quiet", "-x")
    assert options_of(words) == {"DB_HOST": "db", "DB_PORT": "5433", "V": "", "QUIET": "", "X": ""}


@pytest.mark.parametrize(
    ("address", "http"),
    [
        (Address("a", 80, "http"), True),
        (Address("a", 443, "https"), False),
        (Address("a", 5432), False),
        (Address("a", 3550), None),
    ],
)
def test_plain_http_is_claimed_only_where_a_text_says_so(address: Address, http: bool | None) -> None:
    """A port of its own tells nothing, one that is another protocol's does."""
    assert address.speaks_http is http
