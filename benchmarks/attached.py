"""Attaching to the example shop that runs already, under load: how soon everything goes through the proxies,
how soon nothing is left after `kill -9` of the harness, and which verdicts the shop gets as it is and mended.

`python -m benchmarks.attached kills 20`, `wiring 10` or `verdicts 5`; it takes root, nft, and the ports of
`hand_started_shop`. `containers 20` kills a harness that is attached to a compose project, from its begin on;
it takes a Docker engine.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.hand_started_shop import PORTS, SHOP, running_shop
from experiment.errors import ExitCode
from experiment.topology import System, load_system
from measurement.properties import KINDS
from runtimes.attach.consent import Target, find_target
from runtimes.attach.kernel import nft
from runtimes.attach.rules import Group, Redirect, cut, mount_of_groups, move_in, redirect
from runtimes.attach.undo import Touched, undo_all
from runtimes.leaks import ProcessLeaks
from runtimes.links.adapter import Toxiproxy
from runtimes.links.controls import proxy_name
from runtimes.links.servers import find_server, start_server
from runtimes.loopback import HOST
from runtimes.runtime import Address
from tests.live.attached_project import Project, running_project
from tests.runtimes.attach.test_nodes import HOLDER

ROOT = Path(__file__).resolve().parents[1]
LATEST_KILL_S = 20.0  # after its start: a run of the scenario takes about 40 s
LATEST_HELD_S = 6.0  # after its start: all is wired, killed and held after two to four
LOOK_S = 0.02
GONE_WITHIN_S = 30.0
QUIET_S = 3.0  # so long nothing must have shown itself again
SLOW = SHOP / "scenarios" / "slow_payments.yaml"
# The same questions as in its scenarios, in a third of the time.
SHORT = """\
name: {name}
title: A slow card processor charges nobody twice
load: {{arrivals: 5/s, journeys: {{customer: 1}}}}
phases: {{warm_up: 1s, baseline: 4s, fault: {fault}s, recovery: {fault}s, settle: 4s}}
{faults}
expect:
  invariants: [no_duplicate_charge, paid_for_something, orders_kept, orders_sent_out, orders_end]
  minimum_operations: 10
"""
FAULT = "faults: [{kind: latency, link: orders -> payments, delay: 700ms, during: fault}]"
MENDED = {"PAYMENTS_SEND_KEY": "true", "FINISH_PENDING": "true"}
DESIGNS: dict[str, dict[str, str]] = {"as_it_is": {}, "fixed": MENDED}


def loaded(over: threading.Event) -> None:
    """A browsing and buying customer, ten times a second."""
    number = 0
    while not over.wait(0.1):
        number += 1
        basket = {
            "order": f"by-hand-{time.time_ns()}",
            "sku": f"sku-{number % 8}",
            "quantity": 1,
            "amount": 5,
        }
        asked = Request(
            f"http://127.0.0.1:{PORTS['storefront']}/checkout",
            json.dumps(basket).encode(),
            {"content-type": "application/json"},
        )
        with suppress(OSError), urlopen(asked, timeout=2.0) as answer:
            answer.read()


def wired_after(system: System, folder: Path) -> tuple[float, int]:
    """Seconds from the first rule until no caller is connected past its proxy, seen for two seconds more;
    and how many connections were cut."""
    target = find_target(system)
    own = start_server(find_server(), folder=folder, seed=None, deadline_s=10.0)
    server = Toxiproxy(own.host, own.port, token=own.token)
    redirects = []
    for link in system.links:
        callee = target.parts[link.callee].address
        state = server.create_proxy(proxy_name(link), listen=f"{HOST}:0", upstream=str(callee))
        redirects.append(Redirect(link.name, target.callers[link.caller], callee, Address(HOST, state.port)))
    groups = {name: one for name, one in target.callers.items() if isinstance(one, Group)}
    leaks = leaks_of(system, target, own.pid or 0)
    touched = [Touched("rules", target.table)]
    touched += [Touched("group", str(one.path), str(one.home)) for one in groups.values() if one.made]
    try:
        before = len(leaks.find())
        for caller, group in groups.items():
            move_in(group, target.parts[caller].pids)
        began = time.monotonic()
        redirect(target.table, redirects)
        callers = {link.name: target.parts[link.caller].pids for link in system.links}
        counts = cut([(one, callers[one.link]) for one in redirects])
        last = time.monotonic()  # what was seen meanwhile nobody looked at
        while time.monotonic() < began + 3.0:
            if [leak for leak in leaks.find() if leak.caller]:
                last = time.monotonic()
            time.sleep(LOOK_S)
        assert before, "no caller was connected before"
        return last - began, sum(counts.values())
    finally:
        problems = undo_all(touched)
        leaks.close()
        own.stop()
        assert not problems, problems


def leaks_of(system: System, target: Target, proxy: int) -> ProcessLeaks:
    callees = {link.callee: target.parts[link.callee].address for link in system.links}
    return ProcessLeaks(
        callees, lambda: {name: part.pids for name, part in target.parts.items()}, lambda: [proxy]
    )


def command(seed: int, out: Path, scenario: Path = SLOW, design: str = "as_it_is") -> list[str]:
    allow = SHOP / "attached" / "allow.yaml"
    words = ["run", str(scenario), "--system", str(SHOP / "attached"), "--design", design]
    words += ["--runtime", "attach", "--allow", str(allow), "--seed", str(seed)]
    return [sys.executable, "harness.py", *words, "--out", str(out)]


def agreed(words: Sequence[str]) -> list[str]:
    """The same command with the hash of the list that it prints."""
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"--yes (\w{12}) ", ended.stdout + ended.stderr)
    assert found is not None and ended.returncode == 64, ended
    return [*words, "--yes", found[1]]


def left() -> list[str]:
    """What of a run is there now: rules, groups, proxies, folders."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    found = [line for line in tables.splitlines() if "codeblue_" in line]
    found += [str(one) for one in mount_of_groups().glob("codeblue-*")]
    return found + [str(one) for one in (ROOT / "var" / "instances").glob("attach-*")]


def killed_after(words: Sequence[str], wait_s: float) -> tuple[float, str]:
    """Start, kill -9 so long after the first thing is there, and wait until nothing is left. The seconds that
    took, and what there was at the kill."""
    assert not left(), left()
    harness = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60.0
    while not left() and harness.poll() is None and time.monotonic() < end:
        time.sleep(LOOK_S)
    time.sleep(wait_s)
    there = left()
    harness.kill()
    began = last = time.monotonic()
    while time.monotonic() < last + QUIET_S and time.monotonic() < began + GONE_WITHIN_S:
        if left():
            last = time.monotonic()
        time.sleep(LOOK_S)
    harness.wait()
    return last - began, f"{len(there)} things at the kill, {len(left())} left"


def killed_at_a_project(project: Project, folder: Path, wait_s: float) -> tuple[float, str]:
    """As `killed_after`, of a process that wires a project, kills a part of it and holds another."""
    table = find_target(project.system(folder)).table
    words = [sys.executable, "-c", HOLDER, str(folder / "system.yaml"), str(folder / "var")]
    holder = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(wait_s)
    there = left_at(project, table, folder)
    holder.kill()
    holder.wait()
    began = last = time.monotonic()
    while time.monotonic() < last + QUIET_S and time.monotonic() < began + GONE_WITHIN_S:
        if left_at(project, table, folder):
            last = time.monotonic()
        time.sleep(LOOK_S)
    after = len(project.answers())
    time.sleep(0.5)
    works = "it works" if len(project.answers()) > after else "IT DOES NOT WORK"
    return last - began, f"{', '.join(there) or 'nothing'} at the kill; {works}"


def left_at(project: Project, table: str, folder: Path) -> list[str]:
    """What of a run is at a project now: rules, parts that do not run, folders."""
    found = []
    for service in ("front", "back"):
        state = project.engine.state(project.container(service))
        if state.status != "running":
            found.append(f"{service} {state.status}")
            continue
        network = Path(f"/proc/{state.pid}/ns/net")
        if nft("list", "table", "ip", table, network=network).code == 0:
            found.append(f"rules of {service}")
    return found + [one.name.split("-")[0] for one in (folder / "var" / "instances").glob("*")]


def kill_at_a_project(times: int, seed: int) -> None:
    instants = random.Random(f"containers-{seed}")
    with tempfile.TemporaryDirectory() as name, running_project() as project:
        for number in range(times):
            wait_s = instants.uniform(0.0, LATEST_HELD_S)
            took, said = killed_at_a_project(project, Path(name), wait_s)
            print(
                f"{number + 1}: killed after {wait_s:.2f} s: nothing left after {took:.2f} s ({said})",
                flush=True,
            )


def short_scenarios(folder: Path) -> list[Path]:
    """With a slow card processor, and without a fault."""
    kinds = {"short_slow": (4, FAULT), "short_control": (0, "")}
    for name, (fault, faults) in kinds.items():
        (folder / f"{name}.yaml").write_text(SHORT.format(name=name, fault=fault, faults=faults))
    return [folder / f"{name}.yaml" for name in kinds]


def verdicts(seeds: Sequence[int], scenarios: Sequence[Path]) -> list[tuple[str, str, int, int]]:
    """Design, scenario, seed and exit code of attached runs on the shop as it is and as it was mended."""
    found = []
    for design, variables in DESIGNS.items():
        with tempfile.TemporaryDirectory() as name, running_shop(Path(name), variables):
            for scenario in scenarios:
                for seed in seeds:
                    words = agreed(command(seed, Path(name) / "runs", scenario, design))
                    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
                    found.append((design, scenario.stem, seed, ended.returncode))
                    said = f"{design}, {scenario.stem}, seed {seed}: exit {ended.returncode}"
                    print(said if ended.returncode in (0, 4) else f"{said}\n{ended.stdout}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attached", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=("wiring", "kills", "verdicts", "containers"), default="kills"
    )
    parser.add_argument("times", nargs="?", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.what == "containers":
        kill_at_a_project(asked.times, asked.seed)
        return
    if asked.what == "verdicts":
        with tempfile.TemporaryDirectory() as name:
            first = asked.seed
            found = verdicts(range(first, first + asked.times), short_scenarios(Path(name)))
        wanted = {("as_it_is", "short_slow"): ExitCode.SAFETY_VETO}
        right = sum(
            code == wanted.get((design, scenario), ExitCode.PASS) for design, scenario, _, code in found
        )
        print(f"{right} of {len(found)} as expected")
        return
    system = load_system(SHOP / "attached" / "system.yaml", KINDS)
    over, instants = threading.Event(), random.Random(f"kills-{asked.seed}")
    with tempfile.TemporaryDirectory() as name, running_shop(Path(name)):
        threading.Thread(target=loaded, args=(over,), daemon=True).start()
        time.sleep(2.0)
        for number in range(asked.times):
            if asked.what == "wiring":
                took, count = wired_after(system, Path(name))
                print(
                    f"{number + 1}: nothing past the proxies after {took * 1000:.0f} ms, {count} cut",
                    flush=True,
                )
                time.sleep(1.0)
                continue
            wait_s = instants.uniform(0.0, LATEST_KILL_S)
            words = agreed(command(1000 * asked.seed + number, Path(name) / "runs"))
            took, said = killed_after(words, wait_s)
            print(
                f"{number + 1}: killed after {wait_s:.1f} s: nothing left after {took:.2f} s ({said})",
                flush=True,
            )
        over.set()


if __name__ == "__main__":
    main()
