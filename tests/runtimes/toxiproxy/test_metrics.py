"""/metrics counts the bytes of ended connections, alike on both servers."""

from __future__ import annotations

import re
import time

import pytest

from runtimes.links.servers import RunningToxiproxy
from runtimes.toxiproxy.chain import Direction
from runtimes.toxiproxy.metrics import Metrics
from tests.runtimes.toxiproxy.calls import Call, ask
from tests.runtimes.toxiproxy.ends import Stage

PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")
DEADLINE_S = 5.0


def samples(server: RunningToxiproxy, proxy: str) -> list[str]:
    """The samples of one proxy, ports left out."""
    text = ask(server.port, Call("GET", "/metrics")).body.decode()
    return [PORT.sub("PORT", line) for line in text.splitlines() if f'proxy="{proxy}"' in line]


def test_bytes_are_counted_when_a_connection_has_ended(server: RunningToxiproxy) -> None:
    """What was read and written of an ended connection appears, by direction, proxy and addresses."""
    stage = Stage(server, 'cou"nted')
    try:
        stage.toxic("limit_data", bytes=1_500_000)
        client, upstream = stage.connect()
        client.send(b"x" * 1234)
        upstream.send(b"y" * 1_500_000)
        end = time.monotonic() + DEADLINE_S
        while len(found := samples(server, 'cou\\"nted')) < 4 and time.monotonic() < end:
            time.sleep(0.02)
        labels = 'listener="127.0.0.1:PORT",proxy="cou\\"nted",upstream="127.0.0.1:PORT"'
        assert found == [
            f'toxiproxy_proxy_received_bytes_total{{direction="downstream",{labels}}} 1.5e+06',
            f'toxiproxy_proxy_received_bytes_total{{direction="upstream",{labels}}} 1234',
            f'toxiproxy_proxy_sent_bytes_total{{direction="downstream",{labels}}} 1.5e+06',
            f'toxiproxy_proxy_sent_bytes_total{{direction="upstream",{labels}}} 1234',
        ]
    finally:
        stage.clear()


def test_bytes_that_were_dropped_are_received_and_not_sent(embedded: RunningToxiproxy) -> None:
    """What came when the other side had gone, with toxics or without, was sent to nobody."""
    for toxics in (False, True):
        name = f"dropped {toxics}"
        stage = Stage(embedded, name)
        try:
            stage.toxic("slow_close", delay=200)  # the client's side stays for a while
            if toxics:
                stage.toxic("noop", "upstream")
            client, upstream = stage.connect()
            client.send(b"x" * 10)
            end = time.monotonic() + DEADLINE_S
            while not upstream.seen() and time.monotonic() < end:
                time.sleep(0.005)
            upstream.reset()
            stage.at(50)
            client.send(b"y" * 7)
            while len(found := samples(embedded, name)) < 4 and time.monotonic() < end:
                time.sleep(0.02)
            counts = {
                line.split("{")[0]: line.rpartition(" ")[2]
                for line in found
                if "upstream" in line.split(",")[0]
            }
            assert counts["toxiproxy_proxy_sent_bytes_total"] == "10", found
            assert counts["toxiproxy_proxy_received_bytes_total"] == "17", found
        finally:
            stage.clear()


class Named:
    """As much of a proxy as the metrics look at."""

    name, listen, upstream = "p", "127.0.0.1:1", "127.0.0.1:2"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (5, "5"),
        (999_999, "999999"),
        (1_000_000, "1e+06"),
        (3_030_035, "3.030035e+06"),
        (10**21, "1e+21"),
    ],
)
def test_counts_are_written_as_the_original_writes_them(count: int, text: str) -> None:
    """Millions have an exponent."""
    metrics = Metrics(proxies=True, runtime=False)
    metrics.link_ended(Named(), Direction.UPSTREAM, received=count, sent=0)  # type: ignore[arg-type]
    found = [line for line in metrics.text().splitlines() if line.startswith("toxiproxy_proxy_received")]
    assert [line.rpartition(" ")[2] for line in found] == [text]


def test_nothing_is_counted_when_it_is_not_asked_for() -> None:
    """Without -proxy-metrics no sums are kept."""
    metrics = Metrics(proxies=False, runtime=False)
    metrics.link_ended(Named(), Direction.UPSTREAM, received=1, sent=1)  # type: ignore[arg-type]
    assert not metrics.enabled
    assert "toxiproxy" not in metrics.text()
