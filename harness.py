"""Code Blue's command line: parse, call one function, exit code.

Commands are imported when they are asked for: judging a small file must not wait for what a live run needs.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from execution.cli.lazy import LazyGroup
from experiment.errors import CodeBlueError, ExitCode

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

INTRODUCTION = """Break a distributed system on purpose, measure what that does to its users, give a verdict.

\b
First steps:
  python harness.py doctor                                   what this machine can run
  python harness.py list                                     scenarios, designs, suites
  python harness.py run smoke/payer_blackhole --design resilient
  python harness.py suite smoke                              all smoke scenarios, two designs

\b
Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 invalid experiment, 4 safety veto, 5 clean-up incomplete,
64 bad configuration, 70 internal error, 130 / 143 interrupted (after clean-up).
"""


COMMANDS = {
    "run": "execution.cli.live:run",
    "suite": "execution.cli.live:suite",
    "compare": "execution.cli.release:compare",
    "gate": "execution.cli.release:gate",
    "trend": "execution.cli.release:trend",
    "rescore": "execution.cli.release:rescore",
    "simulate": "execution.cli.twin:simulate",
    "calibrate": "execution.cli.twin:calibrate",
    "twin": "execution.cli.twin:twin",
    "selfcheck": "execution.cli.selfcheck:selfcheck",
    "linearizable": "execution.cli.registers:linearizable",
    "validate": "execution.cli.files:validate",
    "list": "execution.cli.files:list_",
    "plan": "execution.cli.files:plan",
    "check": "execution.cli.files:check",
    "report": "execution.cli.files:report",
    "doctor": "execution.cli.live:doctor",
    "clean": "execution.cli.live:clean",
}


@click.group(
    cls=LazyGroup,
    places=COMMANDS,
    context_settings=CONTEXT,
    help=INTRODUCTION,
    invoke_without_command=True,
)
@click.pass_context
def cli(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


class Terminated(KeyboardInterrupt):
    """SIGTERM, where the command has no answer of its own: what it started is ended as after Ctrl-C."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def main() -> None:
    """Run the command; every error that has a message ends as that message and its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort as end:  # click's word for a KeyboardInterrupt
        code = ExitCode.TERMINATED if isinstance(end.__cause__, Terminated) else ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.BAD_CONFIGURATION
    except CodeBlueError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - the last door: an internal error has an exit code of its own
        import traceback

        traceback.print_exc()
        click.echo("internal error: please report the lines above", err=True)
        code = ExitCode.INTERNAL_ERROR
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
