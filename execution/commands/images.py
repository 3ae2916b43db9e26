"""`images`: the container images, made where they are missing or out of date."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, tell
from execution.places import INSTANCES


@click.command(cls=Pasteable, epilog="Example: codeblue images --offline")
@click.option("--offline", is_flag=True, help="Use no container registry: the base is made by mmdebstrap.")
@click.option("--base", metavar="IMAGE", help="Base of the services' image. [default: the official Python]")
@click.option("--cache", type=FILE, metavar="DIR", help="Folder for wheels. [default: var/images]")
@json_option
def images(offline: bool, base: str | None, cache: Path | None, as_json: bool) -> int:
    """They are for --runtime containers. Each is built once, and again when it would differ."""
    from dataclasses import asdict

    from experiment.errors import CleanupError, ExitCode
    from runtimes.containers.images import make_images
    from runtimes.leftovers import Journal

    journal = Journal(INSTANCES, "images")
    try:
        wheels = cache or INSTANCES / "images"
        made = make_images(wheels, journal, offline=offline, base=base or None, say=tell if as_json else say)
    finally:
        problem = journal.close(remove=True)
    if problem:
        raise CleanupError(problem)
    if as_json:
        dump([asdict(image) for image in made])
    return int(ExitCode.PASS)
