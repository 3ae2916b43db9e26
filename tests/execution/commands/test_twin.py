"""`twin` and calibrations on the command line, with simulated runs in place of live ones."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from execution.campaigns import distances
from execution.commands.interrupts import interruptible
from execution.options import Options
from execution.places import ROOT
from execution.runs.bench import RunResult
from execution.runs.pipeline import open_bench
from execution.runs.run_folder import RunFolder
from execution.runs.simulated_bench import SimulatedBench
from experiment.errors import UsageError
from experiment.plan import Plan
from experiment.stop import Interrupted, Stop
from harness import cli
from simulation.engine.randomness import Constant
from simulation.model.magnitudes import save_magnitudes
from tests.simulation.reference import usual_sizes

CONTROL = ("smoke/control",)
SMOKE = ("control", "payer_blackhole", "charge_response_lost", "delayed_dose_event", "billing_crash",
         "registry_flapping")  # fmt: skip


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs of the twin instead of live ones; the entries say what is odd about them."""
    odd: dict[str, Any] = {"clean": True}

    def run_plans(
        plans: Sequence[Plan], options: Options, _watch: object, stop: Stop, _started: object
    ) -> Iterator[RunResult]:
        bench = SimulatedBench(plans, options, stop)
        for plan in plans:
            result = replace(bench.run(plan, lambda _: None), clean=odd["clean"])
            if plan.seed in odd.get("cut_short", ()):
                assert result.end is not None
                cut = replace(result.history, end=replace(result.end, reason="interrupted"))
                result = replace(result, history=cut)
            yield result

    monkeypatch.setattr("execution.runs.pipeline.run_plans", run_plans)
    return odd


def twin(out: Path, *words: str, calibration: Path | None = None) -> int:
    """The command, with its runs below `out`."""
    sized = [] if calibration is None else ["--calibration", str(calibration)]
    code: int = cli.main(["twin", *words, "--out", str(out), *sized], standalone_mode=False)
    return code


def sizes(folder: Path, **changes: Any) -> Path:
    path = folder / "sizes.json"
    save_magnitudes(
        replace(usual_sizes(), name="sizes", made_at="2026-01-01T00:00:00+00:00", **changes),
        path,
    )
    return path


@pytest.mark.usefixtures("stand_in")
def test_the_same_sizes_are_close_and_others_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code, the closing line and JSON say so, with the calibration and the runs."""
    page = str(tmp_path / "page.md")
    words = (*CONTROL, "--design", "resilient", "--repeats", "2", "--page", page)
    assert twin(tmp_path, *words, calibration=sizes(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "the same verdict in 1 of 1 comparison;" in said.splitlines()[-1]
    assert "calibration: sizes, made 2026-01-01T00:00:00+00:00 from " in said
    assert "| control | resilient | 2 | live pass, simulated pass |" in (tmp_path / "page.md").read_text()
    slow = sizes(tmp_path, work={"users/pay": Constant(0.5)})
    assert twin(tmp_path, *words, "--json", calibration=slow) == 1
    (found,) = json.loads(capsys.readouterr().out)["result"]
    assert "pay p50 baseline, s" in found["apart"]
    assert found["outcome"] == "apart" and found["seeds"] == [1, 2] and len(found["runs"]) == 2


@pytest.mark.usefixtures("stand_in")
def test_a_twin_without_models_is_compared_in_what_it_predicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides are judged without safety; a scenario that asks for nothing else is not judged, and its
    figures are compared all the same."""
    shop = ("--system", str(ROOT / "examples" / "shop"), "--design", "fixed")
    assert twin(tmp_path, "orders_crash", *shop) == 0
    said = capsys.readouterr().out
    assert "live not judged, simulated not judged" in said and "close     checkout goodput fault" in said
    assert "violations of what was exposed" not in said


def test_what_was_not_seen_healed_is_the_gravest(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    """A run that left something behind ends as 5 however close the figures are."""
    stand_in["clean"] = False
    assert twin(tmp_path, *CONTROL, "--design", "resilient", "--json", calibration=sizes(tmp_path)) == 5


def test_a_run_that_was_cut_short_is_compared_with_nothing(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was finished is told without it, and nothing where nothing was; left unclean it still counts."""
    page, sized = str(tmp_path / "page.md"), sizes(tmp_path)
    words = (*CONTROL, "--design", "resilient", "--repeats", "2", "--page", page)
    stand_in["cut_short"] = [2]
    assert twin(tmp_path, *words, "--json", calibration=sized) == 0
    (found,) = json.loads(capsys.readouterr().out)["result"]
    assert found["seeds"] == [1] and len(found["runs"]) == 1
    stand_in["cut_short"] = [1, 2]
    assert twin(tmp_path, *words, calibration=sized) == 2
    assert "nothing was compared" in (tmp_path / "page.md").read_text(encoding="utf-8")
    stand_in["clean"] = False
    assert twin(tmp_path, *words, calibration=sized) == 5


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Scenario, design and seed of what would be run; nothing is."""
    found: list[tuple[str, str, int]] = []

    def run_plans(plans: Sequence[Plan], *_: object) -> Iterator[RunResult]:
        found.extend((plan.scenario.name, plan.design.name, plan.seed) for plan in plans)
        return (result for result in tuple[RunResult, ...]())

    monkeypatch.setattr("execution.runs.pipeline.run_plans", run_plans)
    return found


def test_a_suite_stands_for_its_entries_and_a_scenario_for_both_designs(
    tmp_path: Path, planned: list[tuple[str, str, int]]
) -> None:
    """By name or path, each scenario and design once however often it is named, its seeds together."""

    def named(*names: str, designs: tuple[str, ...] = (), seed: int | None = None, repeats: int = 1) -> Any:
        planned.clear()
        chosen = [word for design in designs for word in ("--design", design)]
        first = [] if seed is None else ["--seed", str(seed)]
        twin(tmp_path, *names, *chosen, *first, "--repeats", str(repeats), "--json")
        return list(planned)

    smoke = named("smoke")
    assert len(smoke) == 12 and ("billing_crash", "fragile", 1) in smoke
    assert named(str(ROOT / "scenarios" / "suites" / "smoke.yaml"), "control", "smoke/control") == smoke
    assert named("planted_bugs")[0] == ("charge_response_lost", "no_key", 1)
    assert named("control", seed=0, repeats=2) == [
        ("control", "fragile", 0),
        ("control", "fragile", 1),
        ("control", "resilient", 0),
        ("control", "resilient", 1),
    ]
    assert {design for _, design, _ in named("smoke", designs=("no_key",))} == {"no_key"}
    assert named("smoke", designs=("no_key",), seed=7) == [(name, "no_key", 7) for name in SMOKE]


def test_a_name_that_is_no_suite_and_no_scenario_is_refused(tmp_path: Path) -> None:
    """With the nearest of both kinds, before anything is started."""
    for wrong, right in (("smokee", "smoke"), ("controll", "control")):
        expected = f'found no suite or scenario "{wrong}", .*did you mean "{right}"'
        with pytest.raises(UsageError, match=expected):
            twin(tmp_path, wrong)


def test_the_twin_is_not_compared_with_itself(tmp_path: Path) -> None:
    """A simulated runtime is refused by what was found and what was expected."""
    with pytest.raises(UsageError, match=r"found --runtime simulation.* expected a live runtime"):
        twin(tmp_path, *CONTROL, "--runtime", "simulation")


def test_a_simulated_run_names_its_calibration_and_how_to_repeat_it(tmp_path: Path) -> None:
    """The report names the file's sizes and their age, the command the file."""
    from execution.catalogue import default_catalogue
    from execution.runs.preflight import Request, plans

    path = sizes(tmp_path)
    options = Options("simulation", out=tmp_path, calibration=path)
    prepared = plans([Request("smoke/control", "resilient", 1)], default_catalogue(), options)
    with open_bench(prepared, options, Stop()) as bench:
        folder: RunFolder = bench.run(prepared[0], lambda _: None).folder
    assert f"--calibration {path}" in folder.inputs().header.command
    report = (folder.path / "report.md").read_text(encoding="utf-8")
    assert "sizes, made 2026-01-01T00:00:00+00:00 from " in report
    assert " days before this run" in report
    with (
        pytest.raises(UsageError, match=r"found --calibration .* with the runtime processes"),
        open_bench(prepared, replace(options, runtime="processes"), Stop()),
    ):
        pass


def test_a_signal_cuts_the_fit_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two live runs nothing waits for the sizes of the first one."""
    named = SimpleNamespace(name="any")
    run = SimpleNamespace(clean=True, end=None, plan=SimpleNamespace(scenario=named, design=named))
    monkeypatch.setattr(distances, "_own", lambda *_: time.sleep(60.0))
    with interruptible() as interruption:
        began = time.monotonic()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(Interrupted, match="SIGTERM"):
            list(distances.distances(cast(Any, [run]), None, set(), print, interruption.stop))
    assert time.monotonic() - began < 30.0
