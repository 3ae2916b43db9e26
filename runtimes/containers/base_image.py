"""The base of all images where no container registry can be reached: Debian with Python, made by mmdebstrap.

It takes the packages from where this machine's own package manager takes them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from experiment.children import run_child
from experiment.errors import StartError
from runtimes.containers.engine_images import Images
from runtimes.containers.layout import instance_labels
from runtimes.docker_engine import EngineError
from runtimes.leftovers import Journal, temporary_folder

SUITE = "bookworm"
PACKAGES = ("python3-minimal", "python3", "ca-certificates", "libfaketime", "nftables", "iproute2")
LEFT_OUT = ("doc", "man", "info", "locale", "lintian", "pixmaps", "bug")
OPTIONS = (
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
    '--customize-hook=rm -rf "$1"/var/lib/apt/lists "$1"/var/cache/apt "$1"/var/log/*',
)
DEADLINE_S = 900.0
REPOSITORY = "codeblue/base"
LEAST_PYTHON = (3, 11)
TELL = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.libc_ver()[0] or 'another')"


def reference() -> str:
    """The name of the base image; it changes with what the base is made of."""
    text = "\n".join((SUITE, *OPTIONS))
    return f"{REPOSITORY}:{SUITE}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def ensure_base(images: Images, journal: Journal, say: Callable[[str], None]) -> str:
    """The base image, made now if the engine does not have it (about 40 s). Raises StartError."""
    name = reference()
    if images.find(name) is not None:
        say(f"{name}: present")
        return name
    program = shutil.which("mmdebstrap")
    if program is None:
        raise StartError(
            "found no mmdebstrap, which makes the base image: apt-get install mmdebstrap, "
            "or name an image that the engine has: `codeblue images --offline --base IMAGE`"
        )
    say(f"{name}: making it with mmdebstrap")
    with temporary_folder(journal, "base") as folder:
        archive = Path(folder) / "base.tar"
        command = [program, "--quiet", *OPTIONS, SUITE, str(archive)]
        # It makes its tree where temporary files go, and leaves it there when it is killed.
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": folder, **journal.environment()}
        done = run_child(command, within_s=DEADLINE_S, environment=environment, stop=journal.stop)
        if done.code != 0:
            shown = "\n".join(f"    {line}" for line in done.err.splitlines()[-12:])
            raise StartError(f"mmdebstrap ended with exit status {done.code}; it said:\n{shown}")
        images.import_base(archive, name)
    return name


def python_of(images: Images, base: str, journal: Journal) -> str:
    """The Python of a base image, such as "3.11": wheels are for one Python and one C library.

    Raises StartError, before anything is built, for a base on which the services cannot run.
    """
    wanted = f"expected one with Python {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or later and glibc"
    try:
        ran = images.ask(base, ("python3", "-c", TELL), instance_labels(journal.instance))
    except EngineError as error:
        raise StartError(f"found no python3 in the base {base}, {wanted}: {error}") from None
    version, _, library = ran.output.strip().partition(" ")
    numbers = version.split(".")
    if ran.code != 0 or len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise StartError(f"found a base {base} whose python3 says {ran.output.strip()[-200:]!r}, {wanted}")
    if (int(numbers[0]), int(numbers[1])) < LEAST_PYTHON or library != "glibc":
        raise StartError(f"found the base {base} with Python {version} and {library} C library, {wanted}")
    return version
