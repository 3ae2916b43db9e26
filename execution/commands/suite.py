"""`suite`: all entries of a suite, each with the verdict that it must give."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from execution.commands.completing import suites as complete_suites
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import (
    live_options,
    repeats_option,
    resume_option,
    seed_option,
    watch_option,
)
from execution.commands.parameters import json_option
from execution.commands.saying import say_results, shown, tell_left_out
from execution.commands.terminal import coloured
from execution.options import Options

if TYPE_CHECKING:
    from execution.runs.bench import RunResult
    from measurement.run_records import RunRecord


@click.command(cls=Pasteable, epilog="Example: codeblue suite smoke --repeats 3")
@click.argument("suite", shell_complete=complete_suites)
@seed_option("First seed. [default: the suite's own]")
@repeats_option(default=1, help="Times that every entry is run, each with a new seed.")
@resume_option
@watch_option
@live_options
@json_option
def suite(
    suite: str,
    seed: int | None,
    repeats: int,
    resume: bool,
    watch: bool,
    as_json: bool,
    options: Options,
) -> int:
    """SUITE is a name, as `list` shows it, or a file. Exit 0 when every entry gives the verdict that is
    expected of it. A suite may be a part of another one, by the causes and principles that its scenarios
    cover: `cause1` or `principle4` of `full`.
    """
    from execution.campaigns.campaign import Hooks
    from execution.campaigns.suite import SuiteOrder, run_suite, suite_entry, suite_of
    from execution.catalogue import default_catalogue
    from execution.commands.live_page import refuse_unwatched, watched
    from execution.commands.progress import Runs
    from execution.commands.session import live_session, started, tell_run
    from execution.program import typed
    from experiment.errors import gravest
    from reports.console import suite_said

    refuse_unwatched(watch, options)
    catalogue = default_catalogue(options.system, [suite])
    loaded = suite_of(suite, seed, catalogue, options.runtime)
    tell_left_out(loaded, options.runtime)
    order = SuiteOrder(repeats, resume, command=typed())

    def finished(record: RunRecord, result: RunResult) -> None:
        found = suite_entry(loaded.entries[record.entry], record, options.out)
        report = shown(result.folder.path / "report.html")
        tell_run(result, "; as expected" if found.met else f"; EXPECTED {found.wanted}: {report}")

    with live_session(options.runtime) as interruption, watched(watch, interruption) as page:
        runs = Runs()

        def seen(record: RunRecord, result: RunResult) -> None:
            page.finished(result)
            finished(record, result)

        hooks = Hooks(page.watching(runs), started, seen, runs.expects)
        ended = run_suite(loaded, catalogue, options, order, hooks, interruption.stop)
    say_results(
        suite_said(ended.report, coloured(sys.stdout), short=sys.stdout.isatty()),
        ended.folder / "suite.html",
        as_json,
    )
    return int(gravest({interruption.exit_code or ended.exit_code, ended.exit_code}))
