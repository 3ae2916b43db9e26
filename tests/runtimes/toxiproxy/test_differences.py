"""Where the embedded server deliberately differs from the original; docs/toxiproxy.md lists each of these."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import ROOT, RunningToxiproxy, ServerChoice, start_server
from tests.runtimes.toxiproxy.calls import Call, ask
from tests.runtimes.toxiproxy.conftest import Start
from tests.runtimes.toxiproxy.ends import FIN, RST, Seen, Stage

PROMPT_S = 5.0
"""The original answers after 25 s, or never."""


def eventually(condition: Callable[[], object], what: str) -> None:
    """Poll until it holds. Raises AssertionError with what was waited for."""
    end = time.monotonic() + PROMPT_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {PROMPT_S:g} s"
        time.sleep(0.01)


def post(server: RunningToxiproxy, path: str, body: object) -> tuple[int, str]:
    answer = ask(server.port, Call("POST", path, json.dumps(body)))
    return answer.status, answer.body.decode()


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that is to end by itself."""
    command = [sys.executable, "-m", "runtimes.toxiproxy", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def whats(events: list[Seen]) -> list[bytes | str]:
    return [event.what for event in events]


@pytest.mark.parametrize("listen", [None, "", ":0"])
def test_a_listen_address_without_a_host_is_on_loopback(
    embedded: RunningToxiproxy, listen: str | None
) -> None:
    """A proxy whose address names no interface is not reachable from other machines."""
    body = {"name": "quiet", "upstream": "127.0.0.1:9"} | ({} if listen is None else {"listen": listen})
    status, text = post(embedded, "/proxies", body)
    try:
        assert status == 201
        assert json.loads(text)["listen"].startswith("127.0.0.1:")
    finally:
        ask(embedded.port, Call("DELETE", "/proxies/quiet"))


@pytest.mark.parametrize(
    ("kind", "attributes", "reason"),
    [
        ("bandwidth", {"rate": -1}, "rate must not be negative, found -1"),
        ("slicer", {"average_size": 0}, "average_size + size_variation must be at least 1, found 0"),
        (
            "slicer",
            {"average_size": 5, "size_variation": -5},
            "average_size + size_variation must be at least 1",
        ),
        ("slicer", {"average_size": 1, "size_variation": 10}, "size_variation must be at most average_size"),
        ("latency", {"jitter": 1 << 62}, "jitter must be at most 4611686018427387903"),
    ],
)
def test_values_that_crash_the_original_are_refused(
    embedded: RunningToxiproxy, kind: str, attributes: dict[str, int], reason: str
) -> None:
    """What no stream can be run with is answered 400, on creation and on update, and changes nothing."""
    stage = Stage(embedded, "nonsense")
    try:
        path = "/proxies/nonsense/toxics"
        status, text = post(embedded, path, {"type": kind, "attributes": attributes})
        assert status == 400
        assert reason in text
        assert post(embedded, path, {"type": kind})[0] == 200
        before = stage.adapter.proxy("nonsense")
        assert post(embedded, f"{path}/{kind}_downstream", {"attributes": attributes})[0] == 400
        assert stage.adapter.proxy("nonsense") == before
    finally:
        stage.clear()


def test_a_slicer_without_a_size_cuts_nothing(embedded: RunningToxiproxy) -> None:
    """The default slicer, which kills the original with the first byte, passes chunks whole."""
    stage = Stage(embedded, "uncut")
    try:
        stage.toxic("slicer")
        client, upstream = stage.connect()
        upstream.send(b"whole")
        eventually(client.seen, "the chunk")
        assert whats(client.seen()) == [b"whole"]
    finally:
        stage.clear()


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [
        ("latency", "latency", 10),
        ("bandwidth", "rate", 50_000),
        ("slicer", "average_size", 1000),
        ("slicer", "average_size", 1),
    ],
)
def test_removing_a_toxic_never_hangs(
    embedded: RunningToxiproxy, kind: str, attribute: str, value: int
) -> None:
    """A toxic is removed at once from a connection whose far end does not read, and no byte is lost."""
    stage = Stage(embedded, "stuck")
    try:
        stage.adapter.put_toxic(
            "stuck", f"{kind}_downstream", kind=kind, stream="downstream", attributes={attribute: value}
        )
        listener = socket.create_server(("127.0.0.1", 0))
        stage.adapter.set_upstream("stuck", f"127.0.0.1:{listener.getsockname()[1]}")
        client = socket.create_connection(("127.0.0.1", stage.adapter.proxy("stuck").port))
        far, _ = listener.accept()
        far.setblocking(False)
        sent = 0
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < 0.3:  # until every buffer on the way is full
            try:
                sent += far.send(b"x" * 65_536)
                idle_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.005)
        begun = time.monotonic()
        stage.heal(kind)
        assert time.monotonic() - begun < PROMPT_S
        far.close()
        received = 0
        client.settimeout(PROMPT_S)
        while content := client.recv(1 << 20):
            received += len(content)
        assert received == sent
        client.close()
        listener.close()
    finally:
        stage.clear()


def test_removing_reset_peer_in_its_wait_spares_the_connection(embedded: RunningToxiproxy) -> None:
    """A `reset_peer` that is removed before its time delivers what it held; the call does not wait."""
    stage = Stage(embedded, "spared")
    try:
        stage.toxic("reset_peer", timeout=20_000)
        client, upstream = stage.connect()
        upstream.send(b"answer")
        stage.at(50)
        stage.heal("reset_peer")
        eventually(client.seen, "the answer")
        assert whats(client.seen()) == [b"answer"]
    finally:
        stage.clear()


def test_dials_are_concurrent_and_have_a_timeout(start: Start) -> None:
    """Dials without an answer do not wait for each other, are given up in time, and delay no disabling."""
    dial_timeout_s = 2.0
    server = start("embedded", "-dial-timeout", f"{dial_timeout_s:g}s")
    stage = Stage(server, "dial")
    with ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        stage.adapter.set_upstream("dial", f"127.0.0.1:{full.getsockname()[1]}")
        waiting = [stage.connect_client() for _ in range(3)]
        process = psutil.Process(server.pid)

        def dialling() -> int:
            return sum(one.status == psutil.CONN_SYN_SENT for one in process.net_connections("tcp"))

        eventually(lambda: dialling() == 3, "three dials at once")
        eventually(lambda: all(client.seen() for client in waiting), "the end of the dials")
        assert all(whats(client.seen()) == [FIN] for client in waiting)
        stage.connect_client()
        eventually(lambda: dialling() == 1, "another dial")
        begun = time.monotonic()
        stage.set_enabled(False)
        assert time.monotonic() - begun < dial_timeout_s
        stage.clear()


def test_half_close_passes_through_on_request(start: Start) -> None:
    """With -half-close a client that has sent all still gets the answer."""
    stage = Stage(start("embedded", "-half-close"), "half")
    try:
        client, upstream = stage.connect()
        client.send(b"ask")
        client.close()
        eventually(lambda: whats(upstream.seen())[-1:] == [FIN], "the end of the request")
        assert not client.seen()
        upstream.send(b"answer")
        upstream.close()
        eventually(lambda: whats(client.seen())[-1:] == [FIN], "the end of the answer")
        assert whats(client.seen()) == [b"answer", FIN]
    finally:
        stage.clear()


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_reset_passes_through_on_request(start: Start, who: str) -> None:
    """With -pass-reset the other side of a reset connection sees a reset."""
    stage = Stage(start("embedded", "-pass-reset"), "reset")
    try:
        ends = dict(zip(("client", "upstream"), stage.connect(), strict=True))
        resetting = ends.pop(who)
        (other,) = ends.values()
        resetting.reset()
        eventually(other.seen, "the reset")
        assert whats(other.seen()) == [RST]
    finally:
        stage.clear()


def test_toxics_are_accepted_in_populate(embedded: RunningToxiproxy) -> None:
    """A populate entry may carry its proxy's toxics; one of the same name replaces that which is there."""
    toxic = {"name": "slow", "type": "latency", "stream": "upstream", "attributes": {"latency": 7}}
    entry = {"name": "full", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "toxics": [toxic]}
    try:
        status, text = post(embedded, "/populate", [entry])
        assert status == 201
        (shown,) = json.loads(text)["proxies"]
        assert [(one["name"], one["attributes"]["latency"]) for one in shown["toxics"]] == [("slow", 7)]
        again = entry | {"listen": shown["listen"], "toxics": [toxic | {"attributes": {"latency": 9}}]}
        _, text = post(embedded, "/populate", [again])
        (shown,) = json.loads(text)["proxies"]
        assert [(one["name"], one["attributes"]["latency"]) for one in shown["toxics"]] == [("slow", 9)]
        status, text = post(embedded, "/populate", [entry | {"toxics": [{"type": "nope"}]}])
        reason = (
            'proxy 1 "full", toxic 1: invalid toxic type, expected one of bandwidth, latency, limit_data, '
            "noop, reset_peer, slicer, slow_close, timeout, error_share, lost_response, slow_processing"
        )
        assert (status, json.loads(text)["error"]) == (400, reason)
        twice = [{"type": "bandwidth"}, {"type": "bandwidth", "attributes": {"rate": -1}, "name": "b"}]
        status, text = post(embedded, "/populate", [{**entry, "name": "x"}, entry | {"toxics": twice}])
        assert json.loads(text)["error"].startswith('proxy 1 "x", toxic') is False
        assert 'proxy 2 "full", toxic 2: bad request body: rate must not be' in json.loads(text)["error"]
    finally:
        ask(embedded.port, Call("DELETE", "/proxies/full"))


def test_toxics_are_accepted_in_the_configuration(start: Start, tmp_path: Path) -> None:
    """A configuration file is a populate call: its proxies start with their toxics."""
    toxic = {"type": "bandwidth", "attributes": {"rate": 5}}
    config = tmp_path / "proxies.json"
    config.write_text(
        json.dumps([{"name": "p", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "toxics": [toxic]}])
    )
    server = start("embedded", "-config", str(config))
    proxy = Toxiproxy(server.host, server.port).proxy("p")
    assert proxy.enabled
    assert [(one.name, dict(one.attributes)) for one in proxy.toxics] == [
        ("bandwidth_downstream", {"rate": 5})
    ]


def test_a_refused_update_changes_no_attribute(embedded: RunningToxiproxy) -> None:
    """An update with one wrong attribute changes none; the original keeps those it had read before."""
    stage = Stage(embedded, "atomic")
    try:
        stage.toxic("latency", latency=1)
        body = {"attributes": {"latency": 100, "jitter": "x"}}
        assert post(embedded, "/proxies/atomic/toxics/latency_downstream", body)[0] == 400
        (toxic,) = stage.adapter.proxy("atomic").toxics
        assert dict(toxic.attributes) == {"latency": 1, "jitter": 0}
    finally:
        stage.clear()


def test_a_taken_port_is_an_error_and_an_exit_code() -> None:
    """A server whose API port is taken says so and ends with 1; the original stays and serves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_server("-port", str(port))
    assert ended.returncode == 1
    reason = f"listen tcp 127.0.0.1:{port}: bind: address already in use"
    assert ended.stderr == f"error: {reason} (-host localhost -port {port})\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, ": No such file or directory"),
        ("", ":1:1: EOF"),
        ("{", ":1:2: unexpected EOF"),
        (
            '[\n{"name": "a",\n}]',
            ":3:1: invalid character '}' looking for beginning of object key string",
        ),
        ('[\n  {"name": "é" x', ":2:16: invalid character 'x' after object key:value pair"),
        ("{}", ": expected a list of proxies: [{...}, ...]"),
        ('[{"name": "p"}]', ": missing required field: upstream at proxy 1"),
        (
            '[{"name": "p", "upstream": "x:1", "listen": "nowhere"}]',
            ': proxy 1 "p": listen tcp: address nowhere: missing port in address',
        ),
    ],
)
def test_an_unusable_configuration_is_an_error(tmp_path: Path, content: str | None, reason: str) -> None:
    """A configuration that cannot be read or carried out ends the server; the original goes on without it."""
    config = tmp_path / "proxies.json"
    if content is not None:
        config.write_text(content)
    ended = run_server("-port", "0", "-config", str(config))
    assert ended.returncode == 1
    assert ended.stderr == f"error: config {config}{reason}\n"


def test_runtime_metrics_are_those_of_this_process(start: Start) -> None:
    """-runtime-metrics shows the process and the Python interpreter in the place of Go's runtime."""
    server = start("embedded", "-runtime-metrics")
    text = ask(server.port, Call("GET", "/metrics")).body.decode()
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "python_info"} <= names
    assert not [name for name in names if name.startswith("go_")]
    resident = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert resident is not None
    assert float(resident[1]) > 1e6


def test_a_body_of_more_than_16_mib_is_refused(embedded: RunningToxiproxy) -> None:
    """A body that no proxy needs is answered 413 and not kept in memory."""
    with socket.create_connection(("127.0.0.1", embedded.port), timeout=PROMPT_S) as client:
        client.sendall(b"POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")
        try:
            for _ in range(300):
                client.sendall(b" " * 65_536)
        except OSError:
            pass  # it has answered and closed
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        assert Toxiproxy(embedded.host, embedded.port).version() == "2.12.0"


def test_the_api_answers_when_the_descriptors_have_run_out(tmp_path: Path) -> None:
    """Some are kept for the API: clients beyond the rest are closed at once, and room is used again."""
    # Whoever may raise limits would: the server is not to be one of them.
    lowered = ["setpriv", "--bounding-set=-sys_resource"] if os.geteuid() == 0 else []
    argv = ("sh", "-c", 'ulimit -n 80; exec "$0" "$@"', *lowered, sys.executable, "-m", "runtimes.toxiproxy")
    server = start_server(
        ServerChoice("embedded", "tested", argv=argv), folder=tmp_path, seed=None, deadline_s=20
    )
    stage = Stage(server, "crowded")
    try:
        with ExitStack() as stack:
            clients = []
            for _ in range(150):
                address = ("127.0.0.1", stage.proxy.port)
                clients.append(stack.enter_context(socket.create_connection(address, timeout=PROMPT_S)))
            assert stage.adapter.version() == "2.12.0"
            for client in clients[100:]:
                with suppress(ConnectionResetError):
                    assert client.recv(1) == b""
            stage.adapter.create_proxy("one more", listen="127.0.0.1:0", upstream="127.0.0.1:9")

        def passes() -> bool:
            with socket.create_connection(("127.0.0.1", stage.proxy.port), timeout=PROMPT_S) as client:
                client.sendall(b"?")
                client.settimeout(0.1)
                try:
                    return client.recv(1) != b""
                except TimeoutError:
                    return True  # it waits for an upstream that says nothing
                except ConnectionResetError:
                    return False

        eventually(passes, "room for a client")
    finally:
        stage.clear()
        server.stop()


def test_a_word_that_is_no_option_is_an_error() -> None:
    """A mistyped command line ends with 2 and says why; the original goes on without the rest of it."""
    ended = run_server("start", "-port", "0")
    assert ended.returncode == 2
    assert ended.stderr.startswith("unexpected argument: start\n")


@pytest.mark.parametrize(
    ("kind", "attribute"), [("latency", "latency"), ("slow_close", "delay"), ("reset_peer", "timeout")]
)
def test_a_delay_of_centuries_is_waited_for(embedded: RunningToxiproxy, kind: str, attribute: str) -> None:
    """A delay beyond what fits into 64 bits of nanoseconds delays; with the original it is none."""
    stage = Stage(embedded, "centuries")
    try:
        stage.adapter.put_toxic(
            "centuries", "it", kind=kind, stream="downstream", attributes={attribute: (1 << 63) - 1}
        )
        client, upstream = stage.connect()
        upstream.send(b"held")
        upstream.close()
        client.send(b"seen")
        eventually(upstream.seen, "the other direction")
        assert stage.adapter.proxy("centuries").enabled
        assert whats(client.seen()) == ([b"held"] if kind == "slow_close" else [])
        if kind == "latency":
            stage.adapter.remove_toxic("centuries", "it")
            eventually(client.seen, "what was held")
            assert whats(client.seen())[0] == b"held"
    finally:
        stage.clear()


def test_every_difference_in_the_docs_has_its_test() -> None:
    """The list in docs/toxiproxy.md names the tests of this file, all of them and no others."""
    listed = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "toxiproxy.md").read_text(encoding="utf-8")))
    here = {
        node.name
        for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    elsewhere = {"test_the_seed_repeats_the_draws_of_each_connection"}
    assert listed == here - {"test_every_difference_in_the_docs_has_its_test"} | elsewhere


def test_traffic_is_told_by_client_at_once(embedded: RunningToxiproxy) -> None:
    """While a connection is open, after it has ended, and apart from what other addresses did."""
    proxies = Toxiproxy(embedded.host, embedded.port, token=embedded.token)
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        name = "told"
        state = proxies.create_proxy(
            name, listen="127.0.0.1:0", upstream=f"127.0.0.1:{upstream.getsockname()[1]}"
        )

        def told() -> dict[str, dict[str, int]]:
            traffic = proxies.traffic()
            assert traffic is not None
            return {peer: dict(seen) for peer, seen in traffic[name].items()}

        sent = {"127.0.0.1": 5, "127.0.0.9": 7}
        with ExitStack() as open_now:
            for source, count in sent.items():
                line = socket.create_connection(("127.0.0.1", state.port), source_address=(source, 0))
                open_now.enter_context(line)
                far, _ = upstream.accept()
                open_now.enter_context(far)
                line.sendall(b"x" * count)
                far.recv(100)
                far.sendall(b"y" * 3)
                line.recv(100)
            seen = {peer: {"connections": 1, "open": 1, "received": n, "sent": 3} for peer, n in sent.items()}
            assert told() == seen
        ended = {peer: {**counts, "open": 0} for peer, counts in seen.items()}
        eventually(lambda: told() == ended, "the end of both connections")
        proxies.delete_proxy(name)
