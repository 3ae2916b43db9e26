"""`twin` ended by a signal: healed, stopped, and what was finished is told."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.live.harness_process import SCENARIOS, HarnessProcess, alive

pytestmark = pytest.mark.live


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_second_run_tells_the_distance_of_the_first(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """In the middle of its fault: healed, nothing left running, the page and the exit code are there."""
    page = tmp_path / "page.md"
    words = ("twin", str(SCENARIOS / "quiet.yaml"), "--repeats", "2", "--design", "resilient")
    harness = HarnessProcess(tmp_path, *words, "--page", str(page))
    try:
        harness.until("active", times=2)
        family = harness.family()
        assert len(family) > 8, "the services, the stores, Toxiproxy and the load run"
        harness.started.send_signal(number)
        assert harness.exit_code() == code, harness.said
    finally:
        if harness.started.poll() is None:
            harness.started.terminate()
            harness.started.wait(30)
    faults = [row["event"] for row in harness.rows("fault")]
    assert faults.count("active") == faults.count("healed") == 2
    assert sorted((row["reason"], row["clean"]) for row in harness.rows("end")) == [
        ("completed", True),
        ("interrupted", True),
    ]
    assert not alive(family)
    assert "quiet on resilient, seed 1: live " in harness.said
    assert re.match(r"the same verdict in [01] of 1 comparison; ", harness.said.splitlines()[-1])
    assert "| quiet | resilient | 1 | live " in page.read_text(encoding="utf-8")
