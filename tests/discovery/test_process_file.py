"""Procfiles: where each process listens, whom it calls, and what is not copied."""

from __future__ import annotations

import pytest

from discovery.process_file import Elsewhere, Process, read_processes
from experiment.errors import ConfigError


def read(text: str, **variables: str) -> dict[str, Process]:
    return {one.name: one for one in read_processes(text, variables, "Procfile")}


@pytest.mark.parametrize(
    ("line", "command", "port"),
    [
        ("gunicorn app:app --bind 0.0.0.0:$PORT", ("gunicorn", "app:app", "--bind", "0.0.0.0:{port}"), 5000),
        ("uvicorn a:b --port ${PORT:-8000}", ("uvicorn", "a:b", "--port", "{port}"), 5000),
        ("node server.js --port 8100", ("node", "server.js", "--port", "{port}"), 8100),
        ("serve --listen=127.0.0.1:81", ("serve", "--listen=127.0.0.1:{port}"), 81),
        ("flask run -p 9000", ("flask", "run", "-p", "{port}"), 9000),
        ("PORT=7000 DEBUG=1 ./run 'a b'", ("./run", "a b"), 7000),
        ("bin/a -p 9000 | tee '{log}'", ("sh", "-c", "bin/a -p {port} | tee '{{log}}'"), 9000),
        ("echo {x}", ("echo", "{{x}}"), 5000),
    ],
)
def test_a_port_becomes_a_placeholder(line: str, command: tuple[str, ...], port: int) -> None:
    """By an option, by the variable PORT, before the command, or within a shell's line."""
    one = read(f"a: {line}\n")["a"]
    assert (one.command, one.port) == (command, port)
    assert one.environment.get("PORT", "") == ("" if "{port}" in " ".join(command) else "{port}")


def test_addresses_of_other_lines_are_links() -> None:
    """Those of the line's own variables are sure; those of the file beside it every process gets."""
    found = read(
        "# a comment\n\nweb: ORDERS=http://localhost:8101 node w.js\napi: node a.js --port 8100\n"
        "orders: o --port 8101\nworker: w\n",
        API="http://127.0.0.1:8100/v1",
        CACHE="localhost:6379",
        SECRET="abc",
    )
    assert found["web"].environment == {
        "ORDERS": "http://{orders}",
        "API": "http://{api}/v1",
        "PORT": "{port}",
    }
    assert found["web"].calls == {
        "orders": ("the variable ORDERS", True, True),
        "api": ("the variable API", True, False),
    }
    assert found["web"].unset == ("CACHE", "SECRET")
    assert found["web"].elsewhere == (Elsewhere("the variable CACHE", 6379, ""),)
    assert found["api"].environment == {"API": "http://{host}:{port}/v1"} and not found["api"].calls
    assert [one.name for one in found.values() if not one.listens] == ["worker"]


def test_what_may_be_a_secret_is_not_copied() -> None:
    """A login or a query: where it leads is kept, and that the rest is missing is said."""
    found = read("a: x --port 8100\nb: y\n", A="http://me:secret@localhost:8100/x?token=abc")
    assert found["b"].environment["A"] == "http://{a} FILL IN"
    assert "secret" not in str(found) and "abc" not in str(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web python\n", 'Procfile:1:1: found the line "web python", expected NAME: COMMAND'),
        ("a: x\na: y\n", 'Procfile:2:1: found the process "a" a second time, expected each name once'),
        ("a: 'x\n", "No closing quotation"),
        ("a: X=1\n", "nothing to run"),
        ("# none\n", "found no process, expected a line such as web: python app.py"),
    ],
)
def test_a_line_that_is_not_understood_is_told(text: str, said: str) -> None:
    """At its place, with what was expected."""
    with pytest.raises(ConfigError) as error:
        read(text)
    assert said in str(error.value)
