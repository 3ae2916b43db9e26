"""What the load generator can do: operations per second, CPU per operation and lag, against a trivial server.

`python -m benchmarks.load [--rate VISITS_PER_S] [--seconds S] [--workers N]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import platform
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from execution.catalogue import read_system
from experiment.design import Design
from experiment.history import Header, load_history
from experiment.plan import Plan, make_plan
from experiment.recorder import Recorder
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import Step
from experiment.workload import load_workload
from load.account import quantile
from load.process import LoadProcess, start_load

SYSTEM = Path(__file__).parent.parent / "reference_system" / "system.yaml"
MIX = (
    Step("check_in"),
    Step("claim", at=0.2),
    Step("pay", at=0.4, needs="claim"),
    Step("prescribe", at=0.3, share=0.6),
    Step("change_dose", at=0.6, share=0.15, needs="prescribe"),
    Step("view_dose", at=0.7, needs="prescribe"),
    Step("dispense", at=0.9, needs="prescribe"),
)
BODIES = {
    b"/checkins": {"resourceType": "Encounter"},
    b"/claims": {"status": "accepted"},
    b"/invoices": {"status": "paid"},
    b"/fhir": {"resourceType": "MedicationRequest", "meta": {"versionId": "1"}},
    b"/worklist": {"version": 1, "dose": "5 mg"},
    b"/dispenses": {
        "authorizingPrescription": [{"reference": "MedicationRequest/rx/_history/1"}],
        "dosageInstruction": [{"text": "5 mg"}],
    },
}


class Trivial(asyncio.Protocol):
    """Answers every request at once, as cheaply as Python can."""

    answers = {  # noqa: RUF012 - one table for all connections
        path: b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        for path, body in ((path, json.dumps(plain).encode()) for path, plain in BODIES.items())
    }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, request: bytes) -> None:
        path = b"/" + request.split(b" ", 2)[1].split(b"/")[1]
        self.transport.write(self.answers[path])


def serve(port: multiprocessing.Queue[int]) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def plan_of(rate: float, seconds: float) -> Plan:
    """The journeys of the reference system, in one mix."""
    system = replace(read_system(SYSTEM), mixes={"visit": MIX})
    workload = load_workload(system)
    phases = Phases(baseline=seconds - 1.0, settle=1.0)
    scenario = Scenario("bench", "bench", Load(Arrivals("poisson", rate), {"visit": 1.0}), phases)
    population = workload.population(None, 1)
    return make_plan(scenario, system, Design("none", {}, {}), 1, population, workload)


def cpu_of(pid: int) -> float:
    """User and system seconds of a process and its children so far."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    plan = plan_of(options.rate, options.seconds)
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{port.get(timeout=10)}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        history = folder / "history.jsonl"
        recorder = Recorder(history)
        recorder.write(Header(1, plan.run_id, "processes", "bench", "none", "trivial", 1, "", time.time()))
        started = time.monotonic()
        process = LoadProcess(folder, options.workers)
        load = start_load(
            plan, dict.fromkeys(plan.system.services, address), history, folder, options.workers, process
        )
        try:
            load.ready(30)
            ready = time.monotonic() - started
            starting_cpu = cpu_of(process.pid)
            zero = time.monotonic() + 0.1
            load.go(zero)
            summary = load.wait(options.seconds + 30)
        finally:
            load.stop()
        recorder.close()
        loaded = load_history(history)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime - starting_cpu
    lags = sorted(report.lag_p50 for report in loaded.load if report.offered)
    trips = sorted(row["ended"] - row["sent"] for row in loaded.operations.iter_rows(named=True))
    cores = multiprocessing.cpu_count()
    print(f"machine           {platform.machine()}, {cores} cores, Python {platform.python_version()}")
    print(f"workers           {options.workers}")
    print(f"start to ready    {ready:.2f} s")
    print(f"offered           {summary.offered} operations, {summary.offered / options.seconds:.0f}/s")
    print(f"sent / offered    {summary.sent / summary.offered:.4f}")
    print(f"acknowledged      {summary.acknowledged}")
    print(f"lag p50, p99      {1e3 * quantile(lags, 0.5):.2f} ms, {1e3 * summary.lag_p99:.2f} ms")
    print(f"round trip p50    {1e3 * quantile(trips, 0.5):.2f} ms")
    print(f"CPU to start      {starting_cpu:.2f} s")
    print(f"CPU per operation {1e3 * cpu / summary.sent:.3f} ms")
    server.terminate()


if __name__ == "__main__":
    main()
