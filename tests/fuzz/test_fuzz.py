"""The short form of `make fuzz`: some hundred mutations of valid files for each reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import READERS, read, seeds


@pytest.mark.parametrize("target", READERS)
def test_a_reader_takes_any_bytes_well(target: str, tmp_path: Path) -> None:
    """A value or an error of ours, whatever was changed in a valid file."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(mutated(seeds(target)))
    def one(content: bytes) -> None:
        read(target, content, tmp_path)

    one()


@pytest.mark.parametrize("target", READERS)
def test_the_seeds_are_taken(target: str, tmp_path: Path) -> None:
    """The files that mutations begin with are valid."""
    assert all(read(target, content, tmp_path) for content in seeds(target))
