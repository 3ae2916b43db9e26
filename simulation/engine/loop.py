"""The shorter event loop: what `Clock.run_until` does, with an attempt's usual path written out in place.

Five events of six are attempts that meet nothing out of the ordinary. For those this loop holds the bodies of
Channel.arrive and Channel.leaf_respond, and for timers what Timer does, which saves the calls; a test holds
the two loops to one trace.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush, heapreplace
from typing import Any

from simulation.engine.attempts import ARRIVES, COMPLETES, LEAF_RESPONDS, RESPONDS, Attempt
from simulation.engine.clock import LAST, Clock, StopLoopError, Timer, stop_loop


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector rests. For work that makes next to no reference cycles: it would look in vain."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def run_until(clock: Clock, end: float) -> None:
    """Everything up to and including `end`; then the clock stands at `end`."""
    with uncollected():  # attempts make no cycles
        _run(clock, end)


def _run(clock: Clock, end: float) -> None:
    queue = clock.heap
    heappush(queue, (end, LAST, next(clock.serial), Timer(stop_loop)))
    try:
        while True:
            item = heappop(queue)
            now = clock._now = item[0]
            event: Any = item[3]
            if event.__class__ is not Attempt:
                if event.__class__ is not Timer:
                    clock.happen(event)
                elif event.action is not None:
                    event.action()
                continue
            channel: Any = event.channel  # a Channel: Attempt knows only its Way
            stage = event.stage
            if stage == ARRIVES:
                server = channel.server
                if not server.plain:
                    channel.arrive(event)
                    continue
                free = server.free
                start = free[0]
                if start < now:
                    start = now
                done = start + next(server.demand)
                heapreplace(free, done)
                server.waits.append(start - now)
                event.epoch = server.epoch
                if server.handler is not None or channel.guarded:
                    event.stage = COMPLETES
                    heappush(queue, (done, 1, next(channel.serial), event))
                else:
                    event.done = done
                    event.stage = LEAF_RESPONDS
                    heappush(queue, (done + next(channel.back), 1, next(channel.serial), event))
            elif stage == RESPONDS:
                if event.live and event.failure is None and not channel.guarded:
                    event.live = False
                    channel.latencies.append(now - event.sent)
                    event.owner.resume(event, None)
                else:
                    channel.respond(event)
            elif stage == COMPLETES:
                server = channel.server
                if event.epoch == server.epoch and server.handler is not None:
                    server.handler.handle(event)
                else:
                    channel.complete(event)
            elif channel.guarded or event.sent <= channel.changed_at or event.epoch != channel.server.epoch:
                channel.leaf_respond(event)
            elif event.live:
                event.live = False
                channel.latencies.append(now - event.sent)
                event.owner.resume(event, None)
    except StopLoopError:
        return


def run_out(clock: Clock) -> None:
    """Everything until nothing is left to happen."""
    while clock.heap:
        run_until(clock, max(item[0] for item in clock.heap))
