"""One live run, from the reset of the system to the last line of its history.

    reset -> load ready -> zero -> warm-up, baseline -> baseline judged -> faults on their timeline while the
    load plays on -> load ends -> settle until every backlog is empty -> final reads, records -> end

Whatever happens on the way, the faults are healed, the load is stopped and the history gets its last line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeVar

from execution.runs.aborting import AbortLooks
from execution.runs.merged_logs import merge_logs
from execution.runs.run_folder import RunFolder
from execution.runs.timeline import FaultTimeline
from execution.runs.travelled import Travelled
from execution.runs.wall_clock import WallClock
from experiment.aborting import NAME as ABORTED
from experiment.errors import CodeBlueError, StartError
from experiment.history import End, Header, History, HistoryReader, Note, Obeyed, PhaseEvent, Row, Sample
from experiment.libraries import pl
from experiment.plan import Plan, PlannedPhase
from experiment.recorder import Recorder
from experiment.scenario import Expect, Scenario
from experiment.settling import BACKLOGS_SAMPLED, PATIENCE_MARGIN_S, settling
from experiment.stop import Interrupted, Stop
from experiment.topology import System
from load.account import LoadProgress
from load.final_reads import final_reads
from load.process import LoadProcess, RunningLoad, start_load
from measurement.expectations import describe, judge_expectations
from measurement.quality import grade
from runtimes.machine_watch import MachineWatch
from runtimes.precedence import going_first
from runtimes.runtime import RunSettings, Runtime, Zero
from runtimes.starting import beside

T = TypeVar("T")
READY_WITHIN_S = 20.0
LOOK_EVERY_S = 0.2
LEAD_S = 0.25  # between the last preparation and zero
JUDGE_AHEAD_S = 0.4  # the baseline is judged this long before the first injection at least,
TAKES_LONGER = 2.0  # so many times what it took half-way,
MOST_AHEAD = 0.25  # and no more than this share of the baseline


@dataclass(frozen=True, slots=True)
class Progress:
    """What a watcher sees while a run goes on."""

    t: float
    total: float
    phase: str
    faults: tuple[str, ...]
    load: LoadProgress | None


class _Interrupted(Exception):
    """A signal came while something was awaited."""


Watcher = Callable[[Progress], None]
Reason = Literal["completed", "interrupted", "failed", "aborted"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, whether everything injected was seen healed, and what was written of it."""

    reason: Reason
    clean: bool
    history: History
    statement: str = ""


class LiveRun:
    """The state of one run in flight; `play` is called once."""

    def __init__(
        self,
        plan: Plan,
        runtime: Runtime,
        folder: RunFolder,
        header: Header,
        watch: Watcher,
        stop: Stop,
        remarks: Sequence[Note] = (),
    ) -> None:
        """`header` gets the true zero; `remarks` on what went before this run follow it in the history."""
        self._plan = plan
        self._runtime = runtime
        self._folder = folder
        self._header = header
        self._watch = watch
        self._stop = stop
        self._recorder = Recorder(folder.history_path)
        self._reader = HistoryReader(folder.history_path, header)
        self._remarks = remarks
        self._aborts = AbortLooks(plan, self._reader.read)
        self._why = ""  # what ended the run early
        self._leaks: set[str] = set()  # said already
        self._obeyed: list[Obeyed] = []  # what the services showed before the start
        self._zero = Zero(0.0, 0.0)
        self._clock: WallClock | None = None
        self._latest: LoadProgress | None = None
        self._machine: MachineWatch | None = None

    def play(self) -> Ended:
        """Run the plan. Returns how it ended; raises nothing but what could not even be recorded."""
        reason: Reason = "failed"
        statement = ""
        process = LoadProcess(self._folder.path, self._plan.scenario.load.workers)
        try:
            beside(self._stop, lambda: self._runtime.reset(run_settings(self._plan)))
            self._obeyed = self._shown(0.0)
            reason = self._played(process)
        except (_Interrupted, Interrupted):
            reason = "interrupted"
            with suppress(OSError):
                self._ensure_header()
        except (CodeBlueError, OSError) as error:
            trouble = self._runtime.trouble()
            statement = str(error) if trouble is None else trouble.told(self._zero.monotonic_s)
            with suppress(OSError):  # the disk may be full: then the history ends where it is
                self._ensure_header()
                self._record(Note(self._now(), "invalid", statement))
        finally:
            process.stop()
            problems = self._healed_in_the_end()
            if self._machine is not None:
                self._machine.stop()
            if reason == "completed" and self._stop.is_set():
                reason = "interrupted"  # the final records may lack what the signal cut off
            if reason == "interrupted":
                self._why = self._why or self._stop.told
            with suppress(OSError, CodeBlueError):  # what was kept so far is judged
                self._close(reason, statement or self._why, problems)
            self._recorder.close()
        return Ended(reason, not problems, self._reader.finish(), statement or self._why)

    def _played(self, process: LoadProcess) -> Reason:
        plan = self._plan
        load = start_load(
            plan,
            self._endpoints(),
            self._folder.history_path,
            self._folder.path,
            plan.scenario.load.workers,
            process,
        )
        timeline: FaultTimeline | None = None
        try:
            load.ready(READY_WITHIN_S, lambda: self._look(load))
            self._begin(LEAD_S)
            self._record(*self._remarks, *self._obeyed)
            with going_first() as nice:
                self._watch_machine(load, nice)
                load.go(self._zero.monotonic_s)
                controls = self._runtime.controls()
                timeline = FaultTimeline(plan, controls, self._zero.monotonic_s, self._record)
                reason = self._phases(load, timeline)
                if reason == "completed":
                    reason = self._settle(load)
            if reason == "completed":
                self._final_state()
            return reason
        except _Interrupted:
            return "interrupted"
        finally:
            if timeline is not None:
                timeline.abandon()
                if not timeline.join(READY_WITHIN_S):
                    self._record(Note(self._now(), "invalid", "a fault could not be healed in time"))
            load.stop()

    def _phases(self, load: RunningLoad, timeline: FaultTimeline) -> Reason:
        """Warm-up to recovery. The first broken baseline ends the run before anything is injected."""
        plan = self._plan
        phases = [phase for phase in plan.phases if phase.name != "settle" and phase.end_s > phase.start_s]
        travelled = Travelled(plan, self._runtime.controls())
        for phase in phases:
            self._sample_all()
            travelled.begin(phase.name)
            if phase.name == "baseline":
                ahead = self._judging_takes(phase, load, timeline) if timeline.proofs else 0.0
                if not self._until(phase.end_s - ahead, phase.name, load, timeline):
                    return self._cut(phase)
                if self._baseline_broken():
                    self._record(PhaseEvent(phase.name, phase.start_s, self._now()))
                    return "failed"
                timeline.start()
            if not self._until(phase.end_s, phase.name, load, timeline):
                return self._cut(phase)
            if missed := travelled.missed(phase.name):
                self._record(Note(self._now(), "info", missed))
            self._record(PhaseEvent(phase.name, phase.start_s, phase.end_s))
        self._sample_all()
        return "completed"

    def _judging_takes(self, phase: PlannedPhase, load: RunningLoad, timeline: FaultTimeline) -> float:
        """How long before the first injection the baseline is to be judged, as tried half-way: where others
        keep the machine busy it takes longer, and would make the injection late."""
        length = phase.end_s - phase.start_s
        if self._until(phase.start_s + length / 2, phase.name, load, timeline):
            began = time.monotonic()
            baseline_problems(self._reader.read(), self._plan.scenario, self._plan.system)
            took = time.monotonic() - began
            return max(JUDGE_AHEAD_S, min(TAKES_LONGER * took, MOST_AHEAD * length))
        return 0.0

    def _cut(self, phase: PlannedPhase) -> Reason:
        self._record(PhaseEvent(phase.name, phase.start_s, None))
        self._why = self._why or self._aborts.why
        return ABORTED if self._aborts.why else "interrupted"

    def _baseline_broken(self) -> bool:
        history = self._reader.read()
        problems = baseline_problems(history, self._plan.scenario, self._plan.system)
        for problem in problems:
            text = f"the baseline is outside its own expectations: {problem}; no fault was injected"
            self._record(Note(self._now(), "invalid", text))
            self._why = self._why or text
        return bool(problems)

    def _until(self, t: float, phase: str, load: RunningLoad, timeline: FaultTimeline) -> bool:
        """Watch until t; False when the run was interrupted, or a condition of its scenario ends it. Baseline
        and recovery sample the backlogs once a second: what is usual under load, and when it is back."""
        next_sample = self._now()
        while (left := t - self._now()) > 0:
            if self._aborts.look(self._now()) or self._stop.wait(min(LOOK_EVERY_S, left)):
                return False
            self._look_for_trouble(load)
            self._latest = load.poll() or self._latest
            self._watch(self._progress(phase, tuple(timeline.active())))
            if self._now() >= next_sample:
                self._look_for_leaks()
                if phase in BACKLOGS_SAMPLED:
                    self._sample_backlog()
                next_sample += 1.0
        self._look_for_trouble(load)  # a reading may have waited for a part that died meanwhile
        return True

    def _look_for_leaks(self) -> None:
        """What goes past the proxies makes the run invalid: a fault on the link would not have met it."""
        for leak in self._runtime.leaks():
            if leak not in self._leaks:
                self._leaks.add(leak)
                self._record(Note(self._now(), "invalid", leak))

    def _progress(self, phase: str, faults: tuple[str, ...]) -> Progress:
        return Progress(self._now(), self._plan.phases[-1].end_s, phase, faults, self._latest)

    def _settle(self, load: RunningLoad) -> Reason:
        """Wait until the load has ended and every backlog was empty a few times, or the phase is over. Of a
        run that is interrupted here nothing has settled, so that its final state says nothing."""
        phase = self._plan.phase("settle")
        silent = self._plan.system.without("backlog")
        if silent:
            said = f"settling waits its whole phase: {', '.join(silent)} cannot say what is not finished"
            self._record(Note(self._now(), "info", f"{said} (no endpoint backlog)"))

        def backlog() -> float:
            self._look_for_trouble(load)
            return self._sample_backlog()

        for until in settling(phase.end_s, self._now, backlog, load.finished, sure=not silent):
            self._watch(self._progress("settle", ()))
            if self._stop.wait(max(0.0, until - self._now())):
                break
        if self._stop.is_set():
            return self._cut(phase)
        summary = load.wait(max(PATIENCE_MARGIN_S, phase.end_s - self._now()), lambda: self._look(load))
        self._record(Sample(self._now(), "load", "lag_p99", summary.lag_p99))
        self._record(PhaseEvent("settle", phase.start_s, self._now()))
        self._sample_all()
        return "completed"

    def _final_state(self) -> None:
        """Read beside a watch: what waits for a part that died waits in vain, and signals are answered."""
        history, zero = self._reader.read(), self._clock.zero if self._clock is not None else self._zero
        reads = self._watched(lambda: final_reads(self._plan, self._endpoints(), history, zero.monotonic_s))
        self._recorder.write_all(reads)
        self._recorder.write_all(self._watched(lambda: self._runtime.records(zero)))
        self._recorder.write_all(self._watched(lambda: self._shown(self._now())))

    def _shown(self, t: float) -> list[Obeyed]:
        """What the services of the plan obey. A system that is up for several plans may have more of them."""
        return [row for row in self._runtime.obeyed(t) if row.service in self._plan.system.services]

    def _watched(self, read: Callable[[], T]) -> T:
        """What `read` gives, in a thread of its own: it is left alone when the run ends before it does."""
        result: Future[T] = Future()

        def answer() -> None:
            try:
                result.set_result(read())
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                result.set_exception(error)

        threading.Thread(target=answer, daemon=True, name="final state").start()
        while not wait([result], LOOK_EVERY_S).done:
            self._look()
        return result.result()

    def _look(self, load: RunningLoad | None = None) -> None:
        """Raises _Interrupted after a signal, StartError when a part is in trouble."""
        if self._stop.is_set():
            raise _Interrupted
        self._look_for_trouble(load)

    def _look_for_trouble(self, load: RunningLoad | None) -> None:
        """Raises StartError naming the part, and when it happened: a run without it shows something else than
        what was planned."""
        if self._clock is not None and (note := self._clock.look()) is not None:
            self._record(note)
        trouble = self._runtime.trouble() or (load.trouble() if load is not None else None)
        if trouble is not None:
            raise StartError(trouble.told(self._zero.monotonic_s))

    def _healed_in_the_end(self) -> list[str]:
        """What is still wrong after everything was healed once more; one sentence each."""
        problems = list(self._runtime.unhealed())
        if problems:
            with suppress(OSError):
                self._record(*(Note(self._now(), "invalid", f"not healed: {text}") for text in problems))
            with suppress(CodeBlueError):
                self._runtime.heal()
            problems = list(self._runtime.unhealed())
        return problems

    def _close(self, reason: Reason, statement: str, problems: list[str]) -> None:
        tally = self._reader.read().tally
        signal = self._stop.signal if reason == "interrupted" else None
        run_id = self._header.run_id
        self._record(End(self._now(), reason, not problems, statement, tally, signal or None, run_id))
        self._runtime.collect(self._folder.path)
        merge_logs(self._folder.path)

    def _ensure_header(self) -> None:
        if not self._zero.monotonic_s:
            self._begin(0.0)

    def _begin(self, lead_s: float) -> None:
        """Zero is so far ahead; the header says when."""
        self._clock = WallClock(lead_s)
        self._zero = self._clock.zero
        wall_s = self._zero.wall_s
        started_at = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
        self._record(replace(self._header, zero_wall=wall_s, started_at=started_at))

    def _watch_machine(self, load: RunningLoad, nice: int) -> None:
        """What others take of the machine, from now on, and whether generator and harness go before them."""
        self._machine = MachineWatch(self._zero.monotonic_s, self._recorder.write_all)
        self._machine.start()
        own = Sample(0.0, "harness", "nice", float(nice))
        self._record(Sample(0.0, "load", "nice", float(load.nice)), own)

    def _sample_all(self) -> None:
        if self._machine is not None:
            self._machine.follow(self._runtime.pids())
        self._recorder.write_all(self._runtime.sample(self._zero))

    def _sample_backlog(self) -> float:
        """Total backlog now, also recorded."""
        now = self._now()
        rows = [
            Sample(now, service, "backlog", float(count), about)
            for service, backlog in self._runtime.backlog().items()
            for about, count in backlog.items()
        ]
        self._recorder.write_all(rows)
        return sum(row.value for row in rows)

    def _record(self, *rows: Row) -> None:
        self._recorder.write(*rows)

    def _now(self) -> float:
        zero = self._zero.monotonic_s
        return round(time.monotonic() - zero, 6) if zero else 0.0

    def _endpoints(self) -> dict[str, str]:
        """Entry service of a journey to its base URL, which has the token that it asks for."""
        system = self._plan.system
        entries = {journey.entry for journey in system.journeys.values()} & system.services.keys()
        return {entry: self._runtime.address(entry).url for entry in sorted(entries)}


def run_settings(plan: Plan) -> RunSettings:
    """What the runtime must know of the plan."""
    services = tuple(plan.system.services)
    return RunSettings(
        plan.run_id, plan.seed, plan.design, plan.population, plan.scenario.clock_scale, services
    )


def baseline_problems(history: History, scenario: Scenario, system: System) -> list[str]:
    """One sentence for each baseline objective that is not met by the operations that have ended so far: what
    is broken before any fault must not be blamed on one."""
    asked = replace(scenario, expect=Expect(baseline=scenario.expect.baseline))
    graded = grade(history, asked, system, pl.Series(dtype=pl.Int64))
    results = judge_expectations(history, asked, graded, None, None)
    return [describe(result) for result in results if result.status == "not met"]
