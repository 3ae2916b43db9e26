"""Whatever bytes arrive, at the API or at a proxied port: the server answers or closes, and lives."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import psutil
import pytest

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import RunningToxiproxy
from tests.runtimes.toxiproxy.calls import Call, ask

ROUNDS = 300
PATIENCE_S = 5.0
KINDS = ("noop", "latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data")
VERBS = (b"GET", b"POST", b"PATCH", b"DELETE", b"PUT", b"HEAD", b"CONNECT", b"PRI", b"\xff\xfe", b"")
PATHS = (
    b"/proxies",
    b"/populate",
    b"/proxies/p",
    b"/proxies/p/toxics",
    b"/%zz",
    b"/%ff%fe",
    b"*",
    b"http://x/version",
)
HEADERS = (
    b"Host: x",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Expect: 100-continue",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
    b"Connection: close",
    b"no colon",
    b": empty",
    b"X: " + b"y" * 5000,
)
BODIES = (
    b"",
    b"{}",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'"\\ud800"',
    b"\xff\x00",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"nul",
)


def something(dice: Random) -> bytes:
    """Bytes between nearly right and noise."""
    if dice.random() < 0.3:
        return dice.randbytes(dice.randrange(1, 2000))
    line = b"%b %b HTTP/%b" % (
        dice.choice(VERBS),
        dice.choice(PATHS),
        dice.choice((b"1.1", b"1.0", b"2.0", b"9.9", b"x")),
    )
    headers = [dice.choice(HEADERS) for _ in range(dice.randrange(4))]
    request = b"\r\n".join([line, *headers, b"", dice.choice(BODIES)])
    if dice.random() < 0.3:
        at = dice.randrange(len(request))
        request = request[:at] + dice.randbytes(3) + request[at + 3 :]
    return (
        request[: dice.randrange(1, len(request) + 1)]
        if dice.random() < 0.3
        else request * dice.choice((1, 1, 3))
    )


def test_noise_at_the_api_is_answered_or_closed(embedded: RunningToxiproxy) -> None:
    """After any bytes there is an HTTP answer or a close once the client ends, and the server lives."""
    dice = Random(20)
    for _ in range(ROUNDS):
        sent = something(dice)
        with socket.create_connection(("127.0.0.1", embedded.port), timeout=PATIENCE_S) as client:
            answer = b""
            try:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while part := client.recv(65_536):
                    answer += part
            except OSError:
                pass  # closed on us
            assert not answer or answer.startswith(b"HTTP/1."), sent
    assert Toxiproxy(embedded.host, embedded.port).version() == "2.12.0"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET /version HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /version HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400 Bad Request"),
        (
            b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (2 << 20),
            b"431 Request Header Fields Too Large",
        ),
    ],
)
def test_what_is_no_request_is_refused(embedded: RunningToxiproxy, sent: bytes, status: bytes) -> None:
    """A request that cannot be read gets its status, and the connection is closed."""
    with socket.create_connection(("127.0.0.1", embedded.port), timeout=PATIENCE_S) as client:
        answer = b""
        try:
            client.sendall(sent)
            while part := client.recv(65_536):
                answer += part
        except ConnectionError:
            pass  # closed while we were still sending
        assert answer.startswith(b"HTTP/1.1 " + status) or (len(sent) > 1 << 20 and not answer)


@pytest.mark.parametrize("toxicity", ["3.5e38", "1e40", "-1e999", "1" + "0" * 400])
def test_a_toxicity_beyond_32_bits_is_refused(embedded: RunningToxiproxy, toxicity: str) -> None:
    """A number that the original cannot keep is answered as the original answers it."""
    ask(embedded.port, Call("POST", "/proxies", '{"name": "t", "listen": "127.0.0.1:0", "upstream": "x:1"}'))
    found = ask(
        embedded.port, Call("POST", "/proxies/t/toxics", f'{{"type": "noop", "toxicity": {toxicity}}}')
    )
    ask(embedded.port, Call("DELETE", "/proxies/t"))
    assert found.status == 400
    assert f"cannot unmarshal number {toxicity} into" in found.body.decode()


def test_attributes_that_are_given_twice_are_folded(server: RunningToxiproxy) -> None:
    """A repeated object adds to the first; after a null there is nothing to add to."""
    ask(server.port, Call("POST", "/proxies", '{"name": "t", "listen": "127.0.0.1:0", "upstream": "x:1"}'))
    try:
        body = '{"type": "latency", "attributes": {"latency": 1}, "attributes": {"jitter": 2}}'
        found = ask(server.port, Call("POST", "/proxies/t/toxics", body))
        assert json.loads(found.body)["attributes"] == {"latency": 1, "jitter": 2}
        body = '{"type": "latency", "name": "n", "attributes": null, "attributes": {"jitter": 2}}'
        found = ask(server.port, Call("POST", "/proxies/t/toxics", body))
        assert found.status == 400
        assert re.search(
            "cannot unmarshal object into .*attributes of type toxics.Toxic", found.body.decode()
        )
    finally:
        ask(server.port, Call("DELETE", "/proxies/t"))


def test_pipelined_requests_are_answered_in_order(embedded: RunningToxiproxy) -> None:
    """Requests that arrive in one piece are answered one after another on the same connection."""
    request = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", embedded.port), timeout=PATIENCE_S) as client:
        client.sendall(request * 20 + b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := client.recv(65_536):
            answer += part
    statuses = re.findall(rb"HTTP/1.1 (\d+) ", answer)
    assert statuses == [b"200", b"404"] * 20 + [b"200"]


@contextmanager
def rude_upstream(dice: Random) -> Iterator[int]:
    """Answers noise with noise, then closes one way or another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    far, _ = listener.accept()
                except OSError:
                    return
                with far:
                    far.settimeout(0.2)
                    try:
                        far.recv(dice.randrange(1, 5000))
                        far.sendall(dice.randbytes(dice.randrange(1, 50_000)))
                        far.shutdown(dice.choice((socket.SHUT_WR, socket.SHUT_RD, socket.SHUT_RDWR)))
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)


def test_noise_at_a_proxied_port_under_any_toxics(embedded: RunningToxiproxy) -> None:
    """Noise through random chains of toxics, with rude ends, leaves the server alive and unburdened."""
    dice = Random(21)
    adapter = Toxiproxy(embedded.host, embedded.port, deadline_s=PATIENCE_S)
    process = psutil.Process(embedded.pid)
    before = process.num_fds()
    with rude_upstream(dice) as port:
        proxy = adapter.create_proxy("noise", listen="127.0.0.1:0", upstream=f"127.0.0.1:{port}")
        try:
            for _ in range(ROUNDS // 3):
                noisy_call(embedded, dice)
                with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.05) as client:
                    try:
                        client.sendall(dice.randbytes(dice.randrange(1, 20_000)))
                        if dice.random() < 0.5:
                            client.recv(dice.randrange(1, 20_000))
                    except OSError:
                        pass
        finally:
            adapter.delete_proxy("noise")
    assert adapter.version() == "2.12.0"
    end = time.monotonic() + PATIENCE_S
    while (left := process.num_fds()) > before and time.monotonic() < end:
        time.sleep(0.02)
    assert left <= before, f"{left} descriptors are open, {before} were before"


def noisy_call(server: RunningToxiproxy, dice: Random) -> None:
    """Add or remove a toxic with random values; the answer may be anything but a hang."""
    if dice.random() < 0.3:
        ask(server.port, Call("POST", "/reset"))
    value = dice.choice((0, 1, 7, 100, -3, 10**6, 2**62, 2**63 - 1, -(2**63), 2**70))
    names = ("latency", "jitter", "rate", "delay", "timeout", "average_size", "size_variation", "bytes")
    body = {
        "name": f"t{dice.randrange(6)}",
        "type": dice.choice(KINDS),
        "stream": dice.choice(("upstream", "downstream")),
        "toxicity": dice.choice((1, 0.5, 0, -1)),
        "attributes": {name: value for name in names if dice.random() < 0.5},
    }
    ask(server.port, Call("POST", "/proxies/noise/toxics", json.dumps(body)))
