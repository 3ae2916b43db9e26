"""Idempotency, cache, version fence, group commit, saga, tracing, behaviours, FHIR reading: each by
itself."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reference_system.common import fhir, tracing
from reference_system.common.behaviours import Behaviours
from reference_system.common.bus import Event
from reference_system.common.config import Design, read_config
from reference_system.common.group import Grouped
from reference_system.common.patterns import idempotency, outbox
from reference_system.common.patterns.cache import AgedCache
from reference_system.common.patterns.consumer import winners
from reference_system.common.patterns.saga import Orchestrator
from reference_system.common.patterns.schedule import Schedule


def test_a_fingerprint_tells_payloads_apart() -> None:
    """The same parts give the same print, and moving a letter from one part to the next does not."""
    assert idempotency.fingerprint("ab", b"c") == idempotency.fingerprint("ab", "c")
    assert idempotency.fingerprint("ab", "c") != idempotency.fingerprint("a", "bc")
    assert idempotency.judge("x", "x") is idempotency.Repeat.REPLAY
    assert idempotency.judge("x", "y") is idempotency.Repeat.MISMATCH


def test_a_guard_collides_only_when_keys_are_on() -> None:
    """With keys on, the key guards its row; with keys off, every row has a guard of its own."""
    assert idempotency.guard(True, "k") == idempotency.guard(True, "k") == "k"
    assert idempotency.guard(False, "k") != idempotency.guard(False, "k")


def test_a_cache_forgets_what_is_too_old() -> None:
    """A value is given with its age until that passes the limit; without a limit nothing is kept."""
    now = [0.0]
    cache: AgedCache[str] = AgedCache(10.0, size=2, clock=lambda: now[0])
    cache.put("a", "in-force")
    now[0] = 10.0
    assert cache.get("a") == ("in-force", 10.0)
    now[0] = 10.1
    assert cache.get("a") is None
    for key in "bcd":
        cache.put(key, "x")
    assert [key for key in "bcd" if cache.get(key)] == ["c", "d"]
    off: AgedCache[str] = AgedCache(None)
    off.put("a", "in-force")
    assert off.get("a") is None


def test_the_fence_picks_the_highest_version_of_a_batch() -> None:
    """With the fence the highest version of each key wins, without it the last to arrive."""
    batch = [
        Event(str(n), "r", "rx.changed", "rx-1", 0.0, {}, version) for n, version in enumerate((1, 3, 2))
    ]
    assert [event.version for event in winners(batch, fence=True)] == [3]
    assert [event.version for event in winners(batch, fence=False)] == [2]


def test_grouped_writes_share_a_statement_and_its_failure() -> None:
    """Calls in one interval become one write; each gets its own result, or all get the one error."""
    batches: list[list[int]] = []

    async def write(items: list[int]) -> list[int]:
        batches.append(items)
        if 0 in items:
            raise OSError("store away")
        return [item * 10 for item in items]

    async def scene() -> list[Any]:
        group = Grouped(write, 0.001)
        good = await asyncio.gather(*(group.add(n) for n in (1, 2, 3)))
        bad = await asyncio.gather(group.add(0), group.add(4), return_exceptions=True)
        return [good, [type(error) for error in bad]]

    assert asyncio.run(scene()) == [[10, 20, 30], [OSError, OSError]]
    assert batches == [[1, 2, 3], [0, 4]]


def test_a_saga_is_driven_once_until_it_ends() -> None:
    """Two callers wait for one drive; from the second round on it is uncertain; a resumed one is so at
    once."""
    rounds: list[tuple[str, bool]] = []

    async def advance(key: str, uncertain: bool) -> str | None:
        rounds.append((key, uncertain))
        return "completed" if uncertain else None

    async def scene() -> list[str | None]:
        def spawn(work: Any, _: Any) -> asyncio.Task[Any]:
            return asyncio.create_task(work)

        sagas = Orchestrator(advance, spawn, random.Random(1))
        ends = list(await asyncio.gather(sagas.wait("a", 5), sagas.wait("a", 5)))
        sagas.resume(["b"])
        return [*ends, await sagas.wait("b", 5)]

    assert asyncio.run(scene()) == ["completed"] * 3
    assert rounds == [("a", False), ("a", True), ("b", True)]


def test_a_schedule_gives_each_inquiry_at_its_latest_due_time() -> None:
    """What was moved is due at the new time only, what was dropped never."""

    async def never(_: str) -> None: ...

    schedule = Schedule(never, lambda: True)
    schedule.put("a", 1.0)
    schedule.put("a", 5.0)
    schedule.put("b", 2.0)
    schedule.drop("b")
    assert schedule.next_due(4.0) is None
    assert schedule.next_due(5.0) == "a"
    assert schedule.next_due(9.0) is None


def test_spans_are_written_with_their_parents(tmp_path: Path) -> None:
    """A span under a traceparent keeps trace and parent; nonsense in the header starts a new trace."""
    path = tmp_path / "spans.jsonl"
    tracer = tracing.Tracer("checkin", str(path), 1)
    remote = f"00-{'a' * 32}-{'b' * 16}-01"
    child = tracer.start("POST /checkins", "server", remote)
    fresh = tracer.start("POST /checkins", "server", "nonsense")
    tracer.finish(child)
    tracer.finish(fresh, ok=False)
    tracer.flush()
    spans = [json.loads(line) for line in path.read_text().splitlines()]
    assert (spans[0]["trace"], spans[0]["parent"], spans[0]["status"]) == ("a" * 32, "b" * 16, "ok")
    assert (spans[1]["parent"], spans[1]["status"]) == (None, "error")
    assert spans[0]["end"] >= spans[0]["start"]


def test_behaviours_draw_the_same_for_the_same_seed() -> None:
    """A share is drawn per request from a seeded source, for the named caller only, and counted."""

    def drawn(seed: int) -> list[bool]:
        behaviours = Behaviours(seed)
        behaviours.put("lost_response", b'{"share": 0.3, "caller": "billing"}')
        draws = [behaviours.loses_response("billing") for _ in range(50)]
        assert not behaviours.loses_response("client")
        assert behaviours.describe("lost_response")["applied"] == sum(draws)
        return draws

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 5 <= sum(drawn(1)) <= 25


def test_behaviours_refuse_what_they_do_not_know() -> None:
    """An unknown name and a mistyped parameter are errors."""
    with pytest.raises(KeyError):
        Behaviours(1).put("explode", b"{}")
    with pytest.raises(msgspec.ValidationError, match="shar"):
        Behaviours(1).put("lost_response", b'{"shar": 0.3}')


def test_the_outbox_row_is_written_by_the_statement_itself() -> None:
    """The SQL tail writes nothing when the row is NULL, that is, without the pattern."""
    assert outbox.insert(7, "n").endswith("FROM n WHERE $7::text[] IS NOT NULL")


@pytest.mark.parametrize(("header", "version"), [('W/"3"', 3), ('"3"', 3), ("3", 3), (None, None)])
def test_entity_tags_are_read(header: str | None, version: int | None) -> None:
    """Weak, strong and bare forms name the same version."""
    assert fhir.version_of(header) == version


def test_an_entity_tag_without_a_number_is_refused() -> None:
    """The message shows what came and what was expected."""
    with pytest.raises(fhir.Refused, match=r"If-Match is 'W/\"x\"'; expected"):
        fhir.version_of('W/"x"')


def test_the_dose_is_what_people_read() -> None:
    """The instruction's text, else quantity and unit."""
    text: dict[str, Any] = {"dosageInstruction": [{"text": "5 mg daily"}]}
    quantity = {"dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 2.5, "unit": "mg"}}]}]}
    assert (fhir.dose_of(text), fhir.dose_of(quantity), fhir.dose_of({})) == ("5 mg daily", "2.5 mg", "")


def test_a_bad_configuration_names_its_file(tmp_path: Path) -> None:
    """A service that cannot read its configuration ends with the file's name and what is wrong in it."""
    path = tmp_path / "checkin.json"
    path.write_text('{"service": "checkin", "listen": {"port": "x"}}')
    with pytest.raises(SystemExit, match=r"checkin\.json.*port"):
        read_config(str(path))


def test_a_link_without_patterns_in_the_design_has_none() -> None:
    """What a design does not name is off."""
    assert Design().link("a -> b").timeout is None
