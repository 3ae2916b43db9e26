"""The final state, read as ordinary operations through the public API, once the system has settled.

Every thing whose write was indeterminate is read, and a seeded sample of the others: what the users can see
now must agree with what they were told. Whole systems of record are read elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

import gevent
from gevent.pool import Pool

from experiment.final_reads import ABSENT, JOURNEY, SAMPLE, keys_to_read, prefix_of
from experiment.forms import FinalReadForm
from experiment.history import History
from experiment.kept_values import from_environment
from experiment.libraries import pl
from experiment.outcomes import judge, seen_status
from experiment.plan import Plan
from experiment.requests import Request
from experiment.rows import LEFT_OUT, Note, Operation, Outcome, Sample
from experiment.templates import escaped, filler
from experiment.traces import traced
from experiment.workload import Answered, Unreadable, Workload, WorkloadFault, load_workload
from load.exchange import Answer, Endpoint, NoAnswer

CONCURRENT = 16
PATIENCE_S = 1.5


def final_reads(
    plan: Plan,
    endpoints: Mapping[str, str],
    history: History,
    zero: float,
    deadline_s: float = 3.0,
    sample: int = SAMPLE,
) -> tuple[Operation | Note | Sample, ...]:
    """Read at most `sample` keys beside the indeterminate ones, within `deadline_s` seconds in all; a key
    whose turn did not come by then is left out. Rows have the journey `final_read`; an answer that the thing
    does not exist is an acknowledged read of the value `absent`. `zero` is the run's zero on
    CLOCK_MONOTONIC. Notes say what the workload's own code did wrong."""
    if threading.current_thread() is threading.main_thread():
        return _read(plan, endpoints, history, zero, deadline_s, sample)
    held: list[Any] = [lambda: _read(plan, endpoints, history, zero, deadline_s, sample)]
    thread = threading.Thread(target=_in_own_loop, args=(held,), daemon=True, name="final reads")
    thread.start()
    thread.join()
    rows = held.pop()
    if isinstance(rows, BaseException):
        raise rows
    return rows  # type: ignore[no-any-return]  # what `_read` gave


def _in_own_loop(held: list[Any]) -> None:
    """Exchange what is to be done for what came of it. A thread has an event loop of its own, which outlives
    it unless it is ended here. Gevent then keeps the frame that ended it and those that called it: so a
    thread does nothing else, and none of its frames holds a history."""
    try:
        held.append(held.pop()())
    except BaseException as error:  # noqa: BLE001 - raised where the thread is awaited
        held.append(error)
    gevent.get_hub().destroy(destroy_loop=True)


def _read(
    plan: Plan, endpoints: Mapping[str, str], history: History, zero: float, deadline_s: float, sample: int
) -> tuple[Operation | Note | Sample, ...]:
    forms = plan.system.final_reads
    keys = keys_to_read(_sent(history.operations), forms, plan.seed, sample)
    first_id = max((op.id for op in plan.operations), default=0) + 1
    addresses = _addresses(plan, endpoints)
    bases = {base: Endpoint(base) for base in addresses.values()}
    reader = _Reader(plan.run_id, bases, load_workload(plan.system), zero)
    paths = {prefix: filler(form.path, escaped) for prefix, form in forms.items()}
    headers = {prefix: _headers(form) for prefix, form in forms.items()}
    pool = Pool(CONCURRENT)
    try:
        with gevent.Timeout(deadline_s, False):
            for number, key in enumerate(keys, first_id):
                prefix, token, visit = key.split("-")
                if prefix in addresses:
                    path = paths[prefix]({"key": key, "token": token, "visit": visit})
                    request = Request("GET", path, headers[prefix])
                    pool.spawn(reader.read, number, key, request, addresses[prefix])
            pool.join()
    finally:
        pool.kill()
        reader.close()
    due = sum(prefix_of(key) in addresses for key in keys)
    rows: list[Operation | Note | Sample] = [*sorted(reader.rows, key=lambda row: row.id)]
    rows.append(Sample(monotonic() - zero, "load", LEFT_OUT, float(due - len(rows))))
    return (*rows, *(Note(monotonic() - zero, "invalid", text) for text in sorted(reader.faults)))


def _headers(form: FinalReadForm) -> dict[str, str]:
    """With what the environment gives."""
    values = from_environment(form.headers)
    return {name: filler(text)(values) for name, text in form.headers.items()}


def _sent(operations: pl.DataFrame) -> Iterable[tuple[str, Outcome]]:
    """Key and outcome of what was sent, each pair once."""
    sent = operations.filter(pl.col("sent").is_not_null())
    return sent.select(pl.col("key", "outcome").cast(pl.String)).unique(maintain_order=True).iter_rows()


def _addresses(plan: Plan, endpoints: Mapping[str, str]) -> dict[str, str]:
    """Key prefix to the base address of the entry service of its journey, as far as both are known."""
    journeys = plan.system.journeys
    return {
        prefix: endpoints[journeys[form.written_by].entry]
        for prefix, form in plan.system.final_reads.items()
        if form.written_by in journeys and journeys[form.written_by].entry in endpoints
    }


class _Reader:
    def __init__(
        self, run_id: str, endpoints: Mapping[str, Endpoint], workload: Workload, zero: float
    ) -> None:
        self._run_id = run_id
        self._endpoints = endpoints
        self._workload = workload
        self._zero = zero
        self.rows: list[Operation] = []
        self.faults: set[str] = set()

    def read(self, number: int, key: str, asked: Request, base: str) -> None:
        request, trace = traced(asked, self._run_id, number)
        sent = monotonic() - self._zero
        answer = self._endpoints[base].exchange(request, PATIENCE_S)
        ended = monotonic() - self._zero
        seen, answered = self._read(prefix_of(key), answer)
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
                status=answer.status if isinstance(answer, Answer) else None,
                error=judgement.error,
                trace=trace,
                version=answered.version,
                value=answered.value,
                label=answered.label,
            )
        )

    def _read(self, prefix: str, answer: Answer | NoAnswer) -> tuple[str, Answered]:
        """The row of the outcome table, and what was read."""
        if isinstance(answer, NoAnswer):
            return answer.seen, Answered()
        if answer.status in (404, 410):
            return "2xx", Answered(value=ABSENT)
        if not 200 <= answer.status < 300:
            return seen_status(answer.status, answer.headers, keyed=False), Answered()
        try:
            return "2xx", self._workload.read_last(prefix, answer.status, answer.headers, answer.body)
        except Unreadable:
            return "unreadable", Answered()
        except WorkloadFault as fault:
            self.faults.add(f"the workload failed: {fault.line}")
            return "misread", Answered()

    def close(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.close()
