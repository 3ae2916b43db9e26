"""Addresses in texts that configure a service: URLs, data source names, host:port, lists of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Scheme to the port that it means where none is written. Only plain HTTP is spoken by the harness as well.
SCHEMES: dict[str, int | None] = {
    **{"http": 80, "ws": 80, "https": 443, "wss": 443, "grpc": None, "grpcs": None, "tcp": None},
    **{"postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mongodb": 27017},
    **{"sqlserver": 1433, "redis": 6379, "rediss": 6379, "valkey": 6379, "memcached": 11211},
    **{"amqp": 5672, "amqps": 5671, "nats": 4222, "kafka": 9092, "mqtt": 1883, "zookeeper": 2181},
}
KNOWN_PORTS = frozenset(port for port in SCHEMES.values() if port not in (None, 80))
_BETWEEN = re.compile(r"[\s,;|\"'`()\[\]{}=]+")
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9.-]*)(?:\+[a-z0-9_]+)?://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?::(?P<port>\d{1,5}))?")
_KEYWORDS = re.compile(r"(?<![\w-])(?:host|server)\s*=\s*'?(?P<host>[\w.-]+)'?", re.IGNORECASE)
_KEYWORD_PORT = re.compile(r"(?<![\w-])port\s*=\s*'?(?P<port>\d{1,5})'?", re.IGNORECASE)
# What a variable or an option is called whose whole value is the name of a host.
_NAMES_A_HOST = re.compile(
    r"(?P<stem>.*?)_?(?:HOST|HOSTNAME|HOSTS|SERVER|SERVERS|ADDR|ADDRESS|ENDPOINT|BROKER|BROKERS|NODE|NODES"
    r"|URL|URI|UPSTREAM|BACKEND|SERVICE)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """A host that a text names, with the port and scheme that stand beside it. `shown` is the address without
    login, path and query: a text of others may hold secrets."""

    host: str
    port: int | None = None
    scheme: str = ""

    @property
    def shown(self) -> str:
        scheme = f"{self.scheme}://" if self.scheme else ""
        return f"{scheme}{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def speaks_http(self) -> bool | None:
        """Whether plain HTTP is spoken there; None where nothing says so."""
        if self.scheme:
            return self.scheme == "http"
        return False if self.port in KNOWN_PORTS else None


def addresses(text: str) -> Iterator[Address]:
    """Every address in a text. A word alone is not one: see `named_hosts`."""
    keyword = _KEYWORDS.search(text)
    if keyword is not None:
        beside = _KEYWORD_PORT.search(text)
        yield Address(keyword["host"].lower(), int(beside["port"]) if beside else None)
    scheme = ""
    for piece in _BETWEEN.split(text):
        url = _URL.search(piece)
        if url is not None:
            scheme = url["scheme"].lower()
        rest = url["rest"] if url is not None else piece
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        host = _HOST.fullmatch(authority)
        if host is not None and (url is not None or host["port"] is not None):
            port = int(host["port"]) if host["port"] else SCHEMES.get(scheme)
            yield Address(host["host"].lower(), port, scheme)
        if url is None or "/" in rest:  # after a path a comma begins something else
            scheme = scheme if url is None and host is not None else ""


def named_hosts(values: Mapping[str, str]) -> Iterator[tuple[str, Address]]:
    """(name, address) of the values that are the name of a host alone, as those of DB_HOST and PGHOST; the
    port is that of DB_PORT or PGPORT."""
    folded = {name.upper(): value for name, value in values.items()}
    for name, value in values.items():
        found, host = _NAMES_A_HOST.fullmatch(name), _HOST.fullmatch(value.strip())
        if found is None or host is None or host["port"] is not None:
            continue
        stem = found["stem"].upper()
        port = folded.get(f"{stem}_PORT") or folded.get(f"{stem}PORT") or ""
        yield name, Address(host["host"].lower(), int(port) if port.isdecimal() else None)


def options_of(words: Sequence[str]) -> dict[str, str]:
    """The options of a command with their values, as if they were variables: `--db-host db` is DB_HOST."""
    found: dict[str, str] = {}
    for word, following in pairwise((*words, "-")):
        name, sign, value = word.partition("=")
        if not name.startswith("-"):
            continue
        if not sign and not following.startswith("-"):
            value = following
        found[name.lstrip("-").replace("-", "_").replace(".", "_").upper()] = value
    return found
