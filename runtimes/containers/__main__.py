"""`python -m runtimes.containers [--offline] [--base IMAGE]`: make the images (`make images`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiment.errors import CodeBlueError, ExitCode
from runtimes.containers.images import make_images
from runtimes.containers.recipes import ROOT


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m runtimes.containers", description="Make the images.")
    parser.add_argument("--offline", action="store_true", help="use no container registry")
    parser.add_argument("--base", help="base image (default: python-slim, offline: Debian by mmdebstrap)")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "images", help="where wheels are kept")
    options = parser.parse_args(arguments)
    try:
        make_images(options.cache, offline=options.offline, base=options.base or None, say=print)
    except CodeBlueError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return int(ExitCode.PASS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
