"""Work of a simulated service: generators that wait for futures, in virtual time.

A service's behaviour reads like its live counterpart's: `answer = yield from link.call(...)`. There is no
SimPy process behind it; a task is resumed by whatever it waits for. A task belongs to a process of a service:
when that crashes the task never goes on, and while it is paused the task waits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

from simulation.engine.clock import Clock

Value = TypeVar("Value")


class ModelError(Exception):
    """An error that the modelled services themselves raise and handle."""


class Home(Protocol):
    """The process a task lives in: its `generation` grows with every crash."""

    generation: int
    span: Any  # what the task that goes on now is part of

    @property
    def halted(self) -> bool:
        """Whether it is paused now; asked before `defer`, since nearly always it is not."""

    def defer(self, action: Callable[[], None]) -> bool:
        """Keep `action` until the process goes on; False when it is not held."""


class Future:
    """A value or an error that comes later."""

    __slots__ = ("_callbacks", "done", "error", "value")

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._callbacks: list[Callable[[Future], None]] = []

    def resolve(self, value: Any = None) -> None:
        self._settle(value, None)

    def reject(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self.value, self.error = True, value, error
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def then(self, callback: Callable[[Future], None]) -> None:
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)


Work = Generator[Future, Any, Value]


class Task(Future):
    """Drives a generator; its own end is a future too."""

    __slots__ = ("_generation", "_home", "_span", "_work")

    def __init__(self, work: Work[Any], home: Home | None = None, span: Any = None) -> None:
        super().__init__()
        self._span = span
        self._work = work
        self._home = home
        self._generation = home.generation if home is not None else 0
        self._go_on(None)

    def _go_on(self, settled: Future | None) -> None:
        home = self._home
        if home is not None:
            if home.generation != self._generation:
                return  # the process that did this is dead
            if home.halted and home.defer(lambda: self._go_on(settled)):
                return
            before, home.span = home.span, self._span
        end: tuple[Any, BaseException | None] | None = None
        try:
            if settled is not None and settled.error is not None:
                waited = self._work.throw(settled.error)
            else:
                waited = self._work.send(settled.value if settled is not None else None)
        except StopIteration as stop:
            end = stop.value, None
        except ModelError as error:
            end = None, error
        finally:
            if home is not None:
                home.span = before
        if end is None:
            waited.then(self._go_on)
        else:
            self._settle(*end)


def sleep(clock: Clock, seconds: float) -> Future:
    """Resolves after `seconds`."""
    future = Future()
    clock.call_after(seconds, future.resolve)
    return future


def within(clock: Clock, future: Future, seconds: float | None) -> Future:
    """Resolves to whether `future` was done within `seconds` (None: however long it takes)."""
    waited = Future()
    future.then(lambda _: waited.resolve(True))
    if seconds is not None and not future.done:
        clock.call_after(max(0.0, seconds), lambda: waited.resolve(False))
    return waited


def wait(future: Future) -> Work[Any]:
    """The future's value; raises its error."""
    value = yield future
    return value
