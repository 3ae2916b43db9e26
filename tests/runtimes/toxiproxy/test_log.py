"""Log lines are JSON, from the level that LOG_LEVEL asks for."""

from __future__ import annotations

import json

import pytest

from runtimes.toxiproxy.log import Level, Log, level_from


@pytest.mark.parametrize(
    ("value", "level"),
    [(None, Level.INFO), ("debug", Level.DEBUG), ("ERROR", Level.ERROR), ("loud", Level.INFO)],
)
def test_the_level_comes_from_the_environment(value: str | None, level: Level) -> None:
    """Any case; a word that is no level is as none."""
    assert level_from(value) is level


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Level, fields, time and message, and nothing below the level."""
    log = Log(Level.INFO)
    log.debug("not this")
    log.info("Started proxy", name="a\nb", port=5)
    log.error("Unexpected")
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["level"], first["message"], first["name"], first["port"]) == (
        "info",
        "Started proxy",
        "a\nb",
        5,
    )
    assert second["level"] == "error"
    assert first["time"].endswith("Z")
