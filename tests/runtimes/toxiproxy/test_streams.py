"""What the two ends of a proxied connection see under each toxic: the same behind either server.

Every scenario is a script with the literal history that both servers are to give; times may differ by 20 ms
or 15 %, and a scenario that a busy machine delayed is played again. Other bytes, or another end, are wrong
at once, and so is what never comes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import pytest

from runtimes.links.servers import RunningToxiproxy
from tests.runtimes.toxiproxy.ends import FIN, RST, End, Seen, Stage, contradicts, difference, told

Expected = list[tuple[End, list[tuple[float, bytes | str]]]]
PATIENCE_S = 5.0
ATTEMPTS = 4
Script = Callable[[Stage], Expected]
SCRIPTS: dict[str, Script] = {}


def script(function: Script) -> Script:
    """Registers a scenario."""
    SCRIPTS[function.__name__] = function
    return function


@script
def request_and_answer_pass_at_once(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    client.send(b"ask")
    stage.at(20)
    upstream.send(b"answer")
    stage.at(60)
    return [(client, [(20, b"answer")]), (upstream, [(0, b"ask")])]


@script
def a_client_that_closes_ends_both_sides(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    client.send(b"bye")
    client.close()
    stage.at(60)
    return [(client, [(0, FIN)]), (upstream, [(0, b"bye"), (0, FIN)])]


@script
def an_upstream_that_closes_ends_both_sides(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    upstream.send(b"bye")
    upstream.close()
    stage.at(60)
    return [(client, [(0, b"bye"), (0, FIN)]), (upstream, [(0, FIN)])]


@script
def a_reset_of_the_client_arrives_as_a_fin(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    client.reset()
    stage.at(60)
    return [(upstream, [(0, FIN)])]


@script
def a_reset_of_the_upstream_arrives_as_a_fin(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    upstream.reset()
    stage.at(60)
    return [(client, [(0, FIN)])]


@script
def a_refused_upstream_is_a_connection_that_ends(stage: Stage) -> Expected:
    stage.refuse()
    client = stage.connect_client()
    stage.at(60)
    return [(client, [(0, FIN)])]


@script
def latency_delays_data_and_what_follows_it(stage: Stage) -> Expected:
    stage.toxic("latency", latency=60)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    upstream.close()
    stage.at(120)
    return [(client, [(60, b"answer"), (60, FIN)]), (upstream, [(60, FIN)])]


@script
def latency_does_not_delay_a_bare_close(stage: Stage) -> Expected:
    stage.toxic("latency", latency=200)
    client, upstream = stage.connect()
    upstream.close()
    stage.at(60)
    return [(client, [(0, FIN)]), (upstream, [(0, FIN)])]


@script
def latency_works_in_one_direction(stage: Stage) -> Expected:
    stage.toxic("latency", "upstream", latency=80)
    client, upstream = stage.connect()
    client.send(b"ask")
    upstream.send(b"answer")
    stage.at(130)
    return [(client, [(0, b"answer")]), (upstream, [(80, b"ask")])]


@script
def latency_shifts_a_stream_in_time(stage: Stage) -> Expected:
    stage.toxic("latency", latency=100)
    client, upstream = stage.connect()
    for number in range(3):
        stage.at(number * 30)
        upstream.send(b"%d" % number)
    stage.at(220)
    return [(client, [(100, b"0"), (130, b"1"), (160, b"2")])]


@script
def latencies_add_up(stage: Stage) -> Expected:
    stage.toxic("latency", latency=50)
    stage.adapter.put_toxic(
        stage.name, "second", kind="latency", stream="downstream", attributes={"latency": 70}
    )
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(180)
    return [(client, [(120, b"answer")])]


@script
def an_updated_latency_lets_the_waiting_chunk_go(stage: Stage) -> Expected:
    stage.toxic("latency", latency=400)
    client, upstream = stage.connect()
    upstream.send(b"first")
    stage.at(60)
    stage.toxic("latency", latency=80)
    stage.at(120)
    upstream.send(b"second")
    stage.at(260)
    return [(client, [(60, b"first"), (200, b"second")])]


@script
def a_removed_latency_delivers_all_it_holds(stage: Stage) -> Expected:
    stage.toxic("latency", latency=400)
    client, upstream = stage.connect()
    for number in range(3):
        stage.at(number * 20)
        upstream.send(b"%d" % number)
    stage.at(80)
    stage.heal("latency")
    stage.at(140)
    upstream.send(b"later")
    stage.at(180)
    return [(client, [(80, b"012"), (140, b"later")])]


@script
def a_toxic_that_is_added_later_acts_on_what_follows(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    upstream.send(b"before")
    stage.at(30)
    stage.toxic("latency", latency=80)
    stage.at(60)
    upstream.send(b"after")
    stage.at(200)
    return [(client, [(0, b"before"), (140, b"after")])]


@script
def bandwidth_sends_slow_data_in_tenths_of_a_second(stage: Stage) -> Expected:
    stage.toxic("bandwidth", rate=10)
    client, upstream = stage.connect()
    upstream.send(b"a" * 1000 + b"b" * 1000 + b"c" * 500)
    stage.at(320)
    return [(client, [(100, b"a" * 1000), (200, b"b" * 1000), (250, b"c" * 500)])]


@script
def a_removed_bandwidth_delivers_the_rest_at_once(stage: Stage) -> Expected:
    stage.toxic("bandwidth", rate=10)
    client, upstream = stage.connect()
    upstream.send(b"a" * 1000 + b"b" * 4000)
    stage.at(150)
    stage.heal("bandwidth")
    stage.at(210)
    return [(client, [(100, b"a" * 1000), (150, b"b" * 4000)])]


@script
def no_bandwidth_holds_data_and_the_close(stage: Stage) -> Expected:
    stage.toxic("bandwidth", rate=0)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    upstream.close()
    stage.at(120)
    stage.toxic("bandwidth", rate=1000)
    stage.at(180)
    return [(client, [(120, b"answer"), (120, FIN)]), (upstream, [(120, FIN)])]


@script
def slow_close_holds_the_close_back(stage: Stage) -> Expected:
    stage.toxic("slow_close", delay=120)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    upstream.close()
    stage.at(190)
    return [(client, [(0, b"answer"), (120, FIN)]), (upstream, [(120, FIN)])]


@script
def a_removed_slow_close_closes_at_once(stage: Stage) -> Expected:
    stage.toxic("slow_close", delay=500)
    client, upstream = stage.connect()
    upstream.close()
    stage.at(80)
    stage.heal("slow_close")
    stage.at(140)
    return [(client, [(80, FIN)]), (upstream, [(80, FIN)])]


@script
def timeout_drops_data_and_closes_an_idle_connection(stage: Stage) -> Expected:
    stage.toxic("timeout", timeout=120)
    client, upstream = stage.connect()
    stage.at(60)
    upstream.send(b"lost")
    client.send(b"ask")
    stage.at(250)
    return [(client, [(180, FIN)]), (upstream, [(60, b"ask"), (180, FIN)])]


@script
def timeout_without_a_time_is_a_black_hole_until_it_is_removed(stage: Stage) -> Expected:
    stage.toxic("timeout", timeout=0)
    client, upstream = stage.connect()
    upstream.send(b"lost")
    stage.at(120)
    stage.heal("timeout")
    stage.at(180)
    return [(client, [(120, FIN)]), (upstream, [(120, FIN)])]


@script
def timeout_upstream_swallows_requests(stage: Stage) -> Expected:
    stage.toxic("timeout", "upstream", timeout=0)
    client, upstream = stage.connect()
    client.send(b"ask")
    upstream.send(b"unasked")
    stage.at(80)
    stage.adapter.reset()
    stage.at(140)
    return [(client, [(0, b"unasked"), (80, FIN)]), (upstream, [(80, FIN)])]


@script
def removing_a_timeout_that_was_never_drawn_closes_too(stage: Stage) -> Expected:
    stage.toxic("timeout", toxicity=0, timeout=0)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(60)
    stage.heal("timeout")
    stage.at(120)
    return [(client, [(0, b"answer"), (60, FIN)]), (upstream, [(60, FIN)])]


@script
def reset_peer_waits_for_the_first_byte(stage: Stage) -> Expected:
    stage.toxic("reset_peer", timeout=0)
    client, upstream = stage.connect()
    client.send(b"ask")
    stage.at(60)
    upstream.send(b"answer")
    stage.at(120)
    return [(client, [(60, RST)]), (upstream, [(0, b"ask"), (60, RST)])]


@script
def reset_peer_waits_its_time(stage: Stage) -> Expected:
    stage.toxic("reset_peer", "upstream", timeout=100)
    client, upstream = stage.connect()
    client.send(b"ask")
    stage.at(160)
    return [(client, [(100, RST)]), (upstream, [(100, RST)])]


@script
def reset_peer_on_an_older_connection_is_a_fin(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    stage.toxic("reset_peer", timeout=0)
    stage.at(40)
    upstream.send(b"answer")
    stage.at(100)
    return [(client, [(40, FIN)]), (upstream, [(40, FIN)])]


@script
def reset_peer_that_was_not_drawn_still_resets_at_the_close(stage: Stage) -> Expected:
    stage.toxic("reset_peer", toxicity=0, timeout=0)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(40)
    client.close()
    stage.at(100)
    return [(client, [(0, b"answer"), (40, RST)]), (upstream, [(40, RST)])]


@script
def limit_data_closes_after_the_last_byte(stage: Stage) -> Expected:
    stage.toxic("limit_data", bytes=10)
    client, upstream = stage.connect()
    upstream.send(b"0123")
    stage.at(40)
    upstream.send(b"456789-and-more")
    stage.at(100)
    return [(client, [(0, b"0123"), (40, b"456789"), (40, FIN)]), (upstream, [(40, FIN)])]


@script
def limit_data_of_nothing_closes_at_the_first_byte(stage: Stage) -> Expected:
    stage.toxic("limit_data", "upstream", bytes=0)
    client, upstream = stage.connect()
    stage.at(40)
    client.send(b"ask")
    stage.at(100)
    return [(client, [(40, FIN)]), (upstream, [(40, FIN)])]


@script
def limit_data_counts_on_when_it_is_updated(stage: Stage) -> Expected:
    stage.toxic("limit_data", bytes=10)
    client, upstream = stage.connect()
    upstream.send(b"012345")
    stage.at(40)
    stage.toxic("limit_data", bytes=8)
    stage.at(80)
    upstream.send(b"6789")
    stage.at(140)
    return [(client, [(0, b"012345"), (80, b"67"), (80, FIN)]), (upstream, [(80, FIN)])]


@script
def slicer_cuts_and_waits_after_each_piece(stage: Stage) -> Expected:
    stage.toxic("slicer", average_size=2, size_variation=0, delay=40_000)
    client, upstream = stage.connect()
    upstream.send(b"abcdef")
    stage.at(200)
    return [(client, [(0, b"a"), (40, b"bc"), (80, b"d"), (120, b"ef")])]


@script
def a_removed_slicer_delivers_the_rest_whole(stage: Stage) -> Expected:
    stage.toxic("slicer", average_size=2, size_variation=0, delay=60_000)
    client, upstream = stage.connect()
    upstream.send(b"abcdef")
    stage.at(90)
    stage.heal("slicer")
    stage.at(150)
    return [(client, [(0, b"a"), (60, b"bc"), (90, b"def")])]


@script
def toxics_work_one_behind_the_other(stage: Stage) -> Expected:
    stage.toxic("bandwidth", rate=10)
    stage.toxic("limit_data", bytes=1500)
    client, upstream = stage.connect()
    upstream.send(b"a" * 1000 + b"b" * 1000)
    stage.at(260)
    return [(client, [(100, b"a" * 1000), (200, b"b" * 500), (200, FIN)]), (upstream, [(200, FIN)])]


@script
def a_toxicity_of_nothing_has_no_effect(stage: Stage) -> Expected:
    stage.toxic("latency", toxicity=0, latency=300)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(60)
    return [(client, [(0, b"answer")])]


@script
def a_disabled_proxy_closes_its_connections(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    stage.at(40)
    stage.set_enabled(False)
    stage.at(100)
    with pytest.raises(ConnectionRefusedError):
        stage.connect_client()
    return [(client, [(40, FIN)]), (upstream, [(40, FIN)])]


@script
def a_deleted_proxy_closes_its_connections(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    stage.at(40)
    stage.adapter.delete_proxy(stage.name)
    stage.at(100)
    return [(client, [(40, FIN)]), (upstream, [(40, FIN)])]


@script
def a_new_upstream_address_closes_the_connections(stage: Stage) -> Expected:
    client, upstream = stage.connect()
    stage.at(40)
    stage.adapter.set_upstream(stage.name, "127.0.0.1:1")
    stage.at(100)
    return [(client, [(40, FIN)]), (upstream, [(40, FIN)])]


@script
def an_answer_on_its_way_outlives_the_client_s_close(stage: Stage) -> Expected:
    stage.toxic("latency", latency=140)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(50)
    client.close()
    stage.at(220)
    return [(client, [(140, b"answer"), (140, FIN)]), (upstream, [(50, FIN)])]


@script
def a_request_on_its_way_outlives_the_upstream_s_close(stage: Stage) -> Expected:
    stage.toxic("latency", "upstream", latency=140)
    client, upstream = stage.connect()
    client.send(b"ask")
    stage.at(50)
    upstream.close()
    stage.at(220)
    return [(client, [(50, FIN)]), (upstream, [(140, b"ask"), (140, FIN)])]


@script
def a_reset_drops_the_answer_on_its_way(stage: Stage) -> Expected:
    stage.toxic("latency", latency=140)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(50)
    client.reset()
    stage.at(220)
    return [(upstream, [(50, FIN)])]


@script
def a_disabled_proxy_drops_what_its_toxics_hold(stage: Stage) -> Expected:
    stage.toxic("latency", latency=140)
    client, upstream = stage.connect()
    upstream.send(b"answer")
    stage.at(50)
    stage.set_enabled(False)
    stage.at(220)
    return [(client, [(50, FIN)]), (upstream, [(50, FIN)])]


@script
def slow_close_in_one_direction_holds_both_sides(stage: Stage) -> Expected:
    stage.toxic("slow_close", "upstream", delay=140)
    client, upstream = stage.connect()
    upstream.close()
    stage.at(220)
    return [(client, [(0, FIN)]), (upstream, [(140, FIN)])]


@script
def a_removed_limit_lifts_it(stage: Stage) -> Expected:
    stage.toxic("limit_data", bytes=10)
    client, upstream = stage.connect()
    upstream.send(b"0123")
    stage.at(40)
    stage.heal("limit_data")
    upstream.send(b"456789-and-more")
    stage.at(100)
    return [(client, [(0, b"0123"), (40, b"456789-and-more")])]


@script
def latency_behind_bandwidth_counts_from_the_reading(stage: Stage) -> Expected:
    stage.toxic("bandwidth", rate=10)
    stage.toxic("latency", latency=150)
    client, upstream = stage.connect()
    upstream.send(b"a" * 1000 + b"b" * 1000)
    stage.at(280)
    return [(client, [(150, b"a" * 1000), (200, b"b" * 1000)])]


@script
def a_toxic_is_replaced_by_another_in_the_middle_of_a_stream(stage: Stage) -> Expected:
    stage.toxic("bandwidth", rate=0)
    client, upstream = stage.connect()
    upstream.send(b"first")
    stage.at(60)
    stage.toxic("latency", latency=80)
    stage.heal("bandwidth")
    stage.at(120)
    upstream.send(b"second")
    stage.at(280)
    return [(client, [(80, b"first"), (200, b"second")])]


def play(server: RunningToxiproxy, name: str) -> str:
    """Play a scenario; what came at a wrong time, or nothing. AssertionError for what no delay explains."""
    stage = Stage(server, name)
    try:
        expected = [(end, [Seen(*event) for event in events]) for end, events in SCRIPTS[name](stage)]
        deadline = time.monotonic() + PATIENCE_S
        while any(len(told(end.seen())[0]) < len(told(events)[0]) for end, events in expected) or any(
            told(events)[1] and not told(end.seen())[1] for end, events in expected
        ):
            assert time.monotonic() < deadline, wrongs(stage, expected)
            time.sleep(0.01)
        assert not any(contradicts(end.seen(), events) for end, events in expected), wrongs(stage, expected)
        return wrongs(stage, expected)
    finally:
        stage.clear()


def wrongs(stage: Stage, expected: Sequence[tuple[End, Sequence[Seen]]]) -> str:
    """What each end saw that it should not have, or did not see, or saw at another time."""
    found = (difference(end.seen(), events, stage.slack_ms) for end, events in expected)
    return "\n".join(filter(None, found))


@pytest.mark.parametrize("name", SCRIPTS)
def test_both_ends_see_the_same_behind_either_server(server: RunningToxiproxy, name: str) -> None:
    """A scenario gives its literal history: bytes and their order, FIN and RST, each at its time."""
    for attempt in itertools.count(1):
        wrong = play(server, name)
        if not wrong:
            return
        assert attempt < ATTEMPTS, f"behind the {server.kind} server:\n{wrong}"


@pytest.mark.parametrize(
    ("found", "wanted", "wrong"),
    [
        ([b"ab"], [b"a", b"b"], False),
        ([b"a"], [b"a", b"b", FIN], False),
        ([b"a", b"b", b"c"], [b"ab"], False),
        ([b"ab", FIN], [b"ab"], False),
        ([b"ba"], [b"a", b"b"], True),
        ([b"a", FIN], [b"a", RST], True),
        ([b"a", FIN], [b"a", b"b", FIN], True),
        ([FIN], [b"a"], True),
    ],
)
def test_only_what_a_delay_explains_is_played_again(
    found: list[bytes | str], wanted: list[bytes | str], wrong: bool
) -> None:
    """Pieces and what is still to come are a matter of time; order, loss and the kind of end are not."""
    assert contradicts([Seen(0, what) for what in found], [Seen(0, what) for what in wanted]) is wrong
