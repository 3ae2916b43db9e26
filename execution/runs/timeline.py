"""Driving the faults of a plan against real controls: on time, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from experiment.controls import Controls, Look
from experiment.fault_proof import MEASURE_AHEAD_S, Abandoned, FaultProof, Measure, Pending, look_at
from experiment.history import Row
from experiment.plan import Activation, Plan

AHEAD_S = 1.2  # two probes of half a second each, which is what one waits for an answer
GONE_S = 0.5  # a fault is gone so long after its heal
EARLY_S = 0.5  # a thread is started this long before it has something to do


def beside(measure: Measure) -> Pending:
    """A measurement in a thread of its own, which nobody has to wait for: that of a link that swallows
    everything takes its whole deadline."""
    made: Future[object] = Future()

    def make() -> None:
        try:
            made.set_result(measure())
        except BaseException as error:  # noqa: BLE001  raised again where the result is wanted
            made.set_exception(error)

    threading.Thread(target=make, daemon=True, name="probe").start()
    return made


def ahead(activations: Sequence[Activation]) -> dict[str, float]:
    """How many seconds before each injection, by the activation's id, its target is measured: time for a
    second try, but not before what acted on it earlier is gone."""
    found: dict[str, float] = {}
    ends: dict[str, float] = {}
    for one in sorted(activations, key=lambda one: one.start_s):
        since_s = one.start_s - ends.get(one.target, -2 * AHEAD_S)
        found[one.id] = min(AHEAD_S, max(MEASURE_AHEAD_S, since_s - GONE_S))
        ends[one.target] = max(ends.get(one.target, 0.0), one.end_s)
    return found


class FaultTimeline:
    """One thread an activation, since a control call may block while another fault is due; each is started
    shortly before it is due, so that only those of faults that act now are alive.

    `abandon` ends everything at once: what is injected is healed, what is due is not injected.
    """

    def __init__(self, plan: Plan, controls: Controls, zero: float, record: Callable[[Row], None]) -> None:
        self._zero = zero
        self._stop = threading.Event()
        first: dict[tuple[str, str], Look] = {}  # one for all activations of a kind on one target
        for one in plan.activations:
            if (what := (one.fault.kind, one.target)) not in first:
                first[what] = look_at(one.fault, controls, one.target, one.id)
        ahead_s = ahead(plan.activations)
        self.proofs = [
            FaultProof(
                one,
                controls,
                self._now,
                record,
                zero=first[one.fault.kind, one.target],
                begin=beside,
                ahead_s=ahead_s[one.id],
            )
            for one in plan.activations
        ]
        self._threads: list[threading.Thread] = []
        self._starting = threading.Thread(target=self._start_in_time, daemon=True, name="faults")

    def start(self) -> None:
        self._starting.start()

    def abandon(self) -> None:
        self._stop.set()

    def join(self, deadline_s: float) -> bool:
        """Whether every activation has come to its end within the deadline."""
        until = time.monotonic() + deadline_s
        if self._starting.ident is None:  # a run that was interrupted early has not started it
            return True
        self._starting.join(max(0.0, until - time.monotonic()))
        for thread in tuple(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in (self._starting, *self._threads))

    def active(self) -> list[str]:
        """What is injected now, for the progress line."""
        return [str(proof.activation) for proof in self.proofs if proof.acting]

    def _now(self) -> float:
        return time.monotonic() - self._zero

    def _start_in_time(self) -> None:
        for proof in sorted(self.proofs, key=lambda one: one.due_s):
            if self._stop.wait(max(0.0, proof.due_s - EARLY_S - self._now())):
                return
            thread = threading.Thread(
                target=self._drive, args=(proof,), daemon=True, name=proof.activation.id
            )
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _drive(self, proof: FaultProof) -> None:
        steps, told = proof.steps(), False
        until = next(steps, None)
        while until is not None:
            left = max(0.0, until - self._now())
            if told:
                time.sleep(left)
            elif self._stop.wait(left):
                told = True
                try:
                    until = steps.throw(Abandoned())
                except StopIteration:
                    return
                continue
            until = next(steps, None)
