"""Doctor names what cannot be used, and does not take a setting's word for it."""

from __future__ import annotations

import pytest

from execution.commands.doctor import examine
from runtimes.loopback import free_port


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TOXIPROXY_URL", "http://127.0.0.1:bad"),
        ("TOXIPROXY_URL", f"http://127.0.0.1:{free_port()}"),
        ("TOXIPROXY_SERVER", "/nonexistent"),
        ("TOXIPROXY_SERVER", "/bin/true"),
    ],
)
def test_a_toxiproxy_that_cannot_be_used_is_missing(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    """A URL or a program that is not Toxiproxy is needed and not there, whatever the setting says."""
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
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
