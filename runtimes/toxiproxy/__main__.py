"""The embedded Toxiproxy-compatible server as a process: ``python -m runtimes.toxiproxy -port 8474``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop

from runtimes.toxiproxy.api import VERSION
from runtimes.toxiproxy.log import Log
from runtimes.toxiproxy.options import HelpWanted, UsageError, parse, usage
from runtimes.toxiproxy.server import CannotStart, serve

EXIT_FAILED = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run the server; returns the exit code."""
    try:
        options = parse(arguments)
    except HelpWanted:
        print(usage(), file=sys.stderr)
        return 0
    except UsageError as error:
        print(f"{error}\n{usage()}", file=sys.stderr)
        return EXIT_USAGE
    if options.print_version:
        print(f"toxiproxy-server version {VERSION}")
        return 0
    try:
        uvloop.run(serve(options, Log.from_environment()))
    except CannotStart as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
