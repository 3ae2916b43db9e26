"""Sets of options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from execution.commands.completing import designs as complete_designs
from execution.commands.completing import suites as complete_suites
from execution.commands.parameters import FILE, FiniteRange, OutputFolder
from execution.commands.terminal import QUIET
from execution.options import RUNTIMES, Options
from experiment.units import LARGEST_SEED

SEED = click.IntRange(0, LARGEST_SEED)

calibration_option = click.option(
    "--calibration", type=FILE, metavar="FILE", help="Sizes of the twin, as `codeblue calibrate` writes them."
)
population_option = click.option(
    "--population", type=FILE, metavar="DIR", help="Folder of the data that the system's workload draws from."
)


def _named_folders(
    _context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    found: dict[str, Path] = {}
    for text in given:
        name, sign, folder = text.partition("=")
        if not (name and sign and folder):
            raise click.BadParameter(f"found {text!r}, expected NAME=DIR", param=parameter)
        if name in found:
            raise click.BadParameter(f"found the feed {name} twice, expected it once", param=parameter)
        found[name] = Path(folder)
    return tuple(found.items())


def _quietly(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked:
        context.meta[QUIET] = True


quiet_option = click.option(
    "--quiet",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_quietly,
    help="Show results and mistakes alone, no progress.",
)
feed_option = click.option(
    "--feed",
    "feeds",
    multiple=True,
    metavar="NAME=DIR",
    callback=_named_folders,
    help="Folder of a feed that the system's file names; --NAME-feed DIR is the same.",
)


def _one_system(_context: click.Context, parameter: click.Parameter, given: tuple[Path, ...]) -> Path | None:
    if len(given) > 1:
        names = " and ".join(str(path) for path in given)
        raise click.BadParameter(f"found {names}, expected one system in a call", param=parameter)
    return given[0] if given else None


system_option = click.option(
    "--system",
    type=FILE,
    metavar="DIR",
    multiple=True,
    callback=_one_system,
    help="Folder of the system, or its system.yaml. [default: the one that the files belong to, else the "
    "reference system]",
)


def _each_design(_context: click.Context, _parameter: click.Parameter, given: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for text in given for name in text.split(",") if name))


def designs_option(text: str) -> Callable[[Any], Any]:
    """`--design`, the one way in which commands take designs; `text` says what is done with them."""
    return click.option(
        "--design",
        "designs",
        multiple=True,
        metavar="DESIGN",
        callback=_each_design,
        shell_complete=complete_designs,
        help=text,
    )


def seed_option(text: str, default: int | None = None) -> Callable[[Any], Any]:
    """`--seed`; `text` says what is begun with it."""
    return click.option("--seed", type=SEED, default=default, show_default=default is not None, help=text)


watch_option = click.option(
    "--watch", is_flag=True, help="Serve a page on this machine that shows the runs live and can stop them."
)
rate_option = click.option(
    "--rate",
    default="4/s",
    show_default=True,
    metavar="RATE",
    help="Visits that arrive, such as 4/s or 90/min.",
)
repeats_option = functools.partial(
    click.option, "--repeats", type=click.IntRange(1, 1000), show_default=True, metavar="N"
)
resume_option = click.option(
    "--resume", is_flag=True, help="Go on with the latest one that did not finish, instead of a new one."
)
suite_option = click.option(
    "--suite",
    shell_complete=complete_suites,
    default="smoke",
    show_default=True,
    help="Suite whose scenarios are run: a name or a file.",
)
most_pairs_option = click.option(
    "--n-max",
    type=click.IntRange(2, 1000),
    default=7,
    show_default=True,
    help="Pairs of runs of each scenario at most.",
)
results_option = click.option(
    "--results",
    type=FILE,
    metavar="FILE",
    help="Results of suites. [default: results.sqlite3 in reports/runs]",
)


def live_options(function: Callable[..., int]) -> Callable[..., int]:
    """Options of every command that runs the system; the command gets them as one `options`."""

    @functools.wraps(function)
    def taking(
        *args: Any,
        runtime: str,
        time_scale: float,
        population: Path | None,
        feeds: tuple[tuple[str, Path], ...],
        system: Path | None,
        service_image: str,
        out: Path | None,
        calibration: Path | None,
        **own: Any,
    ) -> int:
        options = Options(
            runtime, time_scale, population, out or Options().out, system, service_image, calibration, feeds
        )
        return function(*args, options=options, **own)

    decorated: Callable[..., int] = taking
    for option in reversed(
        (
            system_option,
            click.option(
                "--runtime",
                type=click.Choice(RUNTIMES),
                default=RUNTIMES[0],
                show_default=True,
                help="Where the system runs; simulation is the twin in virtual time.",
            ),
            click.option(
                "--time-scale",
                type=FiniteRange(0.1, 100),
                default=1.0,
                show_default=True,
                metavar="FACTOR",
                help="Makes every phase longer (2) or shorter (0.5).",
            ),
            population_option,
            feed_option,
            click.option(
                "--service-image",
                default="",
                metavar="IMAGE",
                help="Image that holds the services, with --runtime containers.",
            ),
            click.option(
                "--out", type=OutputFolder(), help="Folder for the run folders. [default: reports/runs]"
            ),
            calibration_option,
            quiet_option,
        )
    ):
        decorated = option(decorated)
    return decorated
