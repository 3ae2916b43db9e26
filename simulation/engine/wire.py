"""What is wrong with a channel now: the impairments of `experiment.controls`, and lost messages.

The twin's impairments have the effects of a TCP proxy: a black hole swallows bytes and its removal closes the
connections; a refusal drops them; lost packets are sent again, so that a total loss delays everything until
it ends.
"""

from __future__ import annotations

from collections.abc import Callable

from experiment.controls import (
    Blackhole,
    Corrupt,
    Delay,
    Direction,
    Impairment,
    Loss,
    Redelivery,
    Refuse,
    Reorder,
    Reset,
    Throttle,
)
from simulation.engine.attempts import RESPONDS, Attempt
from simulation.engine.clock import Clock, Timer
from simulation.engine.failures import DISCONNECTED, REFUSED, RESET, Cause, Failure
from simulation.engine.randomness import Sampler

RETRANSMIT_S = 0.2  # Linux' smallest retransmission timeout, doubled at each loss (RFC 6298 with TCP_RTO_MIN)


class Wire:
    """The impairments of one channel, by the fault that brought each.

    `request_loss` and `response_loss` are shares of messages that vanish; a lost response is one whose effect
    stands. With `silent` false the connection is closed instead, so that the caller learns of it at once.
    """

    def __init__(
        self,
        clock: Clock,
        there: Sampler,
        back: Sampler,
        uniform: Sampler,
        *,
        fail: Callable[[Attempt, Failure], None],
        in_flight: Callable[[], list[Attempt]],
        changed: Callable[[bool], None],
    ) -> None:
        self._clock, self._there, self._back = clock, there, back
        self.uniform = uniform  # what happens by chance on the way
        self._fail, self._in_flight, self._changed = fail, in_flight, changed
        self.impairments: dict[str, Impairment] = {}
        self.request_loss = 0.0
        self.response_loss = 0.0
        self.silent = True
        self.error_share = 0.0
        self.error = Failure(Cause.STATUS, 503)
        self.slow_s = 0.0
        self.slow_jitter_s = 0.0
        self.drawn: tuple[float, ...] = ()  # what each next request takes longer, over and over
        self.request_bytes = 0.0
        self.response_bytes = 0.0
        self.touched: dict[str, int] = {
            "lost_response": 0,
            "error_share": 0,
            "slow_processing": 0,
            "drawn_delays": 0,
            "redelivery": 0,
        }
        self.redelivery: Redelivery | None = None  # of what is pushed to the caller
        self.pushed = 0  # messages that went to the caller without being asked for
        self.met = self.treated = 0  # packets that came by a loss, and those that were dropped or overtaken
        self._kept: list[tuple[bool, Attempt]] = []
        self._delayed: dict[Attempt, Timer] = {}

    def refresh(self) -> None:
        """To be called after the shares were set."""
        shares = self.request_loss or self.response_loss or self.error_share or self.slow_s
        self._changed(bool(self.impairments or shares or self.drawn))

    def impair(self, fault: str, impairment: Impairment) -> None:
        self.impairments[fault] = impairment
        self.refresh()
        if isinstance(impairment, Refuse):
            self.drop_connections(RESET)
        elif isinstance(impairment, Reset):
            self._reset_after(fault, impairment)

    def _reset_after(self, fault: str, reset: Reset) -> None:
        def strike() -> None:
            if self.impairments.get(fault) is reset:
                self.drop_connections(RESET)

        self._clock.call_after(reset.after_s, strike)

    def restore(self, fault: str) -> None:
        gone = self.impairments.pop(fault, None)
        self.refresh()
        if isinstance(gone, Blackhole):
            self.drop_connections(RESET)
        elif isinstance(gone, Delay):
            self._hurry()
        kept, self._kept = self._kept, []
        for answering, attempt in kept:
            self._travel(attempt, answering)

    @property
    def closed(self) -> bool:
        """Whether no connection can stay open now."""
        if not self.impairments:  # nearly always, and asked for every event
            return False
        return any(isinstance(one, (Refuse, Reset)) for one in self.impairments.values())

    def drop_connections(self, error: Failure) -> None:
        for attempt in self._in_flight():
            self._fail(attempt, error)

    def reject(self, attempt: Attempt) -> None:
        """Nobody listens behind the proxy: the caller's connection is closed."""
        self._clock.call_after(next(self._back), lambda: self._fail(attempt, DISCONNECTED))

    def send(self, attempt: Attempt) -> None:
        """Put a request on an impaired wire."""
        for impairment in self.impairments.values():
            if isinstance(impairment, Refuse):
                self._clock.call_after(next(self._there), lambda: self._fail(attempt, REFUSED))
                return
            if isinstance(impairment, Reset):
                wait = next(self._there) + impairment.after_s
                self._clock.call_after(wait, lambda: self._fail(attempt, RESET))
                return
        if self.request_loss and next(self.uniform) < self.request_loss:
            return
        if self.error_share and next(self.uniform) < self.error_share:
            self.touched["error_share"] += 1
            self._bounce(attempt)
            return
        self._travel(attempt, False)

    def _bounce(self, attempt: Attempt) -> None:
        """The request is answered with an error before it has had any effect."""
        attempt.answer, attempt.failure = None, self.error
        attempt.stage = RESPONDS
        self._clock.schedule_at(self._clock._now + next(self._there) + next(self._back), attempt)

    def answer(self, attempt: Attempt) -> None:
        """Put an answer on an impaired wire."""
        if self.response_loss and next(self.uniform) < self.response_loss:
            self.touched["lost_response"] += 1
            if not self.silent:
                self._clock.call_after(next(self._back), lambda: self._fail(attempt, DISCONNECTED))
            return
        self._travel(attempt, True)

    def _travel(self, attempt: Attempt, answering: bool) -> None:
        """One direction: vanish, wait for the link to come back, or arrive after the delays."""
        wait = next(self._back) if answering else next(self._there)
        if self.slow_s and not answering:
            self.touched["slow_processing"] += 1
            wait += self.slow_s + self.slow_jitter_s * (2 * next(self.uniform) - 1)
        if self.drawn and not answering:
            wait += self.drawn[self.touched["drawn_delays"] % len(self.drawn)]
            self.touched["drawn_delays"] += 1
        extra = self.delay(answering)
        if extra is None:
            return
        if extra < 0.0:
            self._kept.append((answering, attempt))
            return
        if extra == 0.0:
            self._clock.schedule_at(self._clock._now + wait, attempt)
        else:
            due = self._clock._now + wait + extra
            self._delayed[attempt] = self._clock.call_at(due, lambda: self._arrive(attempt))

    def _arrive(self, attempt: Attempt) -> None:
        self._delayed.pop(attempt, None)
        attempt.fire(attempt)

    def _hurry(self) -> None:
        """A delay that is taken away lets go at once of what it held."""
        delayed, self._delayed = self._delayed, {}
        for attempt, timer in delayed.items():
            timer.cancel()
            self._clock.schedule_at(self._clock._now, attempt)

    def comes_again(self) -> Redelivery | None:
        """Whether what was pushed to the caller comes again, and how."""
        again = self.redelivery
        if again is None or next(self.uniform) >= again.share:
            return None
        self.touched["redelivery"] += 1
        return again

    def delay(self, answering: bool) -> float | None:
        """What the impairments add to one direction: None: the bytes vanish; -1: they wait for the heal."""
        uniform = self.uniform
        total = 0.0
        for one in self.impairments.values():
            if not _concerns(getattr(one, "direction", "both"), answering):
                continue
            if isinstance(one, Blackhole):
                return None
            if isinstance(one, Delay):
                total += max(0.0, one.latency_s + one.jitter_s * (2 * next(uniform) - 1))
            elif isinstance(one, Throttle):
                if one.bytes_per_s == 0:
                    return -1.0
                total += (self.response_bytes if answering else self.request_bytes) / one.bytes_per_s
            elif isinstance(one, Loss):
                if one.share >= 1.0:
                    return -1.0
                total += self._retransmissions(one.share)
            elif isinstance(one, Corrupt):
                total += self._retransmissions(one.share)  # a bad checksum is a lost packet
            elif isinstance(one, Reorder):
                self.treated += 1
                total += one.delay_s if next(uniform) >= one.share else 0.0  # the share overtakes
        return total

    def _retransmissions(self, share: float) -> float:
        total, timeout = 0.0, RETRANSMIT_S
        self.met += 1
        while next(self.uniform) < share:
            self.treated += 1
            self.met += 1
            total += timeout
            timeout *= 2
        return total


def _concerns(direction: Direction, answering: bool) -> bool:
    return direction == "both" or (direction == "to_caller") == answering
