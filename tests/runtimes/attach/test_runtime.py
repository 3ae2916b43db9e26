"""A running system is wired, disturbed and left as it was, whatever becomes of the harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.controls import Delay
from experiment.errors import StartError, UnsupportedError
from runtimes.attach.consent import find_target
from runtimes.attach.kernel import nft
from runtimes.attach.rules import mount_of_groups, require_rules
from runtimes.attach.runtime import AttachRuntime
from runtimes.guard import BEAT
from runtimes.guard.__main__ import silent
from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import find_server, start_server
from runtimes.runtime import RunSettings
from tests.runtimes.attach.pair import Pair, running_pair, until

ROOT = Path(__file__).resolve().parents[3]


def _refusal() -> str:
    """Why connections cannot be redirected here; empty where they can. Programs that are missing can be
    installed, what the kernel has not mounted cannot."""
    try:
        require_rules(groups=True, networks=False)
    except UnsupportedError as error:
        kernel = "no cgroup v2" in str(error)
        return f"{'this machine does not let us' if kernel else 'needs root and nft'}: {error}"
    return ""


REFUSAL = _refusal()
redirecting = pytest.mark.skipif(bool(REFUSAL), reason=REFUSAL or "redirected")
RUN: RunSettings = None  # type: ignore[assignment]  # a running system is not set to anything
OWNER = """
import sys, time
from pathlib import Path
from experiment.topology import load_system
from measurement.properties import KINDS
from runtimes.attach.runtime import AttachRuntime
runtime = AttachRuntime(load_system(Path(sys.argv[1]), KINDS), Path(sys.argv[2]))
runtime.start(None)
print("wired", flush=True)
time.sleep(600)
"""


def group_of(pair: Pair) -> str:
    return Path(f"/proc/{pair.front.pid}/cgroup").read_text().splitlines()[-1]


@redirecting
def test_a_running_pair_is_wired_disturbed_and_left_as_it_was(tmp_path: Path) -> None:
    """Its pooled connection comes back through the proxy, a delay meets it, and nothing is left."""
    with running_pair(tmp_path) as pair:
        system, home = pair.system(tmp_path), group_of(pair)
        target = find_target(system)
        runtime = AttachRuntime(system, tmp_path / "var")
        runtime.start(RUN)
        link = runtime.controls().link("front -> back")
        until(lambda: link.traffic().to_callee > 0)
        assert runtime.leaks() == [] and runtime.unhealed() == [] and runtime.trouble() is None
        before = len(pair.answers())
        link.impair("f1", Delay(0.3, 0.0, "both"))
        until(lambda: any(took > 0.5 for took in pair.answers()[before:]))
        assert sorted(runtime.unhealed()) == [
            "proxy front--back has the toxic f1-downstream",
            "proxy front--back has the toxic f1-upstream",
        ]
        runtime.heal()
        assert runtime.unhealed() == []
        with pytest.raises(StartError, match="another run goes on at this target"):
            AttachRuntime(system, tmp_path / "var").start(RUN)
        assert runtime.leaks() == [], "the refused run has undone the first one's rules"
        runtime.stop()
        after = len(pair.answers())
        until(lambda: len(pair.answers()) > after + 3)
        assert group_of(pair) == home and nft("list", "table", "ip", target.table).code != 0
        assert not list(mount_of_groups().glob(f"codeblue-{target.name}*"))
        assert not list((tmp_path / "var" / "instances").iterdir())


@redirecting
def test_rules_that_somebody_takes_away_are_told_as_leaks(tmp_path: Path) -> None:
    """What is not redirected any more goes past its proxy."""
    with running_pair(tmp_path) as pair:
        system = pair.system(tmp_path)
        runtime = AttachRuntime(system, tmp_path / "var")
        runtime.start(RUN)
        try:
            nft("delete", "table", "ip", find_target(system).table)
            assert "the packet rule of front -> back is gone: it goes past its proxy" in runtime.leaks()
        finally:
            runtime.stop()


@redirecting
def test_a_killed_harness_leaves_nothing_at_the_running_system(tmp_path: Path) -> None:
    """Its guard removes rules, proxies and groups without another command, and the caller goes on."""
    with running_pair(tmp_path) as pair:
        system, home = pair.system(tmp_path), group_of(pair)
        words = [sys.executable, "-c", OWNER, str(tmp_path / "system.yaml"), str(tmp_path / "var")]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None and owner.stdout.readline() == "wired\n"
            assert group_of(pair) != home
            os.kill(owner.pid, signal.SIGKILL)
        until(lambda: not list((tmp_path / "var" / "instances").iterdir()), 60.0)
        assert nft("list", "table", "ip", find_target(system).table).code != 0 and group_of(pair) == home
        after = len(pair.answers())
        until(lambda: len(pair.answers()) > after + 3)


def test_an_owner_that_promised_to_be_heard_of_and_is_not_counts_as_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A harness that hangs, or is stopped, holds nobody's system: ten seconds without a word are enough."""
    assert not silent(tmp_path)
    (tmp_path / BEAT).write_text("100.0")
    monkeypatch.setattr("runtimes.guard.__main__.time.monotonic", lambda: 109.0)
    assert not silent(tmp_path)
    monkeypatch.setattr("runtimes.guard.__main__.time.monotonic", lambda: 111.0)
    assert silent(tmp_path)


@pytest.mark.parametrize("hard_wired", [False, True])
def test_proxies_that_are_there_already_are_used_and_a_caller_that_does_not_is_found_out(
    hard_wired: bool, tmp_path: Path
) -> None:
    """No rule is needed: the user's Toxiproxy has the link's proxy. A caller with the callee's address in its
    code goes past it, which is a leak, and so an invalid run."""
    own = start_server(find_server(), folder=tmp_path, seed=None, deadline_s=10.0)
    try:
        server = Toxiproxy(own.host, own.port, token=own.token)

        def door(port: int) -> int:
            for name in ("others", "theirs"):
                state = server.create_proxy(name, listen="127.0.0.1:0", upstream=f"127.0.0.1:{port}")
            return port if hard_wired else state.port

        with running_pair(tmp_path, door) as pair:
            more = f'  toxiproxy: "{own.host}:{own.port}"\n  links: {{front -> back: {{proxy: theirs}}}}\n'
            runtime = AttachRuntime(pair.system(tmp_path, more), tmp_path / "var")
            runtime.start(RUN)
            try:
                leaks = runtime.leaks()
                assert bool(leaks) is hard_wired
                assert all("front is connected to back past the proxy" in leak for leak in leaks)
                server.put_toxic(
                    "others", "mine", kind="latency", stream="upstream", attributes={"latency": 1}
                )
                runtime.controls().link("front -> back").impair("f1", Delay(0.1, 0.0, "to_callee"))
                runtime.heal()
                assert runtime.unhealed() == [] and server.proxy("others").toxics, (
                    "another's proxy was touched"
                )
            finally:
                runtime.stop()
            assert server.proxy("theirs").enabled and server.proxy("theirs").toxics == ()
    finally:
        own.stop()
