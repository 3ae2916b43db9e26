"""Makes the images that are missing or out of date, and says which are."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from experiment.errors import StartError
from runtimes.containers import recipes
from runtimes.containers.base_image import ensure_base
from runtimes.containers.engine_images import Images
from runtimes.containers.layout import SERVICE_USER
from runtimes.containers.recipes import CODE, CONTENT, Recipe, name_of
from runtimes.containers.wheelhouse import wheelhouse

IMAGES = ("service", "postgres", "bus", "toxiproxy", "toolbox")
MEND = "`make images`, or `make images OFFLINE=1` where no container registry can be reached"


def make_images(cache: Path, *, offline: bool, base: str | None, say: Callable[[str], None]) -> None:
    """All images. Offline, the base is made by mmdebstrap unless one is named, and no build has a network.

    Raises EngineError, StartError.
    """
    images = Images()
    if base is None:
        base = ensure_base(images, say) if offline else recipes.PYTHON_IMAGE
    if images.find(base) is None:
        if offline:
            raise StartError(f'the engine has no image "{base}", and offline none is fetched')
        say(f"{base}: pulling")
        images.pull(base)
    wheels = wheelhouse(recipes.SYSTEM / "requirements.txt", cache)
    _ensure(images, recipes.service_recipe(base, wheels), offline, say)
    if offline:
        for recipe in recipes.store_recipes(base):
            _ensure(images, recipe, offline, say)
    else:
        for image, reference in recipes.official_stores().items():
            _adopt(images, image, reference, say)
    _ensure(images, recipes.toxiproxy_recipe(base), offline, say)
    _ensure(images, recipes.toolbox_recipe(base), offline, say)
    images.close()


def _ensure(images: Images, recipe: Recipe, offline: bool, say: Callable[[str], None]) -> None:
    found = images.find(recipe.base)
    assert found is not None
    name, content = name_of(recipe.image), recipe.content(found.id)
    present = images.find(name)
    if present is not None and present.labels.get(CONTENT) == content:
        say(f"{name}: up to date ({present.size_bytes / 1e6:.0f} MB)")
        return
    say(f"{name}: building from {recipe.base}")
    with recipe.context() as context:
        labels = {**recipe.labels, CONTENT: content}
        images.build(context, name, labels, recipe.base, offline=offline, say=lambda _: None)
    made = images.find(name)
    assert made is not None
    if present is not None and present.id != made.id:
        images.discard(present.id)
    say(f"{name}: built ({made.size_bytes / 1e6:.0f} MB)")


def _adopt(images: Images, image: str, reference: str, say: Callable[[str], None]) -> None:
    """An official image under our name, with our label."""
    present = images.find(name_of(image))
    if present is not None and present.labels.get(CONTENT) == reference:
        say(f"{name_of(image)}: up to date ({reference})")
        return
    say(f"{name_of(image)}: pulling {reference}")
    images.pull(reference)
    # A volume at /data takes its owner from the image: the bus does not run as root.
    text = f"FROM {reference}\nCOPY --chown={SERVICE_USER}:{SERVICE_USER} data /data\n".encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
        empty = tarfile.TarInfo("data")
        empty.type, empty.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(empty)
    archive.seek(0)
    images.build(archive, name_of(image), {CONTENT: reference}, "", offline=True, say=lambda _: None)


def require_images() -> None:
    """Raises StartError, with the mend, unless all images are there and hold this folder's code."""
    images = Images()
    problems = stale_images(images)
    images.close()
    if problems:
        raise StartError("; ".join(problems) + f"; make them: {MEND}")


def stale_images(images: Images) -> list[str]:
    """One sentence for each image that is missing, or that holds other code than this folder."""
    problems: list[str] = []
    for image in IMAGES:
        found = images.find(name_of(image))
        if found is None:
            problems.append(f"the engine has no image {name_of(image)}")
        elif image == "service" and found.labels.get(CODE) != recipes.code_hash():
            problems.append(f"{name_of(image)} holds other code than {recipes.SYSTEM.name}/")
    return problems
