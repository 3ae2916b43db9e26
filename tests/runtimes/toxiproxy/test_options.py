"""The command line takes what the original takes, in its syntax, and says what it does not take."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runtimes.links.servers import ROOT
from runtimes.toxiproxy.options import FLAGS, HelpWanted, Options, UsageError, parse, usage


def test_nothing_given_is_the_original_s_default() -> None:
    """Without options the API is on localhost:8474, without metrics and with a random seed."""
    assert parse([]) == Options()
    assert (Options().host, Options().port, Options().seed) == ("localhost", "8474", None)


@pytest.mark.parametrize(
    "words",
    [
        ["-port", "1", "-host", "h", "-seed", "7", "-proxy-metrics"],
        ["--port=1", "--host=h", "--seed=7", "--proxy-metrics"],
        ["-port=1", "-host=h", "-seed=0x7", "-proxy-metrics=true"],
    ],
)
def test_options_are_written_in_any_of_go_s_ways(words: list[str]) -> None:
    """One dash or two, a space or an equals sign."""
    assert parse(words) == Options(host="h", port="1", seed=7, proxy_metrics=True)


def test_our_own_options() -> None:
    """Dial timeout with a unit, half-close and resets."""
    found = parse(
        ["-dial-timeout", "250ms", "-half-close", "-pass-reset", "-runtime-metrics=f", "-config", "c"]
    )
    assert found == Options(dial_timeout_s=0.25, half_close=True, pass_reset=True, config="c")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-nope"], "flag provided but not defined: -nope"),
        (["-port"], "flag needs an argument: -port"),
        (["-seed", "x"], 'invalid value "x" for flag -seed: parse error'),
        (
            ["-seed", "9223372036854775808"],
            'invalid value "9223372036854775808" for flag -seed: value out of range',
        ),
        (["-dial-timeout", "3"], "want numbers with units, such as 10s or 1m30s"),
        (["-dial-timeout", "1m 30s"], "want numbers with units"),
        (["-dial-timeout", "-1s"], "want numbers with units"),
        (["-proxy-metrics=maybe"], 'invalid boolean value "maybe" for -proxy-metrics: parse error'),
        (["---port", "1"], "bad flag syntax: ---port"),
        (["-=x"], "bad flag syntax: -=x"),
    ],
)
def test_mistakes_are_named(words: list[str], reason: str) -> None:
    """What cannot be understood is an error that names it."""
    with pytest.raises(UsageError) as error:
        parse(words)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m30s", 90.0),
        ("500us", 0.0005),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("0", 0.0),
        ("0s", 0.0),
        ("250ms", 0.25),
    ],
)
def test_durations_are_written_as_in_go(text: str, seconds: float) -> None:
    """Numbers with units, one after another."""
    assert parse(["-dial-timeout", text]).dial_timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seed"),
    [("017", 15), ("0b11", 3), ("1_000", 1000), ("-5", -5), ("-9223372036854775808", -(1 << 63))],
)
def test_seeds_are_written_as_in_go(text: str, seed: int) -> None:
    """Any base by its prefix, within 64 bits."""
    assert parse(["-seed", text, "--"]).seed == seed


def test_help_names_every_option() -> None:
    """-help shows all of them."""
    with pytest.raises(HelpWanted):
        parse(["-help"])
    assert all(f"-{name}" in usage() for name in FLAGS)


def test_the_process_prints_its_version_and_ends() -> None:
    """-version prints what the original prints."""
    command = [sys.executable, "-m", "runtimes.toxiproxy", "-version"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (0, "toxiproxy-server version 2.12.0\n")


def test_a_mistake_ends_the_process_with_2() -> None:
    """The exit code of a wrong command line is that of Go's flags."""
    command = [sys.executable, "-m", "runtimes.toxiproxy", "-nope"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("flag provided but not defined: -nope\nUsage of ")
