"""Services of a Procfile, as foreman, honcho or Heroku start them: where each listens and whom it calls.

A line is `name: command`; variables come from `.env` beside it and from the begin of a command. Addresses of
this machine with the port of another line are links.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from experiment.errors import ConfigError, Location, Problem

FIRST_PORT, STEP = 5000, 100  # the ports that such tools give, one line after the other
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.S)
_PORT_WORD = re.compile(r"\$(?:PORT\b|\{PORT(?::-\d+)?\})")
_OPTION = re.compile(r"(?:--port|-p)(?:=|$)|--(?:bind|listen|addr|address)(?:=|$)|-b$")
_ENDS_IN_PORT = re.compile(r"(?:^|.*[:=])(?P<port>\d{2,5})")
_HERE = re.compile(r"(?<![\w.])(?P<host>localhost|127\.0\.0\.1|0\.0\.0\.0):(?P<port>\d{2,5})(?!\d)")
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9]*)(?:\+[a-z0-9_]+)?://[^\s]*$", re.I)
_SHELL = re.compile(r"[|&;<>`*?~]|\$[A-Za-z_{(]")
PORT = "{port}"
WEB = "web"  # the line that gets what users send, by the custom of such files
REST = "FILL IN"
"""Ends a text whose rest may be a secret, and is not copied."""
_SECRET = re.compile(r"[@?]")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An address of this machine that no line of the file listens at, in the variable `where`."""

    where: str
    port: int
    scheme: str


@dataclass(frozen=True, slots=True)
class Process:
    """One line: its command with placeholders, and the port that it listens at, or is given by the variable
    PORT. `listens` is off where nothing tells that it does: a worker, probably.

    `environment` are the variables that name other services, with placeholders; `unset` are the names of the
    others, whose values may be secrets. `calls` maps a callee to (where it is named, whether over HTTP,
    whether only this service has that text).
    """

    name: str
    command: tuple[str, ...]
    port: int
    listens: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    calls: Mapping[str, tuple[str, bool | None, bool]] = field(default_factory=dict)
    elsewhere: tuple[Elsewhere, ...] = ()


def read_processes(text: str, variables: Mapping[str, str], source: str) -> tuple[Process, ...]:
    """Every line of a Procfile; `variables` are those of the file beside it. Raises ConfigError for a line
    that is not understood, at its place."""
    found: dict[str, tuple[Process, dict[str, str]]] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        where = Location(source, number, 1)
        if match is None:
            problems.append(Problem(where, f'the line "{line.strip()}"', "NAME: COMMAND"))
        elif match["name"] in found:
            problems.append(Problem(where, f'the process "{match["name"]}" a second time', "each name once"))
        else:
            try:
                usual = FIRST_PORT + STEP * len(found)
                found[match["name"]] = _process(match["name"], match["command"], usual)
            except ValueError as error:
                problems.append(Problem(where, f'the command "{match["command"]}" ({error})', "words"))
    if not found and not problems:
        problems.append(Problem(Location(source), "no process", "a line such as web: python app.py"))
    if problems:
        raise ConfigError(problems)
    ports = {one.port: name for name, (one, _) in found.items()}
    linked = [_linked(one, own, variables, ports) for one, own in found.values()]
    called = {callee for one in linked for callee in one.calls}
    return tuple(replace(one, listens=one.listens or one.name in (*called, WEB)) for one in linked)


def _process(name: str, command: str, usual: int) -> tuple[Process, dict[str, str]]:
    """The process without its links, and the variables that its own line sets."""
    own: dict[str, str] = {}
    words = shlex.split(command)
    rest = command
    while words and (assigned := _ASSIGNMENT.fullmatch(words[0])):
        own[assigned["name"]] = assigned["value"]
        rest = rest.strip().partition(" ")[2] if _plain_begin(rest) else shlex.join(words[1:])
        words = words[1:]
    if not words:
        raise ValueError("nothing to run")
    told = _PORT_WORD.search(rest) is not None
    port = _number(own.get("PORT", "")) or (usual if told else 0)
    argv = [_PORT_WORD.sub(PORT, _escaped(word)) for word in words]
    if not told:
        port = _port_of(argv, port)
    if _SHELL.search(_PORT_WORD.sub("", rest)):
        script = _PORT_WORD.sub(PORT, _escaped(rest))
        argv = ["sh", "-c", re.sub(rf"(?<!\d){port}(?!\d)", PORT, script) if port and not told else script]
    return Process(name, tuple(argv), port or usual, listens=bool(port)), own


def _plain_begin(rest: str) -> bool:
    return not set("'\"\\") & set(rest.strip().partition(" ")[0])


def _escaped(text: str) -> str:
    """Braces that are no placeholders; those of ${PORT} are replaced first."""
    kept = _PORT_WORD.sub("\0", text)
    return kept.replace("{", "{{").replace("}", "}}").replace("\0", "$PORT")


def _port_of(argv: list[str], port: int) -> int:
    """The port among options such as `--port 8000`, which is replaced in `argv`; else the known one."""
    for at, word in enumerate(argv):
        option = _OPTION.match(word)
        if option is None:
            continue
        index = at if option.group().endswith("=") else at + 1
        ends = _ENDS_IN_PORT.fullmatch(argv[index]) if index < len(argv) else None
        if ends is not None and 0 < int(ends["port"]) <= 65535:
            argv[index] = argv[index][: ends.start("port")] + PORT
            return int(ends["port"])
    return port


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and 0 < int(text) <= 65535 else 0


def _linked(
    one: Process, own: Mapping[str, str], shared: Mapping[str, str], ports: Mapping[int, str]
) -> Process:
    """With the addresses of other processes in its variables replaced by placeholders."""
    environment: dict[str, str] = {}
    calls: dict[str, tuple[str, bool | None, bool]] = {}
    unset: list[str] = []
    elsewhere: list[Elsewhere] = []
    for name, value in (
        {**own, **{name: value for name, value in shared.items() if name not in own}}
    ).items():
        if name == "PORT":
            continue
        text, named, others = _replaced(name, value, one.port, ports)
        elsewhere += others
        if not named and (text == _braces(value) or _SECRET.search(value)):
            unset.append(name)
            continue
        environment[name] = text
        for callee, http in named.items():
            calls.setdefault(callee, (f"the variable {name}", http, name in own))
    if PORT not in " ".join(one.command):
        environment["PORT"] = PORT
    return replace(one, environment=environment, unset=tuple(unset), calls=calls, elsewhere=tuple(elsewhere))


def _replaced(
    name: str, value: str, own_port: int, ports: Mapping[int, str]
) -> tuple[str, dict[str, bool | None], list[Elsewhere]]:
    """(the value with placeholders, callee to whether it is called over HTTP, addresses of nobody)."""
    pieces: list[str] = []
    named: dict[str, bool | None] = {}
    others: list[Elsewhere] = []
    end = 0
    for match in _HERE.finditer(value):
        port = int(match["port"])
        before = _SCHEME.search(value[: match.start()])
        scheme = before["scheme"].lower() if before else ""
        pieces.append(_braces(value[end : match.start()]))
        end = match.end()
        if port in ports and port != own_port:
            named[ports[port]] = scheme == "http" if scheme else None
            pieces.append(f"{{{ports[port]}}}")
        elif port == own_port:
            pieces.append("{host}:{port}")
        else:
            pieces.append(match.group())
            if port not in ports:
                others.append(Elsewhere(f"the variable {name}", port, scheme))
    text = "".join(pieces) + _braces(value[end:])
    if named and _SECRET.search(text):  # a login or a query: only where it leads is kept
        first = next(iter(named))
        text = (f"http://{{{first}}}" if named[first] else f"{{{first}}}") + f" {REST}"
    return text, named, others


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def callers(processes: tuple[Process, ...]) -> Iterator[tuple[str, str, str, bool | None, bool]]:
    """(caller, callee, where, over HTTP, sure) of every link."""
    for one in processes:
        for callee, (where, http, sure) in one.calls.items():
            yield one.name, callee, where, http, sure
