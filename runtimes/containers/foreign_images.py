"""The images of services that know nothing of the harness: named, built from a folder, or as a compose
file says.

An image that is built here is named after what it is made of, so that a second run finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiment.compose_file import ComposeService
from experiment.design import Design
from experiment.errors import StartError
from experiment.topology import System
from runtimes.containers.base_image import python_of
from runtimes.containers.engine_images import Images
from runtimes.containers.images import HINT
from runtimes.containers.recipes import BASE, CONTENT, Recipe, name_of
from runtimes.containers.wheelhouse import wheelhouse
from runtimes.leftovers import Journal

LEFT_OUT = {".git", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache"}
WHEELS = "wheels"  # a Dockerfile that speaks of this folder gets the wheels of its requirements.txt there


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has, and what a compose file says of its container; the system's file goes
    before."""

    name: str
    said: ComposeService = field(default_factory=ComposeService)


def foreign_images(
    system: System, jobs: Mapping[str, ComposeService], cache: Path, journal: Journal
) -> tuple[dict[str, Image], dict[str, Image]]:
    """Service to image, for every service that is not a module, and job to image: pulled or built if the
    engine has it not.

    `cache` is where wheels are kept. Raises StartError, EngineError, ConfigError.
    """
    foreign = {name: service for name, service in system.services.items() if service.foreign}
    if not foreign:
        return {}, {}
    images = Images()
    built: dict[str, str] = {}

    def image_of(name: str, named: str, folder: Path | None, said: ComposeService) -> Image:
        if folder is None:
            return Image(_named(images, name, named), said)
        place = repr((folder.resolve(), said.dockerfile, said.build_args, said.stage))
        if place not in built:
            built[place] = _built(images, folder.resolve(), said, system.name, cache, journal)
        return Image(built[place], said)

    def folder_of(build: str, said: ComposeService) -> Path | None:
        if build:
            return system.file("") / build
        return system.compose_file.parent / said.build if said.build else None

    try:
        services: dict[str, Image] = {}
        for name, service in foreign.items():
            said = system.composed(name) or ComposeService()
            image = service.image or said.image
            services[name] = image_of(name, image, folder_of(service.build, said), said)
        ending = {name: image_of(name, said.image, folder_of("", said), said) for name, said in jobs.items()}
    finally:
        images.close()
    return services, ending


def variant_images(design: Design) -> dict[str, str]:
    """Service to image, of those that a design gives another one: pulled if the engine has it not. Raises
    EngineError."""
    asked = {name: one.image for name, one in design.variants.items() if one.image}
    if not asked:
        return {}
    images = Images()
    try:
        return {name: _named(images, name, image) for name, image in asked.items()}
    finally:
        images.close()


def asked_image(design: Design, service: str, digest: str) -> str:
    """The image that a design gives a service, where the engine's image of that name has this digest; empty
    where it has another, or the design gives none. Raises EngineError."""
    name = design.variants[service].image if service in design.variants else ""
    if not name:
        return ""
    images = Images()
    try:
        facts = images.find(name)
    finally:
        images.close()
    return name if facts is not None and facts.id == digest else ""


def _named(images: Images, service: str, image: str) -> str:
    if not image:
        raise StartError(
            f"found no image of {service}, expected image, build or compose in the system's file: "
            "in containers a command runs in one"
        )
    if images.find(image) is None:
        images.pull(image if ":" in image.rpartition("/")[2] else f"{image}:latest")
    return image


def _built(
    images: Images, folder: Path, said: ComposeService, system: str, cache: Path, journal: Journal
) -> str:
    """The image of a folder, built on the base of the harness's own images where its Dockerfile takes the
    argument BASE_IMAGE and the compose file gives it none."""
    current = images.find(name_of("service"))
    base = current.labels.get(BASE, "") if current is not None else ""
    if not base or (facts := images.find(base)) is None:
        raise StartError(f"the base of {name_of('service')} is not there to build on; make it: {HINT}")
    path = folder / said.dockerfile
    files = dict(_files(folder))
    requirements = folder / "requirements.txt"
    if WHEELS in path.read_text(encoding="utf-8") and requirements.is_file():
        wheels = wheelhouse(requirements, cache, python_of(images, base, journal), journal)
        files |= {f"{WHEELS}/{wheel.name}": wheel for wheel in sorted(wheels.glob("*.whl"))}
    recipe = Recipe(
        system, path, files, base, {**said.build_args, **({"": said.stage} if said.stage else {})}
    )
    content = recipe.content(facts.id)
    name = f"codeblue/{system.lower()}:{content}"
    found = images.find(name)
    if found is None or found.labels.get(CONTENT) != content:
        with recipe.context() as context:
            labels = {CONTENT: content, BASE: base}
            images.build(
                context,
                name,
                labels,
                base,
                offline=False,
                say=lambda _: None,
                arguments=said.build_args,
                stage=said.stage,
            )
    return name


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """What of a folder may go into its image; its .dockerignore takes away more."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not LEFT_OUT & set(inside.parts):
            yield inside.as_posix(), path
