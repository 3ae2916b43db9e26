"""Where the first files of a system come from: a compose file, a Procfile, or nothing at all."""

from __future__ import annotations

from pathlib import Path

from execution.campaigns.first_system import Wanted, Written, name_of, refuse_names, write_checked
from execution.catalogue import SYSTEM_FILE, default_catalogue
from execution.places import ROOT
from experiment.errors import UsageError

COMPOSE_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
)  # as Docker looks
PROCESS_FILE = "Procfile"
STARTER = ROOT / "discovery" / "starter"
NAMED = "name: NAME\n"  # in its system.yaml


def source_in(folder: Path) -> tuple[Path | None, Path | None]:
    """The compose file of a folder, or else its Procfile; neither of one that is empty or not there. Raises
    UsageError for a folder with other files: a system in small would lie among them."""
    compose = next((folder / name for name in COMPOSE_FILES if (folder / name).is_file()), None)
    if compose is not None:
        return compose, None
    if (folder / PROCESS_FILE).is_file():
        return None, folder / PROCESS_FILE
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"found the file {folder}, expected a folder: --compose or --processes take a file")
    if (folder / SYSTEM_FILE).exists():
        raise UsageError(
            f"found {folder / SYSTEM_FILE}, expected a folder without one: nothing is overwritten"
        )
    if any(not path.name.startswith(".") for path in (folder.iterdir() if folder.exists() else ())):
        found = f"neither {COMPOSE_FILES[0]} nor {PROCESS_FILE} among the files of {folder}"
        raise UsageError(
            f"found {found}, expected one of them, or an empty or new folder for a system in small"
        )
    return None, None


def write_starter(folder: Path, wanted: Wanted) -> Written:
    """Two services that run as they stand, with two designs, three scenarios and a suite. Raises ConfigError
    for a name that no system can have, UsageError for what only a file of services can be asked for."""
    for given, option in (
        (wanted.profiles, "profile"),
        (wanted.openapi, "openapi"),
        (wanted.locust, "locust"),
        (wanted.entry, "entry"),
    ):
        if given:
            raise UsageError(
                f"found --{option} for a new system, expected it beside a compose file or a Procfile"
            )
    name = wanted.name or name_of(folder / PROCESS_FILE)
    refuse_names([name], folder)
    texts = {
        str(path.relative_to(STARTER)): path.read_text(encoding="utf-8").replace(NAMED, f"name: {name}\n", 1)
        for path in sorted(STARTER.rglob("*"))
        if path.suffix in (".yaml", ".py")
    }
    files = write_checked(folder, texts)
    system = default_catalogue(folder).system()
    return Written(files, tuple(system.services), tuple(link.name for link in system.links), 0, ())
