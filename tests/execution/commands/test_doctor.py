"""Doctor names what cannot be used, and does not take a setting's word for it."""

from __future__ import annotations

import pytest

from execution.commands.doctor import examine
from runtimes import quiet
from runtimes.loopback import free_port
from runtimes.machine import Use
from runtimes.quiet import Quietness, measure


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TOXIPROXY_URL", "http://127.0.0.1:bad"),
        ("TOXIPROXY_URL", "http://127.0.0.1:{free}"),
        ("TOXIPROXY_SERVER", "/nonexistent"),
        ("TOXIPROXY_SERVER", "/bin/true"),
    ],
)
def test_a_toxiproxy_that_cannot_be_used_is_missing(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    """A URL or a program that is not Toxiproxy is needed and not there, whatever the setting says."""
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    value = value.format(free=free_port())
    monkeypatch.setenv(setting, value)
    (finding,) = [finding for finding in examine() if finding.name == "toxiproxy"]
    assert (finding.ok, finding.needed) == (False, True)
    assert value in finding.found


def test_doctor_says_which_toxiproxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, kind, and why; the embedded server is good enough."""
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    monkeypatch.setenv("TOXIPROXY_SERVER", "embedded")
    (finding,) = [finding for finding in examine() if finding.name == "toxiproxy"]
    assert finding.found.startswith("2.12.0, embedded: ")
    assert "TOXIPROXY_SERVER asks for it" in finding.found
    assert not finding.needed


@pytest.mark.parametrize(
    ("others", "late_s", "ok", "said", "hint"),
    [
        (0.1, 0.0004, True, "1.9 of 2 cores free, others take 0.1, timers 400 us late (p99)", ""),
        (1.9, 0.0004, False, "others keep it busy", "measure latencies on a quieter machine"),
        (0.9, 0.0004, True, "quiet enough", ""),
        (0.1, 0.03, False, "its timers are late", "where its verdict depends on it"),
    ],
)
def test_doctor_says_whether_the_machine_is_quiet_enough(
    monkeypatch: pytest.MonkeyPatch, others: float, late_s: float, ok: bool, said: str, hint: str
) -> None:
    """By what others take and by how late timers are, with what that means for a run."""
    seen = Quietness(Use(1.0, 2, 0.0, others, 0.0, {"cpu": 0.2}), late_s, 1.5)
    monkeypatch.setattr(quiet, "measure", lambda _: seen)
    (finding,) = [finding for finding in examine() if finding.name == "quiet"]
    assert (finding.ok, finding.needed) == (ok, False)
    assert said in finding.found and hint in finding.hint
    assert "something waited for CPU 20% of the time, load average 1.5" in finding.found


def test_what_others_take_is_measured() -> None:
    """Of a tenth of a second: cores that exist, and timers that are never early."""
    seen = measure(0.1)
    assert seen.late_s >= 0.0 and seen.use.cores >= 1
    assert 0.0 <= seen.use.others <= seen.use.cores + 0.1
    assert " cores free, others take " in str(seen)
