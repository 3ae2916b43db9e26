"""Pictures for the documentation: `python -m ci.report_images RUN_FOLDER IMAGE.png` draws the first plot of a
run's report by Chromium, in few colours, so that it is small."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SIZE = (692, 533)  # of the plot, in pixels
COLOURS = 32
PATIENCE_S = 120
ALONE = (
    "<style>body{{margin:0;padding:0;max-width:none;background:#fff}}svg{{width:{}px;height:{}px}}</style>"
)


def draw(run_folder: Path, image: Path) -> None:
    """Write the picture of the first plot of the run's report."""
    report = (run_folder / "report.html").read_text(encoding="utf-8")
    style = "".join(re.findall(r"<style>.*?</style>", report, re.DOTALL))
    plot = re.search(r"<svg [^>]*class=\"plot\".*?</svg>", report, re.DOTALL)
    if plot is None:
        raise SystemExit(f"{run_folder}: its report has no plot")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "plot.html"
        page.write_text(
            f"<!doctype html><meta charset=utf-8>{style}{ALONE.format(*SIZE)}{plot[0]}", encoding="utf-8"
        )
        sandbox = ["--no-sandbox"]  # the page is ours, and Chromium has none when it is run as root
        size = "--window-size={},{}".format(*SIZE)
        subprocess.run(
            ["chromium", "--headless", "--hide-scrollbars", *sandbox, size, f"--screenshot={image}",
             page.as_uri()],
            check=True, timeout=PATIENCE_S, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    Image.open(image).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(image, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
