"""The two sides of the messages between a Locust runner's master and its workers. Imports no locust: it is
handed the runner, and with one worker both sides hang on the same local runner.

To workers: script (path, workers, tokens), zero, halt. From workers: joined, ready, second (a SecondReport),
done, failed.
Locust's own message names (stop, quit, spawn ...) are avoided: it acts on them before any listener.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from gevent.event import AsyncResult, Event

from experiment.errors import ConfigError
from experiment.rows import Operation
from load.account import SecondReport, Totals, progress, report_from
from load.player import Player, TaskPlayer
from load.script import read_script

logger = logging.getLogger(__name__)


class Worker:
    """Plays one share of the script in the one user of this worker."""

    def __init__(
        self,
        ended: Callable[[Operation], None],
        tasks: Callable[[Path, Callable[[str, float], None]], TaskPlayer] | None = None,
    ) -> None:
        """`ended` is told each operation that has ended; `tasks` makes the player of a locustfile."""
        self._ended = ended
        self._tasks = tasks
        self._runner: Any = None
        self._player: Player | None = None
        self._played = False
        self._zero = AsyncResult()

    def attach(self, runner: Any) -> None:
        """Listen, and say so: a message to a worker that does not listen yet is lost."""
        self._runner = runner
        runner.register_message("script", lambda msg, **_: self._load(msg.data))
        runner.register_message("zero", lambda msg, **_: self._go(msg.data["zero"]))
        runner.register_message("halt", lambda **_: self.stop())
        runner.send_message("joined", {})

    def stop(self) -> None:
        """Also before the start: then nothing is played."""
        if self._player is not None:
            self._player.stop()
        self._go(None)

    def play(self) -> None:
        """The task of the user: returns when the share has been played. Locust's master starts the users of a
        worker again whose heartbeats it had missed; the share is not played twice for that."""
        if self._played:
            return
        self._played = True
        self._runner.send_message("ready", {})
        zero = self._zero.get()  # comes with the start, or as None with the stop when the master is gone
        try:
            if zero is not None:
                if self._player is None:
                    raise RuntimeError("there is nothing to play: no script came")
                self._player.play(zero)
            self._runner.send_message("done", {})
        except OSError as error:
            self._runner.send_message("failed", {"message": f"the history could not be written ({error})"})
        except (
            Exception
        ) as error:  # whatever it was, the run must hear of it instead of waiting for its deadline
            logger.exception("a worker failed")
            self._runner.send_message("failed", {"message": f"{type(error).__name__}: {error}"})

    def _load(self, order: dict[str, Any]) -> None:
        shard = max(0, self._runner.worker_index)
        try:
            script = read_script(Path(order["path"]), shard, order["workers"])
            self._player = Player(script, shard, self._second, self._ended, order["tokens"], self._tasks)
        except (OSError, msgspec.MsgspecError, ConfigError) as error:
            self._runner.send_message("failed", {"message": f"the load cannot be prepared ({error})"})
        # The script stays until the end: out of the collector's sight, or each full collection delays the
        # schedule.
        gc.collect()
        gc.freeze()

    def _go(self, zero: float | None) -> None:
        if not self._zero.ready():
            self._zero.set(zero)

    def _second(self, report: SecondReport) -> None:
        self._runner.send_message("second", asdict(report))


class Conductor:
    """Gathers what the workers report, and tells it as events: ready, progress, summary, failed."""

    def __init__(self, runner: Any, workers: int, tell: Callable[[dict[str, Any]], None]) -> None:
        self._runner = runner
        self._workers = workers
        self._tell = tell
        self._loaded = False
        self._joined = 0
        self._ready = 0
        self._done = 0
        self._totals = Totals()
        self._latest: dict[float, list[SecondReport]] = {}
        self.joined = Event()
        self.over = Event()
        runner.register_message("joined", lambda **_: self._on_joined())
        runner.register_message("ready", lambda **_: self._on_ready())
        runner.register_message("second", lambda msg, **_: self._on_second(report_from(msg.data)))
        runner.register_message("done", lambda **_: self._on_done())
        runner.register_message("failed", lambda msg, **_: self.fail(msg.data["message"]))

    def load(self, script: str, tokens: Mapping[str, str]) -> None:
        """`tokens`: base address of an endpoint to what it asks for."""
        self._loaded = True
        order = {"path": script, "workers": self._workers, "tokens": dict(tokens)}
        self._runner.send_message("script", order)
        self._runner.start(self._workers, spawn_rate=self._workers)

    def go(self, zero: float) -> None:
        self._runner.send_message("zero", {"zero": zero})

    def stop(self) -> None:
        """The workers end their shares, and the summary follows; without any share, this is the end."""
        if not self._loaded:
            self.over.set()
        self._runner.send_message("halt", {})

    def fail(self, message: str) -> None:
        """Tell why there will be no summary, and end."""
        if not self.over.is_set():
            self._tell({"event": "failed", "message": message})
            self.stop()
            self.over.set()

    def _on_joined(self) -> None:
        self._joined += 1
        if self._joined == self._workers:
            self.joined.set()

    def _on_ready(self) -> None:
        self._ready += 1
        if self._ready == self._workers:
            self._tell({"event": "ready"})

    def _on_second(self, report: SecondReport) -> None:
        self._totals.add(report)
        same = self._latest.setdefault(report.t, [])
        same.append(report)
        if len(same) == self._workers:
            del self._latest[report.t]
            self._tell({"event": "progress", **asdict(progress(same))})

    def _on_done(self) -> None:
        self._done += 1
        if self._done == self._workers:
            self._tell({"event": "summary", **asdict(self._totals.summary())})
            self.over.set()
