"""Random sequences of API calls, sent to the embedded and the real server: same answers, same state."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from runtimes.links.servers import RunningToxiproxy
from tests.runtimes.toxiproxy.calls import Answer, Call, ask, stable_ports
from tests.runtimes.toxiproxy.conftest import Start

NAMES = ("a", "b", "C", "é ü", "p?#&", "<x>")
TOXIC_NAMES = ("t1", "t2", "latency_downstream", "t/3")
KINDS = (
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "noop",
    "nope",
    "",
)
STREAMS = ("upstream", "downstream", "UPSTREAM", "sideways", "")
SLOTS = 4
PORT = re.compile(r"(?:(?<=127\.0\.0\.1:)|(?<=localhost:))\d+")
STRUCT_FIELD = re.compile(r"Go struct field [\w.]*?(\w+) of type")

names = st.sampled_from(NAMES)
toxic_names = st.sampled_from(TOXIC_NAMES)
slots = st.sampled_from((*range(SLOTS), None))
odd_values: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, -7, 1.5, 1e40, "1", [], {}, 10**19])
toxicities = st.one_of(st.sampled_from([0, 0.1, 0.3, 1, 7, -1, 1e-9, 16777217, 0.1234567891]), odd_values)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
}


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of any kind of toxic. Sizes are such that every server runs with them."""
    found: dict[str, Any] = {}
    for key in draw(
        st.lists(st.sampled_from(sorted({n for ns in ATTRIBUTES.values() for n in ns})), max_size=3)
    ):
        found[key] = draw(st.integers(0, 1000))
    if found.keys() & {"average_size", "size_variation", "delay"}:
        found |= {"average_size": 64, "size_variation": 10}
    return found


class BothServers(RuleBasedStateMachine):
    """Each rule is a call to both servers."""

    embedded: RunningToxiproxy
    real: RunningToxiproxy
    ports: tuple[list[int], list[int]]

    def both(self, method: str, path: str, body: object = None, *, raw: str | None = None) -> Answer:
        """Send the call to both, compare, and return the embedded server's answer."""
        answers = []
        for side, server in enumerate((self.embedded, self.real)):
            text = raw if raw is not None else None if body is None else json.dumps(body, ensure_ascii=False)
            if text is not None:
                for slot, port in enumerate(self.ports[side]):
                    text = text.replace(f"SLOT{slot}", str(port))
            try:
                answers.append(ask(server.port, Call(method, path, text)))
            except TimeoutError:
                raise AssertionError(f"{server.kind} does not answer {method} {path} {text}") from None
        ours, theirs = answers
        found, expected = self.shown(ours, 0), self.shown(theirs, 1)
        assert found == expected, f"{method} {path} {raw or body}\n{found}\n{expected}"
        return ours

    def shown(self, answer: Answer, side: int) -> tuple[int, dict[str, str], str]:
        """What is compared: the status, the headers, and the text with ports by their slots."""
        slots = {str(port): f"SLOT{slot}" for slot, port in enumerate(self.ports[side])}
        text = PORT.sub(lambda found: slots.get(found.group(), "CHOSEN"), answer.body.decode())
        text = STRUCT_FIELD.sub(r"Go struct field \1 of type", text)
        # The length depends on the ports and on the wording of Go's field paths.
        headers = {name: "" if name == "content-length" else value for name, value in answer.headers.items()}
        return answer.status, headers, text

    @initialize()
    def empty(self) -> None:
        for server in (self.embedded, self.real):
            for name in json.loads(ask(server.port, Call("GET", "/proxies")).body):
                assert ask(server.port, Call("DELETE", f"/proxies/{quote(name)}")).status == 204

    @invariant()
    def same_state(self) -> None:
        """The whole state is the same on both."""
        self.both("GET", "/proxies")

    @rule(name=names, slot=slots, enabled=st.sampled_from([True, False, None, "absent"]))
    def create(self, name: str, slot: int | None, enabled: object) -> None:
        body: dict[str, object] = {"name": name, "listen": _listen(slot), "upstream": "127.0.0.1:9"}
        if enabled != "absent":
            body["enabled"] = enabled
        self.both("POST", "/proxies", body)

    @rule(key=st.sampled_from(["name", "listen", "upstream", "enabled", "Logger", "other"]), value=odd_values)
    def create_with_nonsense(self, key: str, value: object) -> None:
        body = {
            "name": "odd",
            "listen": "127.0.0.1:0",
            "upstream": "127.0.0.1:9",
            "enabled": False,
            key: value,
        }
        if body["listen"] is not None:
            self.both("POST", "/proxies", body)
            # An address that cannot be bound makes the real server's reset stop half way, at a random proxy.
            self.both("DELETE", "/proxies/odd")

    @rule(name=names, slot=slots, enabled=st.booleans(), upstream=st.sampled_from(["127.0.0.1:9", "x:1"]))
    def update(self, name: str, slot: int | None, enabled: bool, upstream: str) -> None:
        self.both(
            "PATCH",
            f"/proxies/{quote(name)}",
            {"listen": _listen(slot), "enabled": enabled, "UPSTREAM": upstream},
        )

    @rule(name=names, enabled=st.booleans())
    def enable(self, name: str, enabled: bool) -> None:
        self.both("POST", f"/proxies/{quote(name)}", {"enabled": enabled})

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.both("DELETE", f"/proxies/{quote(name)}")

    @rule(name=names, method=st.sampled_from(["GET", "PUT", "HEAD", "OPTIONS"]), toxics=st.booleans())
    def look(self, name: str, method: str, toxics: bool) -> None:
        self.both(method, f"/proxies/{quote(name)}" + ("/toxics" if toxics else ""))

    @rule(
        name=names,
        toxic=st.one_of(st.none(), toxic_names),
        kind=st.sampled_from(KINDS),
        stream=st.sampled_from(STREAMS),
        toxicity=st.one_of(st.just("absent"), toxicities),
        attributes=attributes(),
    )
    def add_toxic(
        self,
        name: str,
        toxic: str | None,
        kind: str,
        stream: str,
        toxicity: object,
        attributes: dict[str, Any],
    ) -> None:
        body: dict[str, object] = {"name": toxic, "type": kind, "stream": stream, "attributes": attributes}
        if toxicity != "absent":
            body["toxicity"] = toxicity
        self.both("POST", f"/proxies/{quote(name)}/toxics", body)

    @rule(name=names, kind=st.sampled_from(sorted(ATTRIBUTES)), value=odd_values, which=st.integers(0, 2))
    def add_odd_toxic(self, name: str, kind: str, value: object, which: int) -> None:
        keys = ATTRIBUTES[kind]
        if isinstance(value, int) and not isinstance(value, bool):
            return  # integers are valid, and some crash the real server
        attributes: object = {keys[which % len(keys)]: value} if which else value
        self.both("POST", f"/proxies/{quote(name)}/toxics", {"type": kind, "attributes": attributes})

    @rule(
        name=names,
        toxic=toxic_names,
        toxicity=st.one_of(st.just("absent"), toxicities),
        attributes=st.one_of(attributes(), st.sampled_from([None, [], 3, "x"])),
        method=st.sampled_from(["POST", "PATCH"]),
    )
    def update_toxic(self, name: str, toxic: str, toxicity: object, attributes: object, method: str) -> None:
        body: dict[str, object] = {"attributes": attributes}
        if isinstance(attributes, dict) and "rate" in attributes and toxicity in (True, "1", [], {}):
            return
        if toxicity == "absent" or _is_a_toxicity(toxicity):
            if toxicity != "absent":
                body["toxicity"] = toxicity
            self.both(method, f"/proxies/{quote(name)}/toxics/{quote(toxic)}", body)
        else:
            # The real server keeps attributes that it read before a wrong toxicity: compare errors only.
            self.both(method, f"/proxies/{quote(name)}/toxics/{quote(toxic)}", {"toxicity": toxicity})

    @rule(name=names, toxic=toxic_names)
    def show_and_remove_toxic(self, name: str, toxic: str) -> None:
        self.both("GET", f"/proxies/{quote(name)}/toxics/{quote(toxic)}")
        self.both("DELETE", f"/proxies/{quote(name)}/toxics/{quote(toxic)}")

    @rule(entries=st.lists(st.tuples(names, slots, st.sampled_from([True, False, None])), max_size=3))
    def populate(self, entries: list[tuple[str, int | None, bool | None]]) -> None:
        body = [
            {"name": name, "listen": _listen(slot), "upstream": "127.0.0.1:9", "enabled": enabled}
            for name, slot, enabled in entries
        ]
        self.both("POST", "/populate", body)

    @rule(
        raw=st.sampled_from(
            ["", "{", "nul", '{"name":}', "[1]", '{"a":"\\x"}', '{"a":01}', '{"a" 1}', "[1,]", "\x01"]
        ),
        path=st.sampled_from(
            ["/proxies", "/populate", "/proxies/a", "/proxies/a/toxics", "/proxies/a/toxics/t1"]
        ),
    )
    def send_nonsense(self, raw: str, path: str) -> None:
        self.both("POST", path, raw=raw)

    @rule()
    def reset(self) -> None:
        shown = json.loads(ask(self.embedded.port, Call("GET", "/proxies")).body)
        listens = [proxy["listen"].replace("localhost", "127.0.0.1") for proxy in shown.values()]
        if len(set(listens)) == len(listens) or all(proxy["enabled"] for proxy in shown.values()):
            # Where two proxies want one port the real server starts a random one of them.
            self.both("POST", "/reset")


def _listen(slot: int | None) -> str:
    return "127.0.0.1:0" if slot is None else f"localhost:SLOT{slot}"


def _is_a_toxicity(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38
    )


@pytest.mark.slow
def test_random_sequences_leave_both_servers_in_the_same_state(start: Start) -> None:
    """After every call of a sequence both servers have answered alike and show the same state."""
    BothServers.real = start("real")
    BothServers.embedded = start("embedded")
    found = stable_ports(2 * SLOTS)
    BothServers.ports = (found[:SLOTS], found[SLOTS:])
    run_state_machine_as_test(
        BothServers,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=(Phase.generate,),  # shrinking would wait for a server that hangs again and again
            suppress_health_check=list(HealthCheck),
        ),
    )
