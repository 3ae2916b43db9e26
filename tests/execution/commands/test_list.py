"""What `list` says of the project's files."""

from __future__ import annotations

import shutil
from pathlib import Path

from execution.catalogue import REFERENCE, Catalogue
from execution.commands.list import contents
from execution.places import ROOT


def test_each_thing_is_listed_with_one_whole_sentence() -> None:
    """Fault kinds and properties are told in a sentence that ends."""
    found = contents(Catalogue(REFERENCE))
    sentences = [*found["faults"].values(), *found["properties"].values()]
    assert all(text.endswith(".") and ". " not in text for text in sentences)
    assert found["scenarios"]["smoke/control"].startswith("With no fault injected")


def test_a_switch_is_listed_with_what_it_takes_its_default_and_its_services() -> None:
    """As much as a design needs to set it."""
    switches = contents(Catalogue(REFERENCE))["switches"]
    saga = "A payment is on record before its charge, and is completed or compensated after a crash"
    assert switches["saga"] == f"{saga} (on or off; default off; billing)"
    assert switches["outbox_poll"].partition(" (")[2].startswith("a duration such as 250ms; default 20ms; ")
    assert switches["shedding"].endswith("(a mapping with the keys concurrent or off; default off)")


def test_what_each_cause_and_principle_is_covered_by_is_listed() -> None:
    """How often, and by which scenarios; what nobody covers is said too."""
    found = contents(Catalogue(REFERENCE))
    assert list(found["causes"]) == [str(number) for number in range(1, 8)]
    assert list(found["principles"]) == [str(number) for number in range(1, 11)]
    count, _, names = found["causes"]["3"].partition(" scenarios: ")
    assert "smoke/delayed_dose_event" in names.split(", ")
    assert int(count) == len(names.split(", ")) >= 2
    lamps = contents(Catalogue(ROOT / "tests" / "fixtures" / "lamps" / "system.yaml"))
    assert set(lamps["causes"].values()) == {"no scenario"}


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """A scenario with a mistake is listed with its place; all others keep their titles."""
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    shutil.copytree(ROOT / "reference_system", tmp_path / "reference_system")
    broken = tmp_path / "scenarios" / "smoke" / "control.yaml"
    broken.write_text(broken.read_text(encoding="utf-8").replace("load:", "lod:"), encoding="utf-8")
    found = contents(Catalogue(tmp_path / "reference_system" / "system.yaml"))["scenarios"]
    assert found["smoke/control"].startswith(f"(has mistakes: {broken}:")
    assert found["smoke/billing_crash"].startswith("A crash of billing")
