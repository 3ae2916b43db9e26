"""The bytes of a history, sorted by type of line without a Python object for each: most lines of a long run
are operations and records, which go to the column reader as they are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiment.libraries import np
from experiment.regular_files import open_regular

if TYPE_CHECKING:
    import numpy.typing as npt


CHUNK_BYTES = 16_000_000
MARK = len(b'{"type":"')  # every line begins so; what follows tells its type
OTHER, OPERATION, RECORD, TORN = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one chunk: two NDJSON texts, the few lines of any other type, and how many lack their end."""

    operations: bytes
    records: bytes
    others: list[bytes]
    torn: int
    size: int  # bytes of the chunk


def chunks(path: Path, start: int = 0, whole: bool = True) -> Iterator[bytes]:
    """Lines from the byte `start` on, a bounded number of bytes at a time. A last line without newline is
    given one; unless the file is not `whole` yet: then it is left out. Raises OSError."""
    with open_regular(path) as file:
        file.seek(start)
        rest = b""
        while block := file.read(CHUNK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n") + 1
            rest = block[cut:]
            if cut:
                yield block if cut == len(block) else block[:cut]
        if rest and whole:
            yield rest + b"\n"


def read_ahead(path: Path, start: int = 0, whole: bool = True) -> Iterator[Lines]:
    """The sorted lines of every chunk; the next chunk is read and sorted while the caller works on this one.
    Raises OSError."""
    blocks = chunks(path, start, whole)

    def following() -> Lines | None:
        block = next(blocks, None)
        return None if block is None else sort_lines(block)

    with ThreadPoolExecutor(1, thread_name_prefix="history") as pool:
        ahead = pool.submit(following)
        while (lines := ahead.result()) is not None:
            ahead = pool.submit(following)
            yield lines


def sort_lines(block: bytes) -> Lines:
    """`block` holds lines, each with its newline. One that a full disk or a crash cut off lacks its brace."""
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    kinds = _kinds(text, starts, ends)
    turns = np.flatnonzero(np.diff(kinds)) + 1
    first, last = np.concatenate(([0], turns)), np.concatenate((turns, [ends.size])) - 1
    view = memoryview(block)
    found: dict[int, list[memoryview]] = {OTHER: [], OPERATION: [], RECORD: [], TORN: []}
    for a, b in zip(first.tolist(), last.tolist(), strict=True):
        found[int(kinds[a])].append(view[starts[a] : ends[b] + 1])
    others = b"".join(found[OTHER]).splitlines()
    torn = int(((kinds == TORN) & (ends > starts)).sum())  # an empty line is none
    return Lines(_joined(block, found[OPERATION]), _joined(block, found[RECORD]), others, torn, len(block))


def _kinds(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """The type of every line, by the three letters after the mark."""
    first, second, third = (text[np.minimum(starts + MARK + i, ends)] for i in range(3))
    kinds = np.full(ends.size, OTHER, np.uint8)
    kinds[(first == ord("o")) & (second == ord("p")) & (third == ord('"'))] = OPERATION
    kinds[(first == ord("r")) & (second == ord("e")) & (third == ord("c"))] = RECORD
    kinds[text[np.maximum(ends - 1, 0)] != ord("}")] = TORN
    return kinds


def _joined(block: bytes, parts: list[memoryview]) -> bytes:
    if len(parts) == 1 and len(parts[0]) == len(block):
        return block
    return b"".join(parts)
