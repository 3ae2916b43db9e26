"""`make fuzz`: each target for some minutes, by hypothesis or by atheris (coverage-guided).

    python -m tests.fuzz hypothesis --minutes 10
    python -m tests.fuzz atheris --minutes 10 --target history

Ends with an error at the first input that a reader did not take well, and prints how many it took.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings

SLOWEST_S = 2.0  # of CPU time


class Counted:
    """Plays inputs of one target, and counts them."""

    def __init__(self, target: str, folder: Path) -> None:
        from tests.fuzz.targets import read

        self._read = read
        self.target, self._folder = target, folder
        self.inputs = self.taken = 0
        self.slowest_s = 0.0

    def __call__(self, content: bytes) -> None:
        before = time.process_time()
        self.taken += self._read(self.target, content, self._folder)
        spent = time.process_time() - before
        self.inputs += 1
        self.slowest_s = max(self.slowest_s, spent)
        if spent > SLOWEST_S and self.inputs > 1:  # the first one loads modules
            raise AssertionError(f"{self.target}: {spent:.1f} s for {len(content)} bytes")

    def __str__(self) -> str:
        taken = f"{self.inputs} inputs, {self.taken} taken, slowest {self.slowest_s:.2f} s"
        return f"{self.target}: {taken}"


def by_hypothesis(play: Counted, seconds: float) -> None:
    """Rounds of mutations of valid files, until the time is over."""
    from tests.fuzz.mutations import mutated
    from tests.fuzz.targets import seeds

    end = time.monotonic() + seconds

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated(seeds(play.target)))
    def one_round(content: bytes) -> None:
        if time.monotonic() < end:
            play(content)

    while time.monotonic() < end:
        one_round()


def by_atheris(play: Counted, seconds: float, folder: Path) -> None:
    """libFuzzer, led by the branches of our own modules that an input reaches; ends the process."""
    import atheris

    from tests.fuzz.targets import seeds

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(play.target)):
        (corpus / str(number)).write_bytes(content)
    options = [f"-max_total_time={seconds:.0f}", "-timeout=10", "-rss_limit_mb=4096", "-max_len=20000"]
    atheris.Setup(["fuzz", *options, f"-artifact_prefix={Path.cwd()}/", str(corpus)], play)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("engine", choices=("hypothesis", "atheris"))
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--target", help="this one alone")
    asked = parser.parse_args()
    if asked.engine == "atheris":
        import atheris

        # What is imported from here on is watched; so nothing of it is imported above.
        with atheris.instrument_imports(include=["experiment", "measurement", "reference_system"]):
            from tests.fuzz.targets import READERS
    else:
        from tests.fuzz.targets import READERS
    targets = [asked.target] if asked.target else list(READERS)
    for target in targets:
        with tempfile.TemporaryDirectory() as folder:
            play = Counted(target, Path(folder))
            seconds = 60 * asked.minutes / len(targets)
            if asked.engine == "hypothesis":
                by_hypothesis(play, seconds)
                print(play, flush=True)
            elif os.fork() == 0:  # libFuzzer ends its process
                by_atheris(play, seconds, Path(folder))
            elif os.wait()[1]:
                sys.exit(f"{target}: atheris found an input that is not taken well")


if __name__ == "__main__":
    main()
