"""The final state, read as ordinary operations through the public API, once the system has settled.

Every thing whose write was indeterminate is read, and a seeded sample of the others: what the users can see
now must agree with what they were told. Whole systems of record are read elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import gevent
import msgspec
import polars as pl
from gevent.pool import Pool

from experiment.history import History
from experiment.plan import Plan
from experiment.rows import Operation
from load.exchange import Answer, Endpoint
from load.journeys import (
    CALLER,
    Answered,
    Request,
    eligibility_state,
    tagged_version,
    trace_id,
    traceparent,
)
from load.outcomes import judge, seen_status

JOURNEY = "final_read"
ABSENT = "absent"  # the value of a thing that the system says it does not have
CONCURRENT = 16
PATIENCE_S = 1.5


@dataclass(frozen=True, slots=True)
class FinalRead:
    """How to read one kind of thing: at the entry service of the journey that writes it."""

    written_by: str
    path: str
    read: Callable[[Any], Answered]


def _encounter(body: Any) -> Answered:
    found = [entry["resource"] for entry in body.get("entry", ())]
    if not found:
        return Answered(value=ABSENT)
    label = f"{len(found)} found" if len(found) > 1 else None
    return Answered(value=eligibility_state(found[0]), label=label)


def _invoice(body: Any) -> Answered:
    return Answered(value=body["status"])


def _prescription(body: Any) -> Answered:
    return Answered(tagged_version(body["meta"]["versionId"]), body["dosageInstruction"][0]["text"])


KINDS: dict[str, FinalRead] = {
    "enc": FinalRead("check_in", "/fhir/Encounter?identifier={key}", _encounter),
    "inv": FinalRead("claim", "/invoices/{key}", _invoice),
    "rx": FinalRead("prescribe", "/fhir/MedicationRequest/{key}", _prescription),
}


def final_reads(
    plan: Plan,
    endpoints: Mapping[str, str],
    history: History,
    zero: float,
    deadline_s: float = 3.0,
    sample: int = 100,
) -> tuple[Operation, ...]:
    """Read at most `sample` keys beside the indeterminate ones, within `deadline_s` seconds in all; a key
    whose turn did not come by then is left out. Rows have the journey `final_read`; an answer that the thing
    does not exist is an acknowledged read of the value `absent`. `zero` is the run's zero on
    CLOCK_MONOTONIC."""
    keys = keys_to_read(history.operations, plan.seed, sample)
    first_id = max((op.id for op in plan.operations), default=0) + 1
    addresses = _addresses(plan, endpoints)
    reader = _Reader(plan.run_id, {base: Endpoint(base) for base in addresses.values()}, zero)
    pool = Pool(CONCURRENT)
    try:
        with gevent.Timeout(deadline_s, False):
            for number, key in enumerate(keys, first_id):
                kind = KINDS[key.partition("-")[0]]
                if kind.written_by in addresses:
                    pool.spawn(reader.read, number, key, kind, addresses[kind.written_by])
            pool.join()
    finally:
        pool.kill()
        reader.close()
    return tuple(sorted(reader.rows, key=lambda row: row.id))


def keys_to_read(operations: pl.DataFrame, seed: int, sample: int) -> tuple[str, ...]:
    """Keys with an indeterminate operation, then a seeded sample of those with an acknowledged one."""
    known = operations.filter(
        pl.col("key").str.split("-").list.first().is_in(list(KINDS)) & pl.col("sent").is_not_null()
    )
    unsure = sorted(known.filter(pl.col("outcome") == "indeterminate")["key"].unique().to_list())
    sure = set(known.filter(pl.col("outcome") == "acknowledged")["key"].to_list()) - set(unsure)
    chosen = random.Random(f"final-reads-{seed}").sample(sorted(sure), min(sample, len(sure)))
    return (*unsure, *sorted(chosen))


def _addresses(plan: Plan, endpoints: Mapping[str, str]) -> dict[str, str]:
    """Journey to the base address of its entry service, as far as both are known."""
    journeys = plan.system.journeys
    return {
        name: endpoints[journeys[name].entry]
        for name in (kind.written_by for kind in KINDS.values())
        if name in journeys and journeys[name].entry in endpoints
    }


class _Reader:
    def __init__(self, run_id: str, endpoints: Mapping[str, Endpoint], zero: float) -> None:
        self._run_id = run_id
        self._endpoints = endpoints
        self._zero = zero
        self.rows: list[Operation] = []

    def read(self, number: int, key: str, kind: FinalRead, base: str) -> None:
        headers = {"traceparent": traceparent(self._run_id, number), "x-caller": CALLER}
        request = Request("GET", kind.path.format(key=key), headers)
        sent = monotonic() - self._zero
        answer = self._endpoints[base].exchange(request, PATIENCE_S)
        ended = monotonic() - self._zero
        status = answer.status if isinstance(answer, Answer) else None
        seen, answered = _judged(answer, kind)
        judgement = judge(seen, writes=False)
        self.rows.append(
            Operation(
                id=number,
                journey=JOURNEY,
                key=key,
                intended=sent,
                sent=sent,
                ended=ended,
                outcome=judgement.outcome,
                status=status,
                error=judgement.error,
                trace=trace_id(headers["traceparent"]),
                version=answered.version,
                value=answered.value,
                label=answered.label,
            )
        )

    def close(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.close()


def _judged(answer: Any, kind: FinalRead) -> tuple[str, Answered]:
    """The row of the outcomes table, and what was read."""
    if not isinstance(answer, Answer):
        return answer.seen, Answered()
    if answer.status in (404, 410):
        return "2xx", Answered(value=ABSENT)
    if not 200 <= answer.status < 300:
        return seen_status(answer.status, answer.headers, keyed=False), Answered()
    try:
        return "2xx", kind.read(msgspec.json.decode(answer.body))
    except (msgspec.DecodeError, ValueError, TypeError, LookupError, AttributeError):
        return "unreadable", Answered()
