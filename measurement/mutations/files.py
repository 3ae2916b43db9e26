"""What happens to files: lines torn, blocks of NULs, an end cut off, parts of another run, parts edited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from measurement.mutations.rows import Answer, Source, Unfit, line_of, written

STOP, NOT_BETTER, SAME = Answer.STOP, Answer.NOT_BETTER, Answer.SAME
Lines = list[bytes]
VALUES = ("scenario.json", "system.json", "design.json", "plan.json")


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of change of a file: of the history's lines, or of another part."""

    name: str
    change: Callable[[Lines, dict[str, bytes], Random, Source], str]
    answer: Answer = STOP


def file_kinds() -> Iterator[FileKind]:
    """Of lines, then of parts."""
    for name, (damage, answer) in LINES.items():
        yield FileKind(f"file: {name}", _of_lines(damage), answer)
    for part in (*VALUES, "run.json"):
        yield FileKind(f"part: {part} of another run", _other_part(part))
        yield FileKind(f"part: {part} with a changed value", _edited(part))
        yield FileKind(f"part: {part} empty", _put(part, b""))
        yield FileKind(f"part: {part} cut off", _halved(part))
    for name, (path, answer) in RUN_FIELDS.items():
        yield FileKind(f"run.json: {name}", _run_field(path), answer)


Damage = Callable[[Lines, Random], str]


def _of_lines(damage: Damage) -> Callable[[Lines, dict[str, bytes], Random, Source], str]:
    def change(lines: Lines, _parts: dict[str, bytes], chance: Random, _source: Source) -> str:
        return damage(lines, chance)

    return change


def _middle(lines: Lines, chance: Random) -> int:
    return chance.randrange(1, len(lines) - 1)


def _torn(lines: Lines, chance: Random) -> str:
    at = _middle(lines, chance)
    lines[at] = lines[at][: chance.randrange(2, len(lines[at]) - 2)] + b"\n"
    return f"line {at + 1} torn"


def _joined(lines: Lines, chance: Random) -> str:
    at = chance.randrange(1, len(lines) - 2)
    lines[at] = lines[at][: chance.randrange(2, len(lines[at]) - 2)]
    return f"line {at + 1} torn, the next one behind it"


def _nuls(lines: Lines, chance: Random) -> str:
    at = _middle(lines, chance)
    lines[at] = b"\0" * (len(lines[at]) - 1) + b"\n"
    return f"line {at + 1} is NULs"


def _block(lines: Lines, chance: Random) -> str:
    at = _middle(lines, chance)
    lines.insert(at, b"\0" * 512)
    return f"512 NULs before line {at + 1}"


def _garbage(*texts: bytes) -> Damage:
    def damage(lines: Lines, chance: Random) -> str:
        at, text = _middle(lines, chance), chance.choice(texts)
        lines.insert(at, text + b"\n")
        return f"{text!r} before line {at + 1}"

    return damage


def _bad_text(lines: Lines, chance: Random) -> str:
    at = _middle(lines, chance)
    lines[at] = lines[at].replace(b'":"', b'":"\xff\xfe', 1)
    return f"line {at + 1} is not UTF-8"


def _truncated(lines: Lines, chance: Random) -> str:
    keep = chance.randrange(1, len(lines))
    del lines[keep:]
    return f"ends after line {keep}"


def _cut_inside(lines: Lines, chance: Random) -> str:
    keep = chance.randrange(1, len(lines))
    part = lines[keep][: chance.randrange(1, len(lines[keep]) - 1)]
    lines[keep:] = [part]
    return f"ends within line {keep + 1}"


def _emptied(lines: Lines, _chance: Random) -> str:
    lines.clear()
    return "an empty file"


def _unknown_type(lines: Lines, chance: Random) -> str:
    at = _middle(lines, chance)
    kind = json.loads(lines[at])["type"]
    lines[at] = lines[at].replace(f'"type":"{kind}"'.encode(), b'"type":"wish"', 1)
    return f"line {at + 1} has a type that is not known"


def _twice(lines: Lines, _chance: Random) -> str:
    lines[:] = [*lines, *lines]
    return "the whole file twice"


def _shuffled(lines: Lines, chance: Random) -> str:
    rest = lines[1:]
    chance.shuffle(rest)
    lines[1:] = rest
    return "lines in another order"


def _keys_ordered(lines: Lines, chance: Random) -> str:
    rows = [json.loads(line) for line in lines]
    found = []
    for row in rows:
        names = [name for name in row if name != "type"]
        chance.shuffle(names)
        found.append({"type": row["type"], **{name: row[name] for name in names}})
    lines[:] = written(found)
    return "keys in another order"


def _blanks(lines: Lines, _chance: Random) -> str:
    """After the type, which stands first in every line."""
    found = []
    for line in lines:
        row = json.loads(line)
        head = f'{{"type":"{row.pop("type")}"'.encode()
        rest = json.dumps(row, separators=(" , ", " : "), ensure_ascii=False).encode()[1:]
        found.append(head + (b" , " if row else b"") + rest + b"\n")
    lines[:] = found
    return "blanks between keys and values"


def _empty_lines(lines: Lines, chance: Random) -> str:
    lines.insert(_middle(lines, chance), b"\n")
    return "an empty line"


def _no_newline(lines: Lines, _chance: Random) -> str:
    lines[-1] = lines[-1].rstrip(b"\n")
    return "no newline at the end"


def _same(lines: Lines, _chance: Random) -> str:
    lines[:] = [line_of(json.loads(line)) + b"\n" for line in lines]
    return "every line written again"


LINES: dict[str, tuple[Damage, Answer]] = {
    "a torn line": (_torn, STOP),
    "two lines in one": (_joined, STOP),
    "a line of NULs": (_nuls, STOP),
    "a block of NULs": (_block, STOP),
    "lines that are no objects": (_garbage(b"[]", b"7", b"null", b'"op"'), STOP),
    "garbage": (_garbage(b"x", b"{}", b'{"type":"op"}', b'{"type":"op","id":}', b"{{{{"), STOP),
    "text that is not UTF-8": (_bad_text, STOP),
    "truncated": (_truncated, STOP),
    "cut off within a line": (_cut_inside, STOP),
    "emptied": (_emptied, STOP),
    "an unknown type": (_unknown_type, STOP),
    "the whole twice": (_twice, STOP),
    "another order of lines": (_shuffled, SAME),
    "another order of keys": (_keys_ordered, SAME),
    "blanks": (_blanks, SAME),
    "an empty line": (_empty_lines, SAME),
    "no newline at the end": (_no_newline, SAME),
    "written again": (_same, SAME),
}


# Other parts.


def _put(part: str, content: bytes) -> Any:
    def change(_lines: Lines, parts: dict[str, bytes], _chance: Random, _source: Source) -> str:
        parts[part] = content
        return f"{part} replaced"

    return change


def _other_part(part: str) -> Any:
    def change(_lines: Lines, parts: dict[str, bytes], _chance: Random, source: Source) -> str:
        if source.other_parts[part] == parts[part]:
            raise Unfit
        parts[part] = source.other_parts[part]
        return f"{part} of another run"

    return change


def _halved(part: str) -> Any:
    def change(_lines: Lines, parts: dict[str, bytes], chance: Random, _source: Source) -> str:
        keep = chance.randrange(1, len(parts[part]) - 2)
        parts[part] = parts[part][:keep]
        return f"{part} cut off after {keep} bytes"

    return change


def _edited(part: str) -> Any:
    """One value somewhere in it is another one: a loosened objective, a switch, a planned time."""

    def change(_lines: Lines, parts: dict[str, bytes], chance: Random, _source: Source) -> str:
        whole = json.loads(parts[part])
        body = whole[part.removesuffix(".json")]
        if part == "run.json":
            body = {name: body[name] for name in ("asked", "values")}  # the rest is for people
        places = list(_leaves(body))
        holder, key = chance.choice(places)
        before = holder[key]
        holder[key] = not before if isinstance(before, bool) else 7 if before is None else _other(before)
        parts[part] = json.dumps(whole).encode()
        return f"{part}: {key} {before!r} -> {holder[key]!r}"

    return change


def _other(value: Any) -> Any:
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where each plain value stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items:
        if isinstance(one, dict | list):
            yield from _leaves(one)
        else:
            yield value, key


RUN_FIELDS: dict[str, tuple[tuple[str, ...], Answer]] = {
    "another run id": (("header", "run_id"), STOP),
    "another source": (("header", "source"), STOP),
    "another scenario": (("header", "scenario"), STOP),
    "another design": (("header", "design"), STOP),
    "another seed": (("header", "seed"), STOP),
    "another clock": (("header", "clock_scale"), STOP),
    "another count of operations": (("asked", "operations"), STOP),
    "another digest of operations": (("asked", "digest"), STOP),
    "another place of the scenario's file": (("scenario",), SAME),
    "another place of the design's file": (("design",), SAME),
    "another time scale": (("time_scale",), SAME),
}


def _run_field(path: tuple[str, ...]) -> Any:
    def change(_lines: Lines, parts: dict[str, bytes], _chance: Random, _source: Source) -> str:
        whole = json.loads(parts["run.json"])
        holder = whole["run"]
        for name in path[:-1]:
            holder = holder[name]
        before, holder[path[-1]] = holder[path[-1]], _other(holder[path[-1]])
        parts["run.json"] = json.dumps(whole).encode()
        return f"run.json: {'.'.join(path)} {before!r} -> {holder[path[-1]]!r}"

    return change
