"""What terminals of any width, pipelines and terminals without abilities are shown."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from execution.commands import saying, terminal
from execution.commands.progress import RunProgress, Runs
from execution.runs.live_run import Progress
from experiment.tables import Table
from experiment.units import parse_latency_bound
from load.account import LoadProgress
from tests.simulation.reference import design, plan_of, scenario

ROOT = Path(__file__).resolve().parents[3]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LOAD = LoadProgress(7.0, 12, 11, 0.093, {"timeout": 3}, 2, {"pay": 2.5})
WIDE = Table(
    "All scenarios: outcome",
    ("scenario", "design", "verdict", "why"),
    (("smoke/charge_response_lost", "fragile", "FAIL (veto)", "17 duplicate charges on 12 invoices " * 4),),
    ("fail",),
    painted=2,
)


class Tty(io.StringIO):
    """Takes what a terminal would show."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [part for text in self.getvalue().split("\n") for part in ESCAPES.sub("", text).split("\r")]


Screen = Callable[..., Tty]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """Both streams are a terminal of that width, with these variables beside TERM=xterm."""

    def make(width: int, **variables: str) -> Tty:
        terminal.SCREEN.clear()
        made = Tty()
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": str(width), **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setattr(sys, "stderr", made)
        return made

    yield make
    terminal.SCREEN.clear()


def progress(phase: str = "fault", load: LoadProgress | None = LOAD) -> Progress:
    return Progress(6.5, 24.0, phase, ("lost_response on billing -> payments",), load)


def watched(phases: tuple[str, ...] = ("fault",), load: LoadProgress | None = LOAD) -> None:
    """A run that is watched, with a look a phase."""
    watcher = Runs(12)(plan_of(scenario("charge_response_lost"), design("fragile")))
    for phase in phases:
        watcher._shown = 0.0
        watcher(progress(phase, load))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_live_display_fits_any_width(screen: Screen, width: int) -> None:
    """Run, phase, fault, rate, p95 beside its objective and errors; no line is wider than the terminal."""
    seen = screen(width)
    watched()
    told = "\n".join(seen.lines())
    assert max(map(len, seen.lines())) <= width
    for part in ("run 1 of 12", "charge_response_lost on fragile", "fault, 6.5 of 24 s", "11 op/s"):
        assert part in told
    assert "lost_response on billing -> payments" in told
    assert "pay 2.5 s, objective <= 2s (above)" in told and "3 errors" in told


def test_an_objective_beside_the_baseline_is_shown_and_not_judged() -> None:
    """What is allowed is known when the run is judged, not while it goes on."""
    plan = plan_of(scenario("charge_response_lost"), design("fragile"))
    (asked,) = plan.scenario.expect.fault
    beside = replace(asked, p95=parse_latency_bound("<= baseline + 5%"))
    expect = replace(plan.scenario.expect, fault=(beside,))
    watcher = RunProgress(replace(plan, scenario=replace(plan.scenario, expect=expect)), "run 1")
    assert ("p95", "pay 2.5 s, objective <= baseline + 5%") in watcher.rows(progress())


def test_the_live_display_is_taken_away_before_anything_is_said(screen: Screen) -> None:
    """A sentence begins on a line of its own, and the cursor stays visible for whoever ends it at once."""
    seen = screen(80)
    watched()
    before = len(seen.getvalue())
    terminal.SCREEN.clear()
    assert "\x1b[2K" in seen.getvalue()[before:]
    assert seen.getvalue().rfind("\x1b[?25h") > seen.getvalue().rfind("\x1b[?25l")


def test_a_terminal_that_is_gone_ends_no_run(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown of a run must not be able to spoil it."""
    seen = screen(80)

    def gone(_text: str) -> int:
        raise OSError(5, "Input/output error")

    watched()
    monkeypatch.setattr(seen, "write", gone)
    watched()
    terminal.SCREEN.clear()
    saying.tell("nobody reads this")


def test_without_a_terminal_each_phase_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a pipeline says which run it is, its phases with their times and faults, and the load."""
    watched(("warm_up", "baseline", "baseline", "fault", "fault"))
    begun, *phases = capsys.readouterr().err.splitlines()
    assert begun == "run 1 of 12: charge_response_lost on fragile, seed 1"
    named = [re.findall(r"seed 1: ([a-z-]+), ", text)[0] for text in phases]
    assert named == ["warm-up", "baseline", "fault"]
    assert "of 24 s; lost_response on billing -> payments; latest second: 11 op/s, p95 93 ms" in phases[-1]
    assert "\x1b" not in "".join(phases)


def test_a_dumb_terminal_gets_lines_and_no_escapes(screen: Screen) -> None:
    """TERM=dumb moves nothing and colours nothing."""
    seen = screen(80, TERM="dumb")
    watched()
    saying.say_table(WIDE)
    assert "\x1b" not in seen.getvalue() and "\r" not in seen.getvalue()
    assert "run 1 of 12: charge_response_lost" in seen.getvalue()


@pytest.mark.parametrize("how", ["NO_COLOR", "--no-color"])
def test_colours_are_left_out_when_asked(screen: Screen, how: str) -> None:
    """By the variable or by the option; without either the verdict has its colour."""
    seen = screen(100)
    saying.say_table(WIDE)
    assert COLOURS.search(seen.getvalue())
    seen = screen(100, **({"NO_COLOR": "1"} if how == "NO_COLOR" else {}))
    context = click.Context(click.Command("x"), color=False if how == "--no-color" else None)
    with context:
        saying.say_table(WIDE)
        watched()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", seen.getvalue())


def test_quiet_runs_say_nothing_on_their_way(capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet keeps results and mistakes."""
    context = click.Context(click.Command("x"))
    context.meta[terminal.QUIET] = True
    with context:
        watched(("baseline", "fault"))
        saying.tell("a mistake")
    assert capsys.readouterr().err == "a mistake\n"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_fit_any_width_and_lose_nothing(screen: Screen, width: int) -> None:
    """Cells are wrapped, never cut."""
    seen = screen(width)
    saying.say_table(WIDE)
    assert max(map(len, seen.lines())) <= width
    told = re.sub(r"\s", "", "".join(seen.lines()))
    assert told.count("duplicate") + told.count("invoices") >= 4 and "…" not in told


def test_off_a_terminal_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Pipelines search lines: nothing is wrapped, cut or framed."""
    saying.say_table(WIDE)
    title, head, row = capsys.readouterr().out.splitlines()
    assert title == "All scenarios: outcome" and head.split() == list(WIDE.head)
    assert row.startswith("smoke/charge_response_lost  fragile  FAIL (veto)  17 duplicate")


def test_text_of_others_does_not_act_in_a_table(screen: Screen) -> None:
    """Escapes and marks that came from a service are shown as what they are."""
    seen = screen(80, NO_COLOR="1")
    saying.say_table(Table("a\x1b[2J", ("b\x07",), (("\x1b]0;owned\x07c[bold]d",),)))
    assert (
        "\x07" not in seen.getvalue() and "\x1b]" not in seen.getvalue() and "\x1b[2J" not in seen.getvalue()
    )
    assert "[bold]d" in seen.getvalue()


def test_a_run_without_a_second_of_load_says_so() -> None:
    """Nothing is made up before the first report of the generator."""
    watcher = RunProgress(plan_of(scenario("charge_response_lost"), design("fragile")), "run 1")
    assert ("load", "has not begun") in watcher.rows(progress(load=None))


@pytest.mark.parametrize(("option", "coloured"), [([], True), (["--no-color"], False)])
def test_a_real_terminal_of_60_columns_is_never_overrun(option: list[str], coloured: bool) -> None:
    """`list` through a pseudo terminal, as a shell starts it."""
    parent, child = pty.openpty()
    subprocess.run(["stty", "-F", os.ttyname(child), "cols", "60", "rows", "40"], check=True)
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "harness.py", "list", *option], cwd=ROOT, stdout=child, stderr=child,
        env={**variables, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(child)
    said = b""
    while process.poll() is None or select.select([parent], [], [], 0)[0]:
        try:
            said += os.read(parent, 65536)
        except OSError:  # what a terminal says at its end
            break
    os.close(parent)
    assert process.wait() == 0
    text = said.decode()
    assert max(len(ESCAPES.sub("", part)) for part in text.splitlines()) <= 60
    assert bool(re.search(r"\x1b\[[0-9;]*m", text)) is coloured
