"""Every call of `toxiproxy-python` as it comes, in a process of its own: prints each result on a line.

python -m tests.runtimes.toxiproxy.client_calls API_PORT LISTEN_PORT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
import toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists


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


if __name__ == "__main__":
    assert not [name for name in sys.modules if name.startswith("runtimes")], (
        "the library is to be as it comes"
    )
    for result in every_call(int(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps(repr(result)))
