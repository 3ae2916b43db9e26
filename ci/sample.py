"""The reports that `reports/sample` shows: `python -m ci.sample` plays a small suite, a comparison and a gate
on local processes, and keeps what a reader would open. Run folders stay in build/sample."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = Path("reports") / "sample"
PLAYED = Path("build") / "sample"
SUITE = SAMPLE / "suite.yaml"
SHOWN = {  # the run of the suite whose reports are kept
    "scenario": "charge_response_lost",
    "design": "fragile",
}
# Each with the exit codes that it must end with: a gate that let this candidate pass would be no sample.
COMMANDS = {
    f"suite {SUITE} --out {PLAYED}": 0,
    f"compare fragile resilient --suite {SUITE} --repeats 2 --out {PLAYED}": 0,
    f"gate --baseline resilient --candidate no_key --suite {SUITE} --out {PLAYED}": 4,
}
KEPT = {
    "run": ("report.html", "report.md", "report.json", "report.txt", "junit.xml"),
    "suite": ("suite.html", "suite.md", "suite.json", "suite.txt", "junit.xml"),
    "compare": ("comparison.html", "comparison.json"),
    "gate": ("gate.html", "gate.md", "gate.json", "gate.sarif", "junit.xml"),
}
# Links of a page and of Markdown to a run beside the folder that they stand in.
LINKS = (
    re.compile(r'<a (?:[^>]* )?href="\.\./(?P<run>[^/"]+)/[^"]+"[^>]*>(?P<told>.*?)</a>', re.DOTALL),
    re.compile(r"\[(?P<told>[^\]\n]*)\]\(\.\./(?P<run>[^/)]+)/[^)]+\)"),
)


def main() -> int:
    """Plays everything anew, and replaces the sample when all of it ended as it must."""
    shutil.rmtree(ROOT / PLAYED, ignore_errors=True)
    for words, expected in COMMANDS.items():
        done = subprocess.run([sys.executable, "harness.py", *words.split()], cwd=ROOT, check=False)
        if done.returncode != expected:
            raise SystemExit(f"codeblue {words}: exit code {done.returncode}, expected {expected}")
    keep()
    return 0


def keep() -> None:
    """Put what was played in the place of the sample."""
    run = _only(f"*-{SHOWN['scenario']}-{SHOWN['design']}-s1-*", oldest=True)
    folders = {"run": run, **{name: _only(f"*-{name}-*") for name in ("suite", "compare", "gate")}}
    for name, files in KEPT.items():
        shutil.rmtree(ROOT / SAMPLE / name, ignore_errors=True)
        (ROOT / SAMPLE / name).mkdir()
        for file in files:
            text = (folders[name] / file).read_text(encoding="utf-8")
            (ROOT / SAMPLE / name / file).write_text(_led(text, run.name), encoding="utf-8")


def _only(pattern: str, *, oldest: bool = False) -> Path:
    """The folder of that name; of several the oldest, which is the suite's."""
    found = sorted((ROOT / PLAYED).glob(pattern))
    if not found or (len(found) > 1 and not oldest):
        raise SystemExit(f"{PLAYED}/{pattern}: found {len(found)} folders, expected one")
    return found[0]


def _led(page: str, run: str) -> str:
    """The page with links to the run that is kept, and the words alone of links to others."""

    def led(link: re.Match[str]) -> str:
        return link[0].replace(f"../{run}/", "../run/") if link["run"] == run else link["told"]

    for links in LINKS:
        page = links.sub(led, page)
    return page


if __name__ == "__main__":
    raise SystemExit(main())
