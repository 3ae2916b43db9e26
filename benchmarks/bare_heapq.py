"""The same ten-service graph as one bare heapq loop: no SimPy, no objects beyond lists, nothing reusable.

It does the same work as the model in `simulation_model`: three events a hop with jittered delays (two where
the server calls nobody), free-time heaps for the servers, a crash with epochs, a slow link, time limits in a
deque, retries with full jitter, breakers, and one waiting and one latency figure a hop.
"""

from __future__ import annotations

import time
from collections import deque
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Any

from benchmarks.simulation_model import (
    ATTEMPTS,
    BREAKER,
    CALLS,
    CRASH,
    CRASHED,
    DELAY_S,
    ENTRIES,
    RATE,
    SERVICE_S,
    SLOTS,
    SLOW,
    SLOW_LINK,
    SLOW_S,
    TIMEOUT_S,
    backoff_ceiling,
)
from simulation.engine.randomness import Exponential, Uniform, sampler, stream

ARRIVE, COMPLETE, RESPOND, VISIT, SWEEP, RETRY, SLOWER, FASTER, DOWN, UP = range(10)
# Fields of a hop and of a link.
LINK, SENT, PARENT, STEP, LIVE, EPOCH, NUMBER = range(7)
SERVICE, WAITS, LATENCIES, LIMITS, EXTRA, FAILED, OPENED, SWEEPING, SENT_COUNT = range(9)


def run(seed: int, length_s: float) -> tuple[float, int]:  # noqa: PLR0915 - one loop is the point
    """CPU seconds taken and hops made."""
    service = sampler(Exponential(SERVICE_S), stream(seed, "service"))
    delay = sampler(Uniform(*DELAY_S), stream(seed, "delay"))
    gap = sampler(Exponential(1 / RATE), stream(seed, "arrivals"))
    uniform = sampler(Uniform(0, 1), stream(seed, "policy"))
    free = [[0.0] * SLOTS for _ in range(10)]
    epochs, up = [0] * 10, [True] * 10
    links: list[list[Any]] = []
    calls: list[list[list[Any]]] = [[] for _ in range(10)]
    for caller, callees in CALLS.items():
        for callee in callees:
            links.append([callee, [], [], deque(), 0.0, 0, -1.0, False, 0])
            calls[caller].append(links[-1])
            if (caller, callee) == SLOW_LINK:
                slow = links[-1]
    entries: list[list[Any]] = [[entry, [], [], deque(), 0.0, 0, -1.0, False, 0] for entry in ENTRIES]
    links += entries
    serial = count()
    heap: list[tuple[float, int, int, Any]] = [(next(gap), next(serial), VISIT, None)]
    for share, kind in zip((*SLOW, *CRASH), (SLOWER, FASTER, DOWN, UP), strict=True):
        heappush(heap, (length_s * share, next(serial), kind, None))
    visits = ended = 0
    started = time.process_time()
    while heap:
        now, _, kind, hop = heappop(heap)
        failed = None
        if kind == ARRIVE:
            link = hop[LINK]
            at = link[SERVICE]
            if not up[at]:
                failed = hop
            else:
                slots = free[at]
                begin = slots[0]
                if begin < now:
                    begin = now
                done = begin + next(service)
                heapreplace(slots, done)
                link[WAITS].append(begin - now)
                hop[EPOCH] = epochs[at]
                if calls[at]:
                    heappush(heap, (done, next(serial), COMPLETE, hop))
                else:
                    heappush(heap, (done + next(delay) + link[EXTRA], next(serial), RESPOND, hop))
                continue
        elif kind == COMPLETE:
            at = hop[LINK][SERVICE]
            if hop[EPOCH] != epochs[at]:
                continue
            following, parent, number = calls[at][0], hop, 1
        elif kind == RESPOND:
            link = hop[LINK]
            if not hop[LIVE] or hop[EPOCH] != epochs[link[SERVICE]]:
                continue
            hop[LIVE] = False
            link[LATENCIES].append(now - hop[SENT])
            link[FAILED] = 0
            parent = hop[PARENT]
            if parent is None:
                ended += 1
                continue
            at = parent[LINK][SERVICE]
            if parent[EPOCH] != epochs[at]:
                continue
            parent[STEP] += 1
            own = calls[at]
            if parent[STEP] == len(own):
                heappush(heap, (now + next(delay) + parent[LINK][EXTRA], next(serial), RESPOND, parent))
                continue
            following, number = own[parent[STEP]], 1
        elif kind == VISIT:
            following, parent, number = entries[visits % 2], None, 1
            visits += 1
            arrival = now + next(gap)
            if arrival <= length_s:
                heappush(heap, (arrival, next(serial), VISIT, None))
        elif kind == SWEEP:
            limits = hop[LIMITS]
            while limits and not limits[0][LIVE]:
                limits.popleft()
            if limits and limits[0][SENT] + TIMEOUT_S <= now:
                failed = limits.popleft()
                heappush(heap, (now, next(serial), SWEEP, hop))
            elif limits:
                heappush(heap, (limits[0][SENT] + TIMEOUT_S, next(serial), SWEEP, hop))
            else:
                hop[SWEEPING] = False
        elif kind == RETRY:
            following, parent, number = hop[LINK], hop[PARENT], hop[NUMBER] + 1
        elif kind == DOWN:
            up[CRASHED] = False
            epochs[CRASHED] += 1
            continue
        elif kind == UP:
            up[CRASHED] = True
            free[CRASHED] = [now] * SLOTS
            continue
        else:
            slow[EXTRA] = SLOW_S if kind == SLOWER else 0.0
            continue
        if kind == SWEEP and failed is None:
            continue
        if failed is not None:
            if failed[LIVE]:
                failed[LIVE] = False
                link = failed[LINK]
                link[FAILED] += 1
                if link[FAILED] >= BREAKER[0]:
                    link[OPENED] = now
                if failed[NUMBER] < ATTEMPTS:
                    wait = backoff_ceiling(failed[NUMBER]) * next(uniform)
                    heappush(heap, (now + wait, next(serial), RETRY, failed))
            continue
        if following[OPENED] >= 0.0 and now < following[OPENED] + BREAKER[1]:
            continue
        sent = [following, now, parent, 0, True, 0, number]
        following[SENT_COUNT] += 1
        following[LIMITS].append(sent)
        if not following[SWEEPING]:
            following[SWEEPING] = True
            heappush(heap, (now + TIMEOUT_S, next(serial), SWEEP, following))
        heappush(heap, (now + next(delay) + following[EXTRA], next(serial), ARRIVE, sent))
    return time.process_time() - started, sum(link[SENT_COUNT] for link in links)
