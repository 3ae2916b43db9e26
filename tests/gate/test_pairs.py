"""Scenarios of two sides are the same by their paths."""

from __future__ import annotations

from gate.pairs import scenario_names


def test_files_of_one_name_in_two_folders_are_two_scenarios() -> None:
    """Each run belongs to the one whose folder it names, wherever that lies on its machine."""
    names = scenario_names(
        ["chaos/smoke/control.yaml", "chaos/night/control.yaml"],
        ["/old/chaos/night/control.yaml", "smoke/control", "control"],
    )
    assert names["chaos/smoke/control.yaml"] == names["smoke/control"] == "smoke/control"
    assert names["chaos/night/control.yaml"] == names["/old/chaos/night/control.yaml"] == "night/control"
    assert names["control"] == "control", "nothing says which of the two it is"


def test_one_scenario_may_lie_elsewhere_on_each_side() -> None:
    """Where no side has two of a name, the name is enough."""
    names = scenario_names(["scenarios/smoke/control.yaml", "slow"], ["/x/control.yaml"], ["smoke/control"])
    assert set(names.values()) == {"control", "slow"}
