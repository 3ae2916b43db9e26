"""One toxic at work on one link: drives the toxic's generator and keeps what waits before and behind it."""

from __future__ import annotations

from collections import deque
from random import Random
from time import monotonic
from typing import Any, Protocol

from runtimes.toxiproxy.timers import Timer, Timers
from runtimes.toxiproxy.toxics.noop import Noop
from runtimes.toxiproxy.toxics.pipe import Chunk, Interrupted, Pipe, Receive, Tally, TimedOut, Toxic, Until

NEVER = float("inf")


class ToxicSettings(Protocol):
    """A toxic of a proxy as its user set it; shared by all links."""

    name: str
    toxicity: float
    toxic: Toxic
    tally: Tally


class Neighbours(Protocol):
    """What a stage needs of its link."""

    timers: Timers

    def offer(self, stage: Stage, chunk: Chunk) -> bool:
        """Pass ``chunk`` on from ``stage``; False when there is no room, then the stage is woken later."""
        ...

    def end_after(self, stage: Stage) -> None:
        """Nothing more comes from ``stage``."""
        ...

    def room_before(self, stage: Stage) -> None:
        """``stage`` has taken a chunk: what waits before it can move up."""
        ...

    def wake(self, stage: Stage) -> None:
        """Advance ``stage`` in this turn of the pump."""
        ...

    def timer_fired(self, stage: Stage) -> None:
        """Time has come for ``stage``."""
        ...

    def dice_for(self, toxic_name: str) -> Random:
        """The random source of one toxic on this link."""
        ...

    def answer(self, settings: ToxicSettings) -> None:
        """Wake the stage of this toxic in the opposite direction."""
        ...


class Stage:
    """A position in a link's chain. See ``Place`` for what the toxic sees of it."""

    __slots__ = (
        "_dice",
        "_link",
        "_pipe",
        "_request",
        "_timed_out",
        "_timer",
        "awake",
        "backward",
        "finished",
        "inbox",
        "input_ended",
        "outbox",
        "passed_bytes",
        "settings",
        "spoilt",
        "talk",
    )

    def __init__(self, link: Neighbours, settings: ToxicSettings, *, backward: bool = False) -> None:
        """`backward`: in the direction opposite to that of the toxic, which acts both ways."""
        self._link = link
        self.settings = settings
        self.inbox: deque[Chunk] = deque()
        self.outbox: deque[Chunk] = deque()
        self.input_ended = False
        self.finished = False
        """The toxic has ended the stream: nothing more leaves than what is in the outbox."""
        self.awake = False
        self.passed_bytes = 0
        self.backward = backward
        self.talk: Any = None
        self.spoilt = False
        self._pipe: Pipe | None = None
        self._request: Receive | Until | None = None
        self._timer: Timer | None = None
        self._timed_out = False
        self._dice: Random | None = None

    @property
    def dice(self) -> Random:
        """Seeded for this toxic on this link; made when first used."""
        if self._dice is None:
            self._dice = self._link.dice_for(self.settings.name)
        return self._dice

    @property
    def tally(self) -> Tally:
        """See ``Place``."""
        return self.settings.tally

    def answer(self) -> None:
        """See ``Place``."""
        self._link.answer(self.settings)

    def put_back(self, chunk: Chunk) -> None:
        """See ``Place``."""
        self.inbox.appendleft(chunk)

    def has_room(self) -> bool:
        """Whether a chunk may be put into the inbox."""
        return not self.finished and len(self.inbox) < self.settings.toxic.buffer_chunks

    def start(self) -> None:
        """Begin a run: the toxicity is drawn, and the toxic or a noop takes its place."""
        toxic, toxicity = self.settings.toxic, self.settings.toxicity
        if self.backward:  # it follows what the other stage has decided
            self._pipe = toxic.back(self)
        else:
            effective = toxicity >= 1 or (toxicity > 0 and self.dice.random() < toxicity)
            self._pipe = (toxic if effective else Noop()).pipe(self)
        self._request = None
        self._link.wake(self)

    def interrupt(self, *, removed: bool) -> bool:
        """End the run; what the toxic held goes to the outbox. False when the stream had ended here."""
        if self.finished:
            return False
        self._cancel_timer()
        self._timed_out = False
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return True
        try:
            held = pipe.throw(Interrupted(removed=removed))
            while isinstance(held, Chunk):
                self.outbox.append(held)
                held = next(pipe)
        except (StopIteration, Interrupted):
            pass
        return True

    def finish(self) -> None:
        """End the stream here; what waits to pass is dropped, what has passed goes on."""
        self.inbox.clear()
        self.finished = True
        self._link.wake(self)

    def discard(self) -> None:
        """Forget everything; the link is dead."""
        self._cancel_timer()
        self.finished = True
        self.inbox.clear()
        self.outbox.clear()
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def advance(self, most_steps: int) -> int:
        """Run until it has to wait for input, time or room behind it. Returns how many steps that took, at
        least one; after `most_steps` of them it is awake still."""
        for steps in range(1, most_steps + 1):
            if not self._hand_over() or self._pipe is None or not self._resume(self._pipe):
                return steps
        self._link.wake(self)
        return most_steps

    def _hand_over(self) -> bool:
        outbox = self.outbox
        while outbox:
            if not self._link.offer(self, outbox[0]):
                return False
            outbox.popleft()
        if self.finished:
            self._link.end_after(self)
            return False
        return True

    def _resume(self, pipe: Pipe) -> bool:
        """Give the toxic what it asked for; False when that is not there yet."""
        request = self._request
        received: Chunk | None = None
        if type(request) is Receive:
            if self.inbox:
                received = self.inbox.popleft()
                self._link.room_before(self)
            elif not self.input_ended and not self._timed_out:
                self._set_timer(request.deadline)
                return False
        elif type(request) is Until and monotonic() < request.due:
            self._set_timer(request.due)
            return False
        self._cancel_timer()
        try:
            if self._timed_out and received is None:
                self._timed_out = False
                answer = pipe.throw(TimedOut())
            else:
                self._timed_out = False
                answer = pipe.send(received)
        except StopIteration:
            self._pipe = None
            self.finished = True
            return True
        if type(answer) is Chunk:
            self.outbox.append(answer)
            self._request = None
        else:
            self._request = answer  # type: ignore[assignment]
        return True

    def _set_timer(self, due: float | None) -> None:
        if self._timer is None and due is not None and due != NEVER:
            self._timer = self._link.timers.call_at(due, self._on_timer)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._timed_out = type(self._request) is Receive
        self._link.timer_fired(self)
