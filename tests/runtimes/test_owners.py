"""What an owner's fate is: a pid that is not here is dead only where it would be seen if it lived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtimes import owners
from runtimes.owners import Identity, Owner, Place, read_owner, this_process


def test_an_owner_is_read_back_from_its_label() -> None:
    """Written and read; anything else is nobody's."""
    assert read_owner(str(this_process())) == this_process()
    for label in ("", "4711", "1:2:boot", "x:1:boot:machine:3"):
        assert read_owner(label) is None


def test_a_process_that_is_gone_is_dead_and_this_one_is_alive() -> None:
    """On the same boot, in the same pid namespace."""
    ours = this_process()
    assert ours.fate == "alive"
    assert replace(ours, identity=Identity(ours.identity.pid, 1)).fate == "dead"


@pytest.mark.parametrize(
    ("place", "fate"),
    [
        (Place("boot", "machine", 2), "unknown"),  # a container on this machine
        (Place("another", "machine", 1), "dead"),  # this machine, before it booted
        (Place("another", "machine", 9), "dead"),
        (Place("another", "theirs", 1), "unknown"),
        (Place("another", "", 1), "unknown"),
    ],
)
def test_an_owner_elsewhere_is_never_taken_for_dead(
    place: Place, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pid says nothing here; after a reboot of its own machine nothing of it can live."""
    monkeypatch.setattr(owners, "here", lambda: Place("boot", "machine", 1))
    assert Owner(Identity(1, 1), place).fate == fate


def test_without_a_machine_id_a_reboot_cannot_be_told_from_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two machines without an id are not the same one."""
    monkeypatch.setattr(owners, "here", lambda: Place("boot", "", 1))
    assert Owner(Identity(1, 1), Place("another", "", 1)).fate == "unknown"
