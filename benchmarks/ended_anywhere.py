"""A command ended at every line of its journal and at calls of the engine: what is left, and after how long.

`python -m benchmarks.ended_anywhere --runtime processes --how kill`; `--how` is kill, kill_both or a signal
such as SIGTERM. A series is played in pieces: `--from 5 --to 20` takes these moments of each kind and
`--every 2` every second one; `--kinds journal,call` takes only these kinds. It takes about one start of the
system for each moment, and the last line tells how many there were.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from experiment.units import noun
from tests.live.killed import GONE_WITHIN_S, Outcome, end_at
from tests.standin.folders import open_folder

MOST = 400  # moments of one kind
CALL = "call"
KINDS = {"processes": ("journal", CALL), "containers": ("journal", "engine", CALL)}
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


def outcomes(how: str, runtime: str, kinds: Sequence[str], numbers: range) -> Iterator[Outcome]:
    """The moments with these numbers, of each kind until the command ends before one comes."""
    for kind in kinds:
        for number in numbers:
            if kind == CALL and number > len(FUNCTIONS):
                break
            moment = f"{kind}:{FUNCTIONS[number - 1] if kind == CALL else number}"
            outcome = _play(moment, how, runtime)
            if not outcome.held and kind != CALL:  # a function that is never called is a mistake
                break
            yield outcome


def _play(moment: str, how: str, runtime: str) -> Outcome:
    with open_folder() as home:
        return end_at(moment, how, home, runtime)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ended_anywhere", description=__doc__)
    parser.add_argument("--runtime", choices=sorted(KINDS), default="processes")
    parser.add_argument("--how", default="kill", help="kill, kill_both, SIGINT, SIGTERM or SIGHUP")
    parser.add_argument("--kinds", default="", help="journal, engine, call; without it all that there are")
    parser.add_argument("--from", type=int, default=1, dest="first", help="number of the first moment")
    parser.add_argument("--to", type=int, default=MOST, dest="last", help="number of the last one")
    parser.add_argument("--every", type=int, default=1, help="take every Nth moment of a kind")
    order = parser.parse_args()
    kinds = [kind for kind in order.kinds.split(",") if kind] or KINDS[order.runtime]
    if unknown := set(kinds) - set(KINDS[order.runtime]):
        parser.error(f"--kinds: found {sorted(unknown)}, expected some of {', '.join(KINDS[order.runtime])}")
    numbers = range(order.first, order.last + 1, order.every)
    how = order.how.replace("_", " ")
    found: list[Outcome] = []
    for outcome in outcomes(how, order.runtime, kinds, numbers):
        found.append(outcome)
        said = "; ".join(outcome.wrong) or ("nothing left" if outcome.held else "did not come")
        print(f"{outcome.moment:44} {how}: {said}, {outcome.seconds:.2f} s", flush=True)
    wrong = [one for one in found if one.wrong or not one.held]
    limit = GONE_WITHIN_S if how.startswith("kill") else ANSWERED_WITHIN_S
    late = [one for one in found if one.seconds > limit]
    longest = max((one.seconds for one in found), default=0.0)
    said = f"{len(wrong)} wrong, {len(late)} later than {limit:g} s, longest {longest:.2f} s"
    print(f"{noun(len(found), 'moment')}: {said}")
    return 1 if wrong or late or not found else 0


if __name__ == "__main__":
    sys.exit(main())
