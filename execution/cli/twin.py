"""`simulate`, `calibrate` and `twin`. Each imports what it needs itself, so that others start quickly."""

from __future__ import annotations

from pathlib import Path

import click

from execution.cli.live_options import SEED, calibration_option, live_options
from execution.cli.parameters import OutputFile, json_option
from execution.options import Options

file_option = click.Path(path_type=Path)


@click.command(
    epilog="Example: python harness.py simulate smoke/payer_blackhole --seeds 200 --design fragile resilient "
    "--vary '*.timeout=500ms,1s' --out results.parquet --plot plots.html"
)
@click.argument("names", nargs=-1, required=True, metavar="SCENARIO [DESIGNS...]")
@click.option("--design", "designs", multiple=True, help="a design; more may follow by name")
@click.option("--seeds", type=click.IntRange(1), default=20, show_default=True, help="runs of each variant")
@click.option("--seed", type=SEED, default=1, show_default=True, help="first seed")
@click.option("--vary", multiple=True, metavar="KEY=V1,V2", help="such as '*.timeout=500ms,1s'")
@click.option("--dask", default="", metavar="ADDRESS", help="scheduler of a Dask cluster")
@click.option("--out", type=OutputFile(".parquet", ".csv"), help="rows as .parquet or .csv")
@click.option("--plot", type=OutputFile(), help="HTML file with a plot of every figure")
@click.option("--population", type=file_option, help="folder of FHIR R4 bundles")
@click.option("--system", type=file_option, help="system.yaml of another system")
@calibration_option
@json_option
def simulate(
    names: tuple[str, ...],
    designs: tuple[str, ...],
    seeds: int,
    seed: int,
    vary: tuple[str, ...],
    dask: str,
    out: Path | None,
    plot: Path | None,
    population: Path | None,
    system: Path | None,
    calibration: Path | None,
    as_json: bool,
) -> int:
    """Sweep a scenario over seeds, designs and variants on the twin."""
    from execution.commands.sweep import SweepOrder, sweep

    order = SweepOrder(names, designs, seeds, seed, vary, dask, calibration, out, plot)
    return sweep(order, Options("simulation", population=population, system=system), as_json)


@click.command(epilog="Example: python harness.py calibrate reports/runs/RUN --out var/calibration.json")
@click.argument("run", type=file_option)
@click.option("--out", type=OutputFile(), default="calibration.json", show_default=True)
@click.option("--population", type=file_option, help="folder of FHIR R4 bundles that the run used")
def calibrate(run: Path, out: Path, population: Path | None) -> int:
    """Fit the twin to what a live run did before its first fault."""
    from execution.commands import twin as twin_commands

    return twin_commands.calibrate(run, out, Options(population=population))


@click.command(epilog="Example: python harness.py twin smoke --repeats 5 --page var/distance.md")
@click.argument("names", nargs=-1, required=True, metavar="SUITE_OR_SCENARIO...")
@click.option("--design", "designs", multiple=True, help="default: a suite's own, fragile and resilient")
@click.option("--seed", type=SEED, help="first seed  [default: a suite's own, 1]")
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="seeds, whose runs are pooled",
)
@click.option("--page", type=OutputFile(".md"), help="Markdown page of all figures")
@live_options
@json_option
def twin(
    names: tuple[str, ...],
    designs: tuple[str, ...],
    seed: int | None,
    repeats: int,
    page: Path | None,
    as_json: bool,
    options: Options,
) -> int:
    """Run live and simulated with the same seeds, and print the distance.

    A suite stands for its entries: each scenario on its design. Without --calibration each live run's own
    baseline gives the sizes: its rows of the baseline then show the fit, those of fault and recovery the
    prediction. Exit 0 close, 1 something is apart, 2 not known.
    """
    from execution.commands.twin import TwinOrder
    from execution.commands.twin import twin as compare

    return compare(TwinOrder(names, designs, seed, repeats, page), options, as_json)
