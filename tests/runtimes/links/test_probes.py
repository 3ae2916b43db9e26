"""The older connection of a link: kept while a fault acts, replaced once nothing does."""

from __future__ import annotations

import threading
from collections.abc import Callable

from runtimes.links.conversations import Opener
from runtimes.links.probes import LinkProber
from tests.runtimes.scripted_server import Line, scripted

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def answering(times: int) -> Callable[[Line], None]:
    """Each connection answers so many questions and is then closed."""

    def script(line: Line) -> None:
        for _ in range(times):
            line.until(b"\r\n\r\n")
            line.say(OK)

    return script


def test_a_connection_lost_under_a_fault_stays_lost() -> None:
    """What the fault did to it is the measurement; another one would hide it."""
    with scripted(answering(2)) as address:
        prober = LinkProber(Opener("http", address))
        assert prober.probe(5, 0, impaired=False).existing.seconds is not None
        for _ in range(2):
            probe = prober.probe(5, 0, impaired=True)
            assert not probe.existing.connected
            assert probe.existing.error
            assert probe.fresh.seconds is not None
        prober.close()


def test_a_connection_lost_is_replaced_when_nothing_acts() -> None:
    """Servers close idle connections, and healing may: neither is held against a healthy link."""
    with scripted(answering(2)) as address:
        prober = LinkProber(Opener("http", address))
        for _ in range(3):
            assert prober.probe(5, 0, impaired=False).existing.seconds is not None
        prober.close()


def test_a_fault_is_prepared_with_an_open_connection() -> None:
    """Right before a fault begins there is a connection that it can act on."""
    with scripted(answering(10)) as address:
        prober = LinkProber(Opener("http", address))
        prober.prepare(5)
        assert prober.probe(5, 0, impaired=True).existing.seconds is not None
        prober.close()


def test_a_fault_does_not_wait_for_a_measurement() -> None:
    """While one fault of a link is measured, which may take a second, another one can begin."""
    measuring, finish = threading.Event(), threading.Event()

    def script(line: Line) -> None:
        line.until(b"\r\n\r\n")
        measuring.set()
        finish.wait(10)
        line.say(OK)

    with scripted(script) as address:
        prober = LinkProber(Opener("http", address))
        other = threading.Thread(target=prober.probe, args=(10, 0), kwargs={"impaired": False})
        other.start()
        assert measuring.wait(10)
        prober.prepare(10)
        assert other.is_alive()
        finish.set()
        other.join(10)
        assert not other.is_alive()
        prober.close()
