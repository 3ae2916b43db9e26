"""What the toolbox asks of the kernel, word for word."""

from __future__ import annotations

import json

import pytest

from experiment.errors import UnsupportedError
from runtimes.containers.specs import Ran
from runtimes.containers.toolbox import Toolbox, loss_removal, loss_rules, netem_commands
from runtimes.docker_engine import EngineError
from runtimes.runtime import Address

DOOR = Address("10.9.0.2", 4711)


class _Engine:
    """Answers each command with what the test says, and keeps what was asked."""

    def __init__(self, **answers: Ran) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._answers = answers

    def run(self, container: str, command: tuple[str, ...]) -> Ran:
        assert container == "toolbox"
        self.asked.append(tuple(command))
        nothing = Ran(0, "[]" if "show" in command else "")
        return self._answers.get(command[0], nothing)


def toolbox(engine: _Engine) -> Toolbox:
    return Toolbox(engine, "toolbox")  # type: ignore[arg-type]


def test_loss_to_the_callee_drops_what_arrives_at_the_proxy() -> None:
    """The share becomes ten-thousandths of what the kernel's generator draws."""
    assert loss_rules("f_f1", DOOR, 0.2, "to_callee") == (
        "add table inet codeblue; "
        "add chain inet codeblue f_f1_input { type filter hook input priority 0; }; "
        "add rule inet codeblue f_f1_input ip daddr 10.9.0.2 tcp dport 4711 counter; "
        "add rule inet codeblue f_f1_input ip daddr 10.9.0.2 tcp dport 4711 "
        "numgen random mod 10000 < 2000 counter drop"
    )


def test_loss_both_ways_drops_what_leaves_as_well_and_is_removed_whole() -> None:
    """Each direction has a chain of its own; removing the fault removes both."""
    script = loss_rules("f_f1", DOOR, 0.005, "both")
    assert "f_f1_input ip daddr 10.9.0.2 tcp dport 4711 numgen random mod 10000 < 50 counter drop" in script
    assert "f_f1_output ip saddr 10.9.0.2 tcp sport 4711 numgen random mod 10000 < 50 counter drop" in script
    assert loss_removal("f_f1", "both") == (
        "add table inet codeblue; "
        "add chain inet codeblue f_f1_input; "
        "flush chain inet codeblue f_f1_input; delete chain inet codeblue f_f1_input; "
        "add chain inet codeblue f_f1_output; "
        "flush chain inet codeblue f_f1_output; delete chain inet codeblue f_f1_output"
    )


def test_only_the_proxy_s_answers_go_through_netem() -> None:
    """All else stays in the first band."""
    commands = netem_commands(4711, ("corrupt", "10.00%"))
    assert " ".join(commands[0]).endswith("root handle 1: prio bands 2 priomap" + " 0" * 16)
    assert " ".join(commands[1]) == "tc qdisc add dev eth0 parent 1:2 handle 20: netem corrupt 10.00%"
    assert " ".join(commands[2]).endswith("u32 match ip sport 4711 0xffff flowid 1:2")


def test_dropped_packets_are_read_from_the_counters_of_both_directions() -> None:
    """The kernel's own counters are the measurement: of what was dropped, and of all that came by."""
    all_of_them = {"rule": {"expr": [{"match": {}}, {"counter": {"packets": 10, "bytes": 600}}]}}
    dropped = {"rule": {"expr": [{"match": {}}, {"counter": {"packets": 3, "bytes": 180}}, {"drop": None}]}}
    listed = json.dumps({"nftables": [{"metainfo": {}}, {"chain": {"name": "x"}}, all_of_them, dropped]})
    assert toolbox(_Engine(nft=Ran(0, listed))).packets("f_f1", "both") == (6, 20)


def test_rules_of_others_are_not_taken_for_faults() -> None:
    """The engine keeps rules of its own in the same network."""
    chains = [
        {"chain": {"table": "codeblue", "name": "f_f1_input"}},
        {"chain": {"table": "nat", "name": "DOCKER_OUTPUT"}},
    ]
    assert toolbox(_Engine(nft=Ran(0, json.dumps({"nftables": chains})))).chains() == ["f_f1_input"]


def test_only_one_fault_at_a_time_goes_through_netem() -> None:
    """A second one would silently take the queue from the first; after its heal it may have it."""
    engine = _Engine()
    box = toolbox(engine)
    box.treat("f1", DOOR, ("corrupt", "1%"))
    with pytest.raises(UnsupportedError, match="f1 damages packets already"):
        box.treat("f2", DOOR, ("corrupt", "1%"))
    box.stop_treating("f2")
    box.stop_treating("f1")
    box.treat("f2", DOOR, ("corrupt", "1%"))
    assert engine.asked.count(("tc", "qdisc", "del", "dev", "eth0", "root")) == 1


def test_rules_are_made_again_after_the_network_was_replaced() -> None:
    """With Toxiproxy its network goes, and every rule in it: what is still active is asked for again."""
    engine = _Engine()
    box = toolbox(engine)
    box.drop("f_f1", DOOR, 0.2, "to_callee")
    box.drop("f_f2", Address(DOOR.host, 4712), 0.2, "to_callee")
    box.treat("f3", DOOR, ("corrupt", "1%"))
    box.stop_dropping("f_f1", "to_callee")
    engine.asked.clear()
    box.rebuild()
    assert [command[0] for command in engine.asked] == ["nft", "tc", "tc", "tc"]
    assert "f_f2" in engine.asked[0][1]
    box.heal()
    engine.asked.clear()
    box.rebuild()
    assert engine.asked == []


def test_netem_is_seen_when_the_kernel_is_read_back() -> None:
    """A queue that nobody asked for any more still damages packets."""
    queues = [{"kind": "prio", "root": True}, {"kind": "netem", "packets": 7}]
    box = toolbox(_Engine(tc=Ran(0, json.dumps(queues))))
    assert box.treats()
    assert box.treated() == 7
    assert not toolbox(_Engine(tc=Ran(0, json.dumps(queues[:1])))).treats()


def test_netem_that_stays_is_told() -> None:
    """Healing is what the kernel shows, not that a command was sent."""
    box = toolbox(_Engine(tc=Ran(0, '[{"kind": "netem"}]')))
    box.treat("f1", DOOR, ("corrupt", "1%"))
    with pytest.raises(EngineError, match="could not take netem away"):
        box.stop_treating("f1")


def test_what_the_kernel_cannot_do_is_found_by_trying() -> None:
    """A kernel without netem refuses the queue, and then nothing needs to be taken away."""
    engine = _Engine(tc=Ran(2, "Error: Specified qdisc kind is unknown."))
    able = toolbox(engine).abilities()
    assert able.loss
    assert not able.netem
    assert ("tc", "qdisc", "del", "dev", "lo", "root") not in engine.asked


def test_a_tool_that_fails_is_quoted() -> None:
    """The message has the command and what it said."""
    with pytest.raises(EngineError, match=r"could not do `df .*`: no such volume"):
        toolbox(_Engine(df=Ran(1, "no such volume\n"))).free_bytes("postgres")


def test_a_tool_whose_output_was_lost_is_asked_again() -> None:
    """Nothing said is not nothing found: it is asked for again, and then told."""
    engine = _Engine()
    with pytest.raises(EngineError, match="said nothing to `nft -j list chains inet`, 3 times"):
        toolbox(engine).chains()
    assert len(engine.asked) == 3
