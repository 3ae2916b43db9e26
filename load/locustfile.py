"""Locust plays a script: one user class, whose one task plays a worker's share of the visits.

`python -m load.locustfile --workers N` reads commands from its standard input and answers with events on its
standard output, one JSON object a line (load/process.py is the other side). With one worker Locust runs in
this process; with more, this is Locust's master and its forks are the workers. It stops when its input ends,
so that it never outlives the command that started it. Beside load/tasks.py the only file that imports locust:
doing so patches the whole process.
"""

from __future__ import annotations

from locust import User, task  # first: it patches the standard library for gevent
from locust.env import Environment
from locust.exception import StopUser
from locust.rpc import zmqrpc

# isort: split

import argparse
import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.os import make_nonblocking, nb_read

from experiment.children import end_with_parent
from experiment.rows import Operation
from load.crew import Conductor, Worker
from load.tasks import Tasks

PRIORITY = -10  # nice value; needs the right to raise it, else the load plays at the usual one
LOOPBACK = "127.0.0.1"
WATCH_S = 0.25
JOIN_LIMIT_S = 30.0


def lock_channel() -> None:
    """Encrypt what Locust's master and workers tell each other, and let nobody else join: the master's key is
    known to this process and its forks alone (CURVE of ZeroMQ). All users of a machine can reach its port."""
    channel: Any = zmqrpc
    zmq, plain = channel.zmq, channel.BaseSocket.__init__
    public, secret = zmq.curve_keypair()

    def locked(self: Any, kind: int, ipv4_only: bool) -> None:
        plain(self, kind, ipv4_only)
        if kind == zmq.ROUTER:
            self.socket.curve_server = True
            self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
        else:
            self.socket.curve_serverkey = public
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()

    channel.BaseSocket.__init__ = locked


def visitors(worker: Worker) -> type[User]:
    """The user class of this process: one user a worker, who is all of its visits' users at once."""

    class Visitors(User):
        @task
        def visit(self) -> None:
            worker.play()
            raise StopUser

    return Visitors


def environment_of_worker() -> tuple[Environment, Worker]:
    environment: Environment

    def ended(row: Operation) -> None:
        """Locust's own statistics of what was sent, with latency from the intended start in milliseconds."""
        if row.sent is not None:
            environment.events.request.fire(  # type: ignore[no-untyped-call]
                request_type="HTTP",
                name=row.journey,
                response_time=(row.ended - row.intended) * 1000.0,
                response_length=0,
                exception=row.error,
                context={},
            )

    worker = Worker(ended, Tasks)
    environment = Environment(user_classes=[visitors(worker)])
    return environment, worker


def play_local(tell: Callable[[dict[str, Any]], None]) -> int:
    environment, worker = environment_of_worker()
    runner = environment.create_local_runner()
    conductor = Conductor(runner, 1, tell)
    worker.attach(runner)
    return conduct(conductor, runner)


def play_as_master(workers: int, tell: Callable[[dict[str, Any]], None]) -> int:
    """Fork the workers before any socket exists, then tell them the port over their pipes."""
    lock_channel()
    pipes: list[int] = []
    children: list[int] = []
    for _ in range(workers):
        reading, writing = os.pipe()
        child = gevent.fork()
        if child == 0:
            end_with_parent()
            for inherited in (*pipes, writing):
                os.close(inherited)
            os._exit(play_as_worker(reading))
        os.close(reading)
        pipes.append(writing)
        children.append(child)
    environment = Environment(user_classes=[visitors(Worker(lambda _: None))])
    runner = environment.create_master_runner(LOOPBACK, 0)
    conductor = Conductor(runner, workers, tell)
    for pipe in pipes:
        os.write(pipe, f"{runner.server.port}\n".encode())
    gevent.spawn(watch_children, children, conductor)
    gevent.wait([conductor.joined, conductor.over], timeout=JOIN_LIMIT_S, count=1)
    if not conductor.joined.is_set():
        conductor.fail(f"{runner.worker_count} of {workers} Locust workers joined within {JOIN_LIMIT_S:g} s")
    return conduct(conductor, runner)


def play_as_worker(pipe: int) -> int:
    """Until the master says quit, or is gone."""
    make_nonblocking(pipe)
    lines = lines_of(pipe)
    port = next(lines, None)
    if port is None:
        return 1
    environment, worker = environment_of_worker()
    runner = environment.create_worker_runner(LOOPBACK, int(port))
    worker.attach(runner)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, worker.stop)

    def until_orphaned() -> None:
        for _ in lines:
            pass
        worker.stop()
        gevent.sleep(1.0)
        runner.greenlet.kill(block=False)

    gevent.spawn(until_orphaned)
    runner.greenlet.join()
    return 0


def watch_children(children: list[int], conductor: Conductor) -> None:
    while not conductor.over.is_set():
        for child in children:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                conductor.fail(f"a Locust worker ended early (exit {os.waitstatus_to_exitcode(status)})")
                return
        gevent.sleep(WATCH_S)


def conduct(conductor: Conductor, runner: Any) -> int:
    """Carry out commands until the load is over or the input ends. The exit code of the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, conductor.stop)
    gevent.spawn(follow_commands, conductor)
    conductor.over.wait()
    runner.quit()
    return 0


def follow_commands(conductor: Conductor) -> None:
    make_nonblocking(sys.stdin.fileno())
    for line in lines_of(sys.stdin.fileno()):
        command = msgspec.json.decode(line)
        if command["do"] == "load":
            conductor.load(command["script"], command.get("tokens", {}))
        elif command["do"] == "go":
            conductor.go(command["zero"])
        elif command["do"] == "stop":
            conductor.stop()
    conductor.stop()


def lines_of(descriptor: int) -> Iterator[bytes]:
    rest = b""
    while block := nb_read(descriptor, 65536):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def take_precedence() -> None:
    """On a machine shared with the system under load, a generator that waits for a core measures itself.
    Where Linux groups processes by session (autogroup), the nice value counts only within the session."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(PRIORITY))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load.locustfile")
    parser.add_argument("--workers", type=int, default=1)
    workers: int = parser.parse_args().workers
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    take_precedence()
    # Only events go to the standard output, whatever else in this process may print.
    events = os.dup(1)
    os.dup2(2, 1)

    def tell(event: dict[str, Any]) -> None:
        # A command that was killed reads no more; its end of the standard input ends the load in order.
        with contextlib.suppress(BrokenPipeError):
            os.write(events, msgspec.json.encode(event) + b"\n")

    return play_local(tell) if workers == 1 else play_as_master(workers, tell)


if __name__ == "__main__":
    sys.exit(main())
