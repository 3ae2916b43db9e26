"""Containers of a compose project that runs already are wired, disturbed and left as they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.controls import Crash, Delay, NodeProbe, Pause
from experiment.errors import StartError, UnsupportedError
from experiment.topology import load_system
from harness import cli
from measurement.properties import KINDS
from runtimes.attach.consent import find_target
from runtimes.attach.kernel import nft
from runtimes.attach.rules import cut
from runtimes.attach.runtime import AttachRuntime
from tests.live.attached_project import PORT, Project, running_project
from tests.runtimes.attach.pair import until
from tests.runtimes.attach.test_nodes import HOLDER
from tests.runtimes.attach.test_runtime import ROOT, RUN, redirecting
from tests.standin.containers import require_engine

pytestmark = [pytest.mark.docker, redirecting]


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    require_engine()
    with running_project() as one:
        yield one


def rules_of(project: Project, table: str) -> bool:
    """Whether there are rules in the caller's network."""
    pid = project.engine.lodging(project.container("front")).pid
    return nft("list", "table", "ip", table, network=Path(f"/proc/{pid}/ns/net")).code == 0


def test_a_project_is_found_by_its_labels_and_wired_in_its_callers_network(
    project: Project, tmp_path: Path
) -> None:
    """Its pooled connection comes back through the proxy, a delay meets it, rules that somebody takes away
    are told, as is who goes past the proxy then, and nothing is left."""
    system = project.system(tmp_path)
    target = find_target(system)
    runtime = AttachRuntime(system, tmp_path / "var")
    runtime.start(RUN)
    try:
        link = runtime.controls().link("front -> back")
        until(lambda: link.traffic().to_callee > 0)
        assert runtime.leaks() == [] and runtime.trouble() is None and rules_of(project, target.table)
        before = len(project.answers())
        link.impair("f1", Delay(0.3, 0.0, "both"))
        until(lambda: any(took > 0.5 for took in project.answers()[before:]))
        runtime.heal()
        assert runtime.unhealed() == []
        nft("delete", "table", "ip", target.table, network=target.callers["front"].path)
        assert "the packet rule of front -> back is gone: it goes past its proxy" in runtime.leaks()
        assert runtime._wiring is not None
        cut([(one, ()) for one in runtime._wiring.redirects])
        until(lambda: any("front is connected to back past the proxy" in leak for leak in runtime.leaks()))
    finally:
        runtime.stop()
    after = len(project.answers())
    until(lambda: len(project.answers()) > after + 3)
    assert not rules_of(project, target.table) and not list((tmp_path / "var" / "instances").iterdir())


def test_a_killed_harness_leaves_nothing_in_the_containers_network(project: Project, tmp_path: Path) -> None:
    """Its guard removes the rules there without another command, starts what was crashed and
    continues what was held."""
    table = find_target(project.system(tmp_path)).table
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "system.yaml"), str(tmp_path / "var")]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == "held\n"
        assert (
            rules_of(project, table) and project.engine.state(project.container("front")).status == "paused"
        )
        os.kill(owner.pid, signal.SIGKILL)
    until(lambda: not list((tmp_path / "var" / "instances").iterdir()), 60.0)
    assert not rules_of(project, table)
    after = len(project.answers())
    until(lambda: len(project.answers()) > after + 3)


def test_containers_are_killed_and_held_by_their_engine_and_wired_anew(
    project: Project, tmp_path: Path
) -> None:
    """A caller that was started again has another network, whose rules lead through the proxy as before."""
    runtime = AttachRuntime(project.system(tmp_path), tmp_path / "var")
    runtime.start(RUN)
    try:
        nodes, link = runtime.controls(), runtime.controls().link("front -> back")
        front, back = nodes.node("front"), nodes.node("back")
        for one in (back, front):
            before = one.probe(1.0)
            one.act("f1", Crash())
            assert one.probe(0.5).state == "absent" and runtime.trouble() is None and runtime.leaks() == []
            one.undo("f1")
            assert one.probe(1.0).state == "running" and one.probe(1.0).identity != before.identity
            carried = link.traffic().to_callee
            until(lambda seen=carried: link.traffic().to_callee > seen)  # type: ignore[misc]  # bound now
            assert runtime.leaks() == [] and runtime.unhealed() == [] and runtime.trouble() is None
        back.act("f2", Pause())
        assert back.probe(0.5) == NodeProbe("paused", False, None, back.probe(0.5).identity)
        runtime.heal()
        assert back.probe(1.0).answers and runtime.unhealed() == []
    finally:
        runtime.stop()
    after = len(project.answers())
    until(lambda: len(project.answers()) > after + 3)


def test_what_a_project_does_not_have_is_told_by_name(project: Project, tmp_path: Path) -> None:
    """A service of another name, and a project that does not run."""
    project.system(tmp_path)
    file = tmp_path / "system.yaml"
    text = file.read_text()
    file.write_text(text.replace("back", "rear"))
    with pytest.raises(UnsupportedError, match=f'found no container of rear in the project "{project.name}"'):
        find_target(load_system(file, KINDS))
    file.write_text(text.replace(f"project: {project.name}", "project: nobodys"))
    with pytest.raises(StartError, match='found no container of the project "nobodys", expected it to run'):
        find_target(load_system(file, KINDS))


def test_the_first_files_of_a_project_that_runs_name_its_parts_ports_and_links(
    project: Project, tmp_path: Path
) -> None:
    """Of its containers: where they listen, who is named in their commands, and who is connected."""
    assert cli.main(["init", "--attach", project.name, "--into", str(tmp_path)], standalone_mode=False) == 0
    system = load_system(tmp_path / "system.yaml", KINDS)
    assert system.attach is not None and system.attach.project == project.name
    assert system.link_names == ("front -> back",) and system.attach.services["back"].port == PORT
    assert "an open connection" in (tmp_path / "system.yaml").read_text()
    assert find_target(system).parts["back"].lodging is not None
    with pytest.raises(StartError, match="that runs, expected one at least"):
        cli.main(["init", "--attach", "nobodys", "--into", str(tmp_path / "other")], standalone_mode=False)
