"""What each switch of a design is worth: rows from records, and a short table from the twin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from comparison.ablation import HEAD, Ablated, AblationReport, ablated, ablation_markdown, ranked
from execution.campaigns.ablation import lacking, obeyed
from execution.catalogue import default_catalogue
from execution.places import ROOT
from experiment.errors import UsageError
from experiment.needs import needed
from harness import cli
from tests.execution.builders import record

WEIGHTS = {"a": 3.0, "b": 1.0}
WHOLE = [
    record(number, seed, scenario=scenario, design="strong", score=90.0, violated=("slow",))
    for number, scenario in enumerate(WEIGHTS)
    for seed in (1, 2)
]
SUITE = """\
name: short
entries:
  - {scenario: smoke/charge_response_lost, design: resilient}
  - {scenario: smoke/payer_blackhole, design: resilient}
"""


def without(seed: int, score: float | None, **known: object) -> object:
    return record(0, seed, scenario="a", design="strong_without_key", score=score, **known)


def row(*records: object) -> Ablated:
    return ablated("key", WHOLE, list(records), WEIGHTS)  # type: ignore[arg-type]  # each is a RunRecord


def test_a_switch_is_worth_what_its_lack_costs_over_all_scenarios() -> None:
    """Scenario a weighs three of four and loses 90 and 40 points; b is the same with and without."""
    found = row(
        without(
            1, 0.0, vetoed=True, violated=("twice", "slow"), safety=("twice",), missed=("pay p95 in fault",)
        ),
        without(2, 50.0, violated=("slow",), missed=("pay p95 in fault",)),
    )
    assert found.points is not None
    assert found.points.mean == pytest.approx(-0.75 * (90 + 40) / 2)
    assert (found.played, found.most, found.most_points, found.unscored) == (1, "a", -65.0, 0)
    assert [(one.name, one.scenario, one.runs, one.of, one.veto) for one in found.properties] == [
        ("twice", "a", 1, 2, True)
    ], "what the whole design violates as often is not the switch's"
    assert [(one.name, one.runs) for one in found.objectives] == [("pay p95 in fault", 2)]


def test_runs_without_a_score_leave_the_points_unknown_and_are_counted() -> None:
    """An invalid run is no loss and no gain."""
    found = row(without(1, None), without(2, None))
    assert (found.points, found.unscored, found.most) == (None, 2, "")


def test_a_switch_that_nobody_obeys_costs_nothing() -> None:
    """Then the two designs are the same in every scenario, and the table says so."""
    found = row()
    assert found.points is not None and found.points.mean == 0.0
    report = AblationReport("strong", "full", "simulation", "compare", ("a", "b"), (1, 2), 4, (found,))
    assert "| key | 0.0 | – | no scenario has a service that obeys it | – |" in ablation_markdown(report)


def test_the_dearest_switch_comes_first() -> None:
    """In a table of forty rows a reader looks at the top."""
    dear, cheap = row(without(1, 10.0), without(2, 10.0)), row(without(1, 80.0), without(2, 80.0))
    assert ranked([cheap, dear]) == (dear, cheap)


def ablate(folder: Path, *words: str) -> int:
    path = folder / "short.yaml"
    path.write_text(SUITE, encoding="utf-8")
    words = ("compare", "--suite", str(path), "--system", str(ROOT / "reference_system"), "--repeats", "1",
             "--runtime", "simulation", *words)  # fmt: skip
    return int(cli.main(words, standalone_mode=False))


def test_the_table_of_a_short_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys a lost response charges twice; without them nothing changes at a silent insurer."""
    assert ablate(tmp_path, "--ablate", "resilient", "--only", "idempotency_key") == 0
    head, _, line, *_ = capsys.readouterr().out.splitlines()
    assert head == "| " + " | ".join(HEAD) + " |"
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "idempotency_key"
    assert float(cells[1].split()[0]) < -10
    assert cells[2].startswith("charge_response_lost -")
    assert cells[3].startswith("**no_duplicate_charge** (charge_response_lost)")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--ablate", "resilient", "fragile"), "--ablate with more beside it"),
        (("--only", "saga"), "--only without --ablate"),
        (("--ablate", "resilient", "--only", "sagas"), 'the switch "sagas"'),
    ],
)
def test_what_makes_no_sense_beside_it_is_refused(tmp_path: Path, words: tuple[str, ...], found: str) -> None:
    """Before anything is played."""
    with pytest.raises(UsageError, match=re.escape(found)):
        ablate(tmp_path, *words)


def test_a_design_is_played_only_where_its_switch_is_somebodys_own() -> None:
    """A saga is billing's: where no billing runs, nothing can differ, though a design names it for all."""
    catalogue = default_catalogue(ROOT / "reference_system")
    system = catalogue.system()
    complete = catalogue.design("resilient", system)
    without = lacking(complete, system)["saga"]
    where = {
        name: obeyed(without, part) != obeyed(complete, part)
        for name in ("smoke/billing_crash", "smoke/delayed_dose_event", "catalogue/hl7_ack_lost")
        for part in [needed(system, catalogue.scenario(name, system))]
    }
    assert list(where.values()) == [True, False, False]


def test_each_worse_choice_of_a_switch_is_a_row_of_its_own() -> None:
    """A hand-over may be checked against the copy, the current version or a reserved one: two are worse."""
    catalogue = default_catalogue(ROOT / "reference_system")
    system = catalogue.system()
    found = lacking(catalogue.design("resilient", system), system)
    forms = {
        name: d.services["pharmacy"]["dispense_check"] for name, d in found.items() if "dispense" in name
    }
    assert forms == {"dispense_check": "projection", "dispense_check: current_read": "current_read"}
