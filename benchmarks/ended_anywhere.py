"""A command ended at every line of its journal and at calls of the engine: what is left, and after how long.

`python -m benchmarks.ended_anywhere --runtime processes --how kill`; `--how` is kill, kill_both or a signal
such as SIGTERM. `--every N` takes every Nth moment. It takes about one start of the system for each moment.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from experiment.units import noun
from tests.live.killed import GONE_WITHIN_S, Outcome, end_at
from tests.standin.folders import open_folder

MOST = 400  # moments of one kind
KINDS = {"processes": ("journal",), "containers": ("journal", "engine")}
FUNCTIONS = (
    "execution.runs.bench:create",
    "experiment.children:start_child",
    "load.process:LoadProcess.stop",
    "execution.runs.live_run:final_reads",
    "execution.runs.live_run:LiveRun._close",
    "execution.runs.bench:judge",
    "execution.runs.bench:render",
    "runtimes.leftovers:Journal.close",
)
ANSWERED_WITHIN_S = 3.0


def outcomes(how: str, runtime: str, every: int) -> Iterator[Outcome]:
    """Every moment until the command ends before it comes."""
    for kind in KINDS[runtime]:
        for number in range(1, MOST, every):
            outcome = _play(f"{kind}:{number}", how, runtime)
            if not outcome.held:
                break
            yield outcome
    for function in FUNCTIONS:
        yield _play(f"call:{function}", how, runtime)


def _play(moment: str, how: str, runtime: str) -> Outcome:
    with open_folder() as home:
        return end_at(moment, how, home, runtime)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ended_anywhere", description=__doc__)
    parser.add_argument("--runtime", choices=sorted(KINDS), default="processes")
    parser.add_argument("--how", default="kill", help="kill, kill_both, SIGINT, SIGTERM or SIGHUP")
    parser.add_argument("--every", type=int, default=1, help="take every Nth moment of a kind")
    order = parser.parse_args()
    how = order.how.replace("_", " ")
    found: list[Outcome] = []
    for outcome in outcomes(how, order.runtime, order.every):
        found.append(outcome)
        said = "; ".join(outcome.wrong) or ("nothing left" if outcome.held else "did not come")
        print(f"{outcome.moment:44} {how}: {said}, {outcome.seconds:.2f} s", flush=True)
    wrong = [one for one in found if one.wrong or not one.held]
    limit = GONE_WITHIN_S if how.startswith("kill") else ANSWERED_WITHIN_S
    late = [one for one in found if one.seconds > limit]
    longest = max(one.seconds for one in found)
    said = f"{len(wrong)} wrong, {len(late)} later than {limit:g} s, longest {longest:.2f} s"
    print(f"{noun(len(found), 'moment')}: {said}")
    return 1 if wrong or late else 0


if __name__ == "__main__":
    sys.exit(main())
