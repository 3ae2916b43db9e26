"""The image of the services of one checkout, named after the code that it holds.

Two checkouts never share an image, so that what is compared is what was asked for. An image that is not there
yet is built on the base of `codeblue/service:current`; only the layers that differ take time.
"""

from __future__ import annotations

from pathlib import Path

from experiment.errors import StartError
from experiment.topology import System
from runtimes.checkouts import module_root
from runtimes.containers.base_image import python_of
from runtimes.containers.engine_images import Images
from runtimes.containers.images import HINT
from runtimes.containers.recipes import BASE, CODE, code_hash, name_of, service_recipe
from runtimes.containers.wheelhouse import wheelhouse
from runtimes.leftovers import Journal

REPOSITORY = "codeblue/service"


def service_folder(system: System) -> Path:
    """Where the code of the system's services lies, with the Dockerfile of their image."""
    module = next(service.module for service in system.services.values() if service.module)
    return module_root(system.source, module) / module.split(".")[0]


def image_of(system: System, named: str, cache: Path, journal: Journal) -> str:
    """The image named, or that of the system's checkout; any will do where no service is a module. Raises
    StartError, EngineError."""
    if not named and not any(service.module for service in system.services.values()):
        return name_of("service")
    return require_service_image(named) if named else ensure_service_image(system, cache, journal)


def require_service_image(named: str) -> str:
    """An image that somebody named, as it is. Raises StartError when the engine does not have it."""
    images = Images()
    try:
        if images.find(named) is None:
            raise StartError(f'found no image "{named}" in the engine, expected one that holds the services')
    finally:
        images.close()
    return named


def ensure_service_image(system: System, cache: Path, journal: Journal) -> str:
    """The image that holds this system's services, built now if the engine has none (seconds to a minute).

    `cache` is where wheels are kept. Raises StartError, EngineError.
    """
    folder = service_folder(system)
    if not (folder / "Dockerfile").is_file():
        raise StartError(
            f"found no Dockerfile in {folder} to build the image of the services from; "
            "name an image that holds them: --service-image NAME"
        )
    images = Images()
    try:
        return _ensure(images, folder, cache, journal)
    finally:
        images.close()


def _ensure(images: Images, folder: Path, cache: Path, journal: Journal) -> str:
    code = code_hash(folder)
    name = f"{REPOSITORY}:{code}"
    found = images.find(name)
    if found is not None and found.labels.get(CODE) == code:
        return name
    current = images.find(name_of("service"))
    if current is None:
        raise StartError(f"the engine has no image {name_of('service')}; make it: {HINT}")
    if current.labels.get(CODE) == code:
        images.tag(current.id, name)
        return name
    base = current.labels.get(BASE, "")
    if not base or images.find(base) is None:
        raise StartError(
            f"the services in {folder} need an image of their own, and the base of {name_of('service')} "
            f"is not there to build it on; make it: {HINT}"
        )
    wheels = wheelhouse(folder / "requirements.txt", cache, python_of(images, base, journal), journal)
    recipe = service_recipe(base, wheels, folder)
    with recipe.context() as context:
        images.build(context, name, {**recipe.labels, BASE: base}, base, offline=False, say=lambda _: None)
    return name
