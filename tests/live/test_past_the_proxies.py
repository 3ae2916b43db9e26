"""A shop whose orders call the card processor at an address in their own configuration: what the harness does
to the link cannot reach them, and no run of it may be a pass."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.errors import ExitCode
from runtimes.loopback import free_port

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 200


@pytest.mark.live
@pytest.mark.timeout(WITHIN_S)
def test_a_fault_on_a_link_that_nobody_travels_is_no_pass(tmp_path: Path) -> None:
    """The harness's own probes see the fault act, and the orders go well past it: invalid, by both proofs."""
    shop = shutil.copytree(ROOT / "examples" / "shop", tmp_path / "shop")
    port, path = free_port(), shop / "system.yaml"
    text = path.read_text().replace('"http://{payments}"', f'"http://127.0.0.1:{port}"')
    before, mark, after = text.partition('"services.payments:app"')
    after = after.replace('"{port}"', f'"{port}"', 1).replace("build: .", f"port: {port}\n    build: .", 1)
    path.write_text(before + mark + after)
    command = [sys.executable, "harness.py", "run", "charge_response_lost", "--system", str(shop)]
    command += ["--design", "as_it_is", "--time-scale", "0.7", "--out", str(tmp_path / "runs")]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, env=dict(os.environ), check=False
    )
    assert ended.returncode == ExitCode.INVALID, ended.stdout + ended.stderr
    (report,) = (tmp_path / "runs").glob("*/report.json")
    said = json.dumps(json.loads(report.read_text())["report"])
    assert "orders is connected to payments past the proxy: process " in said
    assert "orders -> payments carried nothing" in said
