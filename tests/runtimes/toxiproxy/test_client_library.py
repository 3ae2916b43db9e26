"""`toxiproxy-python` as it comes, through all its calls, gets the same results from both servers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from runtimes.links.servers import RunningToxiproxy
from tests.runtimes.toxiproxy.calls import stable_ports

PORT = re.compile(r"(?<=:)\d{4,5}\b")


def every_call(port: int, listen_port: int) -> Iterator[object]:
    """What each call of the library gives, in order."""
    server = toxiproxy.Toxiproxy()
    server.update_api_consumer("127.0.0.1", port)
    server.destroy_all()
    yield server.running()
    yield json.loads(server.version())["version"]
    yield server.proxies()
    first = server.create(upstream="127.0.0.1:9", name="first")
    yield vars(first)
    yield vars(server.create(upstream="127.0.0.1:9", name="second", listen="127.0.0.1:0", enabled=False))
    with pytest.raises(ProxyExists) as exists:
        server.create(upstream="127.0.0.1:9", name="first")
    yield str(exists.value)
    yield sorted(server.proxies())
    found = server.get_proxy("first")
    yield found and vars(found)
    yield server.get_proxy("nobody")
    for kind, attributes in (
        ("latency", {"latency": 100, "jitter": 5}),
        ("bandwidth", {"rate": 10}),
        ("slow_close", {"delay": 5}),
        ("timeout", {"timeout": 5}),
        ("reset_peer", {"timeout": 5}),
        ("slicer", {"average_size": 10, "size_variation": 2, "delay": 1}),
        ("limit_data", {"bytes": 100}),
        ("noop", {}),
    ):
        first.add_toxic(type=kind, attributes=attributes)
    first.add_toxic(type="latency", name="named", stream="upstream", toxicity=0.25, attributes={"latency": 1})
    yield {name: vars(toxic) for name, toxic in first.toxics().items()}
    toxic = first.get_toxic("named")
    yield toxic and vars(toxic)
    yield first.get_toxic("nothing")
    with pytest.raises(InvalidToxic) as invalid:
        first.add_toxic(type="nonsense")
    yield str(invalid.value)
    with pytest.raises(ProxyExists) as exists:
        first.add_toxic(type="noop")
    yield str(exists.value)
    yield first.destroy_toxic("named")
    with pytest.raises(NotFound) as missing:
        first.destroy_toxic("named")
    yield str(missing.value)
    first.disable()
    yield [vars(proxy) for proxy in server.proxies().values()]
    first.enable()
    with first.down():
        yield server.get_proxy("first").enabled
    yield server.get_proxy("first").enabled
    yield server.reset()
    yield [vars(proxy) for proxy in server.proxies().values()]
    yield first.toxics()
    listen = f"127.0.0.1:{listen_port}"
    wanted = [{"name": "third", "upstream": "127.0.0.1:9", "listen": listen}]
    yield [vars(proxy) for proxy in server.populate(wanted)]
    yield [vars(proxy) for proxy in server.populate(wanted)]
    yield [vars(proxy) for proxy in server.populate([{**wanted[0], "upstream": "127.0.0.1:10"}])]
    yield server.destroy(first)
    yield server.destroy("no proxy")
    with pytest.raises(NotFound) as missing:
        first.destroy()
    yield str(missing.value)
    server.destroy_all()
    yield server.proxies()


def results(server: RunningToxiproxy) -> list[str]:
    """The results as text, ports left out."""
    (listen_port,) = stable_ports(1)
    return [PORT.sub("PORT", repr(result)) for result in every_call(server.port, listen_port)]


def test_every_call_of_the_library_gives_what_it_promises(embedded: RunningToxiproxy) -> None:
    """Against the embedded server the library creates, changes, reads and removes as with the original."""
    found = results(embedded)
    assert found[:3] == ["True", "'2.12.0'", "{}"]
    assert found[5] == "'This proxy already exists.'"
    assert len(found) == 29
    assert found[-1] == "{}"


def test_every_call_of_the_library_gives_the_same_on_both_servers(
    embedded: RunningToxiproxy, real: RunningToxiproxy
) -> None:
    """All results, objects and error texts of the library are identical behind both servers."""
    ours, theirs = results(embedded), results(real)
    theirs[1] = theirs[1].replace("git", "2.12.0")  # the version of a server that was built without one
    assert ours == theirs
