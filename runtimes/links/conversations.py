"""The least that the harness must speak of each protocol to measure a round trip over a link.

A conversation is one connection. `exchange` sends a question and waits for the whole answer; a payload
makes both directions carry at least that many bytes, as far as the protocol allows it.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from experiment import links
from experiment.access import shown
from experiment.services import Endpoints
from runtimes.links.scram import Scram
from runtimes.links.traffic import ProbeAccount, probe_source
from runtimes.postgres import PROBE
from runtimes.runtime import Address


class NoAnswer(Exception):
    """The answer did not come within the deadline; the connection is still open."""


class Broken(Exception):
    """The connection is refused, reset or closed; the message says which."""


class NotAsked(Exception):
    """Nothing could be asked on a connection that was used before; it says nothing of the link."""


class Conversation(Protocol):
    """One connection that can be asked again and again. The first question is preceded by what the protocol
    wants at the start of a session, which is not counted. `exchange` gives seconds; it raises NoAnswer,
    Broken, NotAsked."""

    def exchange(self, deadline_s: float, payload_bytes: int = 0) -> float: ...
    def is_open(self) -> bool: ...
    def close(self) -> None: ...


class _Wire:
    """A socket with one deadline for a whole exchange. What it sends is put into the account of probes."""

    def __init__(self, opener: Opener, deadline_s: float) -> None:
        self._pending = b""
        self._account = opener.account
        address = opener.address
        try:
            self._socket = socket.create_connection(
                (address.host, address.port), deadline_s, probe_source(address)
            )
        except TimeoutError:
            raise NoAnswer(f"no connection to {address} within {deadline_s:g} s") from None
        except OSError as error:
            raise Broken(f"no connection to {address}: {error.strerror or error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, content: bytes, end: float) -> None:
        self._socket.settimeout(max(0.001, end - time.monotonic()))
        self._account.sent += len(content)
        try:
            self._socket.sendall(content)
        except TimeoutError:
            raise NoAnswer("the question could not be sent within the deadline") from None
        except OSError as error:
            raise Broken(error.strerror or str(error)) from None

    def more(self, end: float) -> bytes:
        """At least one byte more. Raises NoAnswer, Broken."""
        self._socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            content = self._socket.recv(65_536)
        except TimeoutError:
            raise NoAnswer("no answer within the deadline") from None
        except OSError as error:
            raise Broken(error.strerror or str(error)) from None
        if not content:
            raise Broken("closed by the other side")
        return content

    def take(self, cut: Callable[[bytes], int], end: float) -> bytes:
        """Read until `cut` finds the length of a whole message at the start; the rest stays for the next."""
        while not (length := cut(self._pending)):
            self._pending += self.more(end)
        message, self._pending = self._pending[:length], self._pending[length:]
        return message

    def is_open(self) -> bool:
        """Whether the other side has not closed it; unread bytes are kept."""
        self._socket.setblocking(False)
        try:
            content = self._socket.recv(65_536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._pending += content
        return bool(content)

    def close(self) -> None:
        self._socket.close()


class _Http:
    """GET of a short answer; with a payload, pipelined GETs of a longer one with a long header, for bytes in
    both directions. Any answer will do, also one that there is no such path.

    Answers are counted: one that comes after its deadline is not taken for the answer of a later question.
    """

    def __init__(self, opener: Opener, deadline_s: float) -> None:
        self._wire = _Wire(opener, deadline_s)
        self._shown = "".join(f"{name}: {value}\r\n" for name, value in shown(opener.key).items())
        self._paths = opener.paths
        self._owed = 0
        self._long_bytes = 0

    def exchange(self, deadline_s: float, payload_bytes: int = 0) -> float:
        start = time.monotonic()
        end = start + deadline_s
        path, rounds, padding = self._paths.short, 1, 0
        if payload_bytes:
            if not self._long_bytes:
                self._long_bytes = len(self._ask(self._paths.long, 1, 0, end))
            start = time.monotonic()
            path = self._paths.long
            rounds = -(-payload_bytes // self._long_bytes)
            padding = -(-payload_bytes // rounds)
        self._ask(path, rounds, padding, end)
        return time.monotonic() - start

    def _ask(self, path: str, rounds: int, padding: int, end: float) -> bytes:
        head = (
            f"GET {path} HTTP/1.1\r\nhost: probe\r\nx-caller: harness\r\n{self._shown}"
            f"x-padding: {'x' * padding}\r\n\r\n"
        )
        answer = b""
        for burst in range(0, rounds, 8):  # a server stops reading while many questions wait
            count = min(8, rounds - burst)
            self._owed += count
            self._wire.send(head.encode() * count, end)
            while self._owed:
                answer = self._wire.take(_http_answer, end)
                self._owed -= 1
        return answer

    def is_open(self) -> bool:
        return self._wire.is_open()

    def close(self) -> None:
        self._wire.close()


@dataclass(frozen=True, slots=True)
class HttpPaths:
    """What is asked of a callee over HTTP: something with a short answer, and something with a longer one."""

    short: str = "/health"
    long: str = "/metrics"


def http_paths(control: Endpoints) -> HttpPaths:
    """Of a service with these control endpoints; where it has none, any path is answered in some way."""
    short = control.health or control.ready or "/"
    return HttpPaths(short, control.metrics or short)


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def _http_answer(content: bytes) -> int:
    head = content.find(b"\r\n\r\n") + 4
    if head < 4:
        return 0
    if _CHUNKED.search(content, 0, head):
        end = content.find(b"\r\n0\r\n\r\n", head - 2)
        return 0 if end < 0 else end + 7
    length = _LENGTH.search(content, 0, head)
    whole = head + (int(length.group(1)) if length else 0)
    return whole if len(content) >= whole else 0


class _Postgres:
    """A session of the role that owns nothing: an empty query, or one that answers as many bytes as it has.

    `brief` asks only whether TLS is spoken, once: one byte comes back, and no session is made.
    """

    def __init__(self, opener: Opener, deadline_s: float, *, brief: bool) -> None:
        self._wire = _Wire(opener, deadline_s)
        self._login = Scram(opener.key)
        self._brief = brief
        self._in_session = False
        self._owed = 0

    def exchange(self, deadline_s: float, payload_bytes: int = 0) -> float:
        start = time.monotonic()
        end = start + deadline_s
        if self._brief and not payload_bytes:
            self._wire.send(b"\0\0\0\x08\x04\xd2\x16\x2f", end)
            self._wire.take(lambda content: 1 if content else 0, end)
            return time.monotonic() - start
        if not self._in_session:
            body = b"\0\3\0\0user\0" + PROBE.encode() + b"\0database\0" + PROBE.encode() + b"\0\0"
            self._in_session = True
            self._owed += 1
            self._wire.send((len(body) + 4).to_bytes(4) + body, end)
        self._until_ready(end)
        start = time.monotonic()
        query = f"SELECT repeat('x', {payload_bytes}) --{'x' * payload_bytes}" if payload_bytes else ""
        body = query.encode() + b"\0"
        self._owed += 1
        self._wire.send(b"Q" + (len(body) + 4).to_bytes(4) + body, end)
        self._until_ready(end)
        return time.monotonic() - start

    def _until_ready(self, end: float) -> None:
        while self._owed:
            message = self._wire.take(_postgres_message, end)
            if message[:1] == b"E":
                raise Broken(message[5:].replace(b"\0", b" ").decode("utf-8", "replace").strip())
            if message[:1] == b"R" and (answer := self._login.answer(message)):
                self._wire.send(answer, end)
            self._owed -= message[:1] == b"Z"

    def is_open(self) -> bool:
        return self._wire.is_open()

    def close(self) -> None:
        self._wire.close()


def _postgres_message(content: bytes) -> int:
    if len(content) < 5:
        return 0
    length = 1 + int.from_bytes(content[1:5])
    return length if len(content) >= length else 0


class _Nats:
    """PING and PONG; with a payload, a message to a subject of its own, which comes back.

    `brief` counts the first PING, which is sent with the greeting.
    """

    def __init__(self, opener: Opener, deadline_s: float, *, brief: bool) -> None:
        self._wire = _Wire(opener, deadline_s)
        self._options = {"verbose": False, "pedantic": False, "name": "codeblue-probe"}
        if opener.key:
            self._options["auth_token"] = opener.key
        self._brief = brief
        self._subject = f"codeblue.probe.{secrets.token_hex(8)}".encode()
        self._in_session = False
        self._owed = 0

    def exchange(self, deadline_s: float, payload_bytes: int = 0) -> float:
        end = time.monotonic() + deadline_s
        if not self._in_session:
            connect = b"CONNECT %b\r\nPING\r\n" % json.dumps(self._options).encode()
            self._in_session = True
            self._owed += 1
            start = time.monotonic()
            self._wire.send(connect, end)
            if self._brief and not payload_bytes:
                self._until_pong(end)
                return time.monotonic() - start
        self._until_pong(end)
        question = b""
        if payload_bytes:
            pieces = [min(500_000, payload_bytes - at) for at in range(0, payload_bytes, 500_000)]
            question = b"SUB %b 1\r\n" % self._subject
            question += b"".join(b"PUB %b %d\r\n%b\r\n" % (self._subject, n, b"x" * n) for n in pieces)
            question += b"UNSUB 1\r\n"
        self._owed += 1
        start = time.monotonic()
        self._wire.send(question + b"PING\r\n", end)
        self._until_pong(end)
        return time.monotonic() - start

    def _until_pong(self, end: float) -> None:
        while self._owed:
            line = self._wire.take(_line, end)
            if line.startswith(b"MSG"):
                self._wire.take(_exactly(int(line.split()[-1]) + 2), end)
            elif line.startswith(b"PING"):
                self._wire.send(b"PONG\r\n", end)
            elif line.startswith(b"-ERR"):
                raise Broken(line.decode("utf-8", "replace").strip())
            self._owed -= line.startswith(b"PONG")

    def is_open(self) -> bool:
        return self._wire.is_open()

    def close(self) -> None:
        self._wire.close()


@dataclass(frozen=True, slots=True)
class Question:
    """What one kind of server answers to anybody, with any bytes. Nothing is asked of one that speaks first.
    `again`: the same connection may be asked once more."""

    content: bytes
    again: bool = False


# From the least to the most odd one for a server that speaks something else: it may close the connection.
GREETING = Question(b"")
QUESTIONS = (
    Question(b"PING\r\n", again=True),  # Redis, Valkey, NATS; memcached says ERROR
    Question(b"\0\0\0\x08\x04\xd2\x16\x2f"),  # PostgreSQL: whether it speaks TLS
    Question(b"AMQP\0\0\x09\x01"),  # RabbitMQ: its greeting
    Question(b"\0\0\0\x0e\0\x12\0\0\0\0\0\x01\0\x04harn", again=True),  # Kafka: which requests it knows
)
SPEAKS_WITHIN_S = 0.2


@dataclass(slots=True)
class Spoken:
    """What a callee was found to answer to; None as long as it is not known."""

    question: Question | None = None
    greets: bool = False
    """It speaks first: its greeting goes one way only, so that it is passed over where it answers, too."""


class _Tcp:
    """A protocol that the harness does not speak: any answer to what such servers answer to anybody.

    A proxy takes a connection before it reaches its callee, so that a connection alone says nothing of the
    link. Which question the callee answers is tried once, while nothing is wrong.
    """

    def __init__(self, opener: Opener, deadline_s: float) -> None:
        self._opener = opener
        self._wire = _Wire(opener, deadline_s)
        self._asked = 0

    def exchange(self, deadline_s: float, payload_bytes: int = 0) -> float:
        spoken = self._opener.spoken
        if spoken.question is None:
            spoken.greets = self._answered(GREETING)
            answered = filter(self._answered, QUESTIONS)
            spoken.question = next(answered, GREETING if spoken.greets else None)
        if spoken.question is None:
            raise Broken("its protocol is not known: it answered to nothing that was asked")
        if self._asked and not spoken.question.again:
            if not self.is_open():
                raise Broken("closed by the other side")
            raise NotAsked("such a connection can be asked once")
        self._asked += 1
        if self._asked == 1 and spoken.greets and spoken.question.content:
            self._wire.more(time.monotonic() + deadline_s)
        start = time.monotonic()
        if spoken.question.content:
            self._wire.send(spoken.question.content, start + deadline_s)
        self._wire.more(start + deadline_s)
        return time.monotonic() - start

    def _answered(self, question: Question) -> bool:
        """Whether a connection of its own is answered; a first byte is enough."""
        try:
            wire = _Wire(self._opener, SPEAKS_WITHIN_S)
        except (NoAnswer, Broken):
            return False
        try:
            end = time.monotonic() + SPEAKS_WITHIN_S
            if question.content:
                if self._opener.spoken.greets:
                    wire.more(end)
                wire.send(question.content, end)
            return bool(wire.more(end))
        except (NoAnswer, Broken):
            return False
        finally:
            wire.close()

    def is_open(self) -> bool:
        return self._wire.is_open()

    def close(self) -> None:
        self._wire.close()


BLOCK_START, BLOCK_END = b"\x0b", b"\x1c\r"  # what MLLP puts around a message


class _Mllp:
    """Empty blocks, each answered by a block of any content: a sign of life that says nothing and is kept
    nowhere. With a payload, as many blocks as bring so many bytes back, padded to as many there."""

    def __init__(self, opener: Opener, deadline_s: float) -> None:
        self._wire = _Wire(opener, deadline_s)
        self._owed = 0
        self._answer_bytes = 0

    def exchange(self, deadline_s: float, payload_bytes: int = 0) -> float:
        start = time.monotonic()
        end = start + deadline_s
        rounds, padding = 1, 0
        if payload_bytes:
            if not self._answer_bytes:
                self._answer_bytes = self._ask(1, 0, end)
            start = time.monotonic()
            rounds = -(-payload_bytes // self._answer_bytes)
            padding = -(-payload_bytes // rounds)
        self._ask(rounds, padding, end)
        return time.monotonic() - start

    def _ask(self, rounds: int, padding: int, end: float) -> int:
        length = 0
        for burst in range(0, rounds, 8):  # a server stops reading while many questions wait
            count = min(8, rounds - burst)
            self._owed += count
            self._wire.send((BLOCK_START + b" " * padding + BLOCK_END) * count, end)
            while self._owed:
                length = len(self._wire.take(_block, end))
                self._owed -= 1
        return length

    def is_open(self) -> bool:
        return self._wire.is_open()

    def close(self) -> None:
        self._wire.close()


def _block(content: bytes) -> int:
    end = content.find(BLOCK_END)
    return 0 if end < 0 else end + len(BLOCK_END)


def _exactly(size: int) -> Callable[[bytes], int]:
    return lambda content: size if len(content) >= size else 0


def _line(content: bytes) -> int:
    return content.find(b"\r\n") + 2 if b"\r\n" in content else 0


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens conversations with one address in one protocol. `key` is what lets the harness in there: a token,
    or the password of the role that measures links; empty for none."""

    protocol: links.Protocol
    address: Address
    paths: HttpPaths = HttpPaths()
    key: str = field(default="", repr=False)
    account: ProbeAccount = field(default_factory=ProbeAccount)
    spoken: Spoken = field(default_factory=Spoken)

    def open(self, deadline_s: float, *, brief: bool = False) -> Conversation:
        """Connect; `brief` allows a shorter question that can be asked once. Raises NoAnswer, Broken."""
        match self.protocol:
            case "http":
                return _Http(self, deadline_s)
            case "postgres":
                return _Postgres(self, deadline_s, brief=brief)
            case "nats":
                return _Nats(self, deadline_s, brief=brief)
            case "mllp":
                return _Mllp(self, deadline_s)
            case "tcp":
                return _Tcp(self, deadline_s)
        raise ValueError(f"no conversation for the protocol {self.protocol}")
