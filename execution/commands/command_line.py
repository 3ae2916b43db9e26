"""The command line: parse, call one function, exit code.

Commands are imported when they are asked for: judging a small file must not wait for what a live run needs.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
from contextlib import suppress

import click

from execution.commands.interrupts import Interruption, interruptible
from execution.commands.lazy import LazyGroup
from execution.commands.saying import say_failure, show, tell
from execution.program import COMPLETES, NAME, program
from experiment.errors import SIGNALS, CodeBlueError, ExitCode, OutputError, StorageError
from experiment.stop import Interrupted
from runtimes.private_places import MASK

EXIT_WITHIN_S = 0.5

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

INTRODUCTION = """Break a distributed system on purpose, measure what that does to its users, give a verdict.

\b
First steps:
  codeblue doctor                                          what this machine can run
  codeblue list                                            scenarios, designs, suites
  codeblue run smoke/control --design resilient            one scenario on one design
  codeblue suite smoke                                     all smoke scenarios on two designs

\b
Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 invalid experiment,
4 safety veto, 5 clean-up incomplete, 64 bad configuration, 70 internal error,
73 results cannot be written, 129 / 130 / 143 interrupted by SIGHUP / SIGINT /
SIGTERM (after clean-up).
"""


# Name to summary, in the order of the help; each is a file beside this one.
COMMANDS = {
    "init": "Write the first files of a system, of yours or of a new one.",
    "check-wiring": "Show where each link of a system will lead, and why.",
    "try": "Start a system, prove its wiring, and slow down each link: a minute.",
    "scan": "Break every link and service of a system, and show where it fails.",
    "describe": "Show how callers behaved while their links were slow.",
    "run": "Run scenarios on the system, once for each design.",
    "suite": "Run a suite and compare each verdict with the expected one.",
    "compare": "Compare designs over the same scenarios and seeds.",
    "gate": "Decide whether a candidate is as resilient as a baseline.",
    "trend": "Show a suite's figures over commits, and where they changed.",
    "rescore": "Score stored runs again with today's formula.",
    "simulate": "Sweep a scenario over seeds and designs on the twin.",
    "calibrate": "Fit the twin to what a live run did before its first fault.",
    "twin": "Run live and simulated, and show how far apart they are.",
    "selfcheck": "Check the simulator, the gate and the verdict themselves.",
    "linearizable": "Judge histories of register operations.",
    "validate": "Check scenario, design, suite and system files.",
    "schema": "Print the JSON Schema of a kind of file, for editors.",
    "list": "List the scenarios, designs, suites and parts of a system.",
    "designs": "List the designs, and how far each is from the strong one.",
    "explain": "Say in words what a scenario or a kind of fault does.",
    "diff": "Show what differs between two designs or two scenarios.",
    "plan": "Show the timeline that a run would follow.",
    "check": "Judge a finished run again from its history.",
    "report": "Render the reports of a judged run again.",
    "open": "Open the newest report in a browser.",
    "doctor": "Show what this machine can run, with hints.",
    "manifests": "Write a system as Kubernetes manifests, or the rights for it.",
    "images": "Make the container images that are missing or out of date.",
    "clean": "Stop and remove what an interrupted run left behind.",
    "completion": "Print the line that makes a shell complete names.",
}


def _say_version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from execution.program import version_text

        click.echo(f"{NAME} {version_text()}")
        context.exit()


@click.group(
    cls=LazyGroup,
    summaries=COMMANDS,
    context_settings=CONTEXT,
    help=INTRODUCTION,
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version and the commit, and exit.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command; every error that has a message ends as that message and its exit code."""
    # What runs leave is for this user alone; files that the user names keep the user's own mask.
    mask = os.umask(MASK)
    with interruptible(raising=True) as interruption:
        code = int(_code(interruption, mask))
    if interruption.exit_code is not None:  # a library may wait at the end for what was cut short
        late = threading.Timer(EXIT_WITHIN_S, os._exit, (code,))
        late.daemon = True
        late.start()
    sys.exit(code)


def _code(interruption: Interruption, mask: int) -> int:
    try:
        # A shell completes the name that it knows, however the tool was started.
        name = NAME if COMPLETES in os.environ else shlex.join(program())
        return int(cli.main(prog_name=name, complete_var=COMPLETES, standalone_mode=False, obj=mask) or 0)
    except click.exceptions.Abort as end:  # click's word for a KeyboardInterrupt
        return _interrupted(end.__cause__, interruption)
    except KeyboardInterrupt as end:
        return _interrupted(end, interruption)
    except click.ClickException as error:
        show(error)
        return _failed(error.format_message(), ExitCode.BAD_CONFIGURATION)
    except CodeBlueError as error:
        tell(f"error: {error}")
        return _failed(str(error), error.exit_code, error)
    except Exception as error:  # noqa: BLE001 - the last door: an internal error has an exit code of its own
        if interruption.exit_code is not None:  # a library that was cut short says so in its own way
            return interruption.exit_code
        return _unforeseen(error)


def _failed(message: str, code: ExitCode, error: CodeBlueError | None = None) -> ExitCode:
    """Whoever asked for JSON gets the mistakes as JSON, too."""
    words = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    if "--json" in words:
        with suppress(OSError, OutputError):  # the output may be what failed
            say_failure(message, int(code), error)
    return code


def _unforeseen(error: Exception) -> ExitCode:
    """A full disk or a closed folder may be met anywhere, and is nobody's mistake; all else is ours."""
    from execution.whole_files import closed, refusal

    if isinstance(error, OSError) and (said := closed(error)):
        tell(f"error: {said}")
        return _failed(said, ExitCode.CANNOT_WRITE)
    if isinstance(error, OSError) and (said := refusal(error)):
        tell(f"error: {said}")
        return _failed(said, StorageError.exit_code)
    import traceback

    tell("".join(traceback.format_exception(error)))
    tell("internal error: please report the lines above")
    return _failed(f"internal error: {type(error).__name__}: {error}", ExitCode.INTERNAL_ERROR)


def _interrupted(end: BaseException | None, interruption: Interruption) -> int:
    """What was not done because of it, and the exit code that says which signal it was."""
    if isinstance(end, Interrupted):
        for text in (str(end), *end.notes):
            tell(text)
        return _failed(str(end), SIGNALS[end.name])
    code = ExitCode(interruption.exit_code or ExitCode.INTERRUPTED)
    return _failed("interrupted: nothing is known", code)
