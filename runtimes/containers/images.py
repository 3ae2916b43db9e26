"""Makes the images that are missing or out of date, and says which are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiment.errors import StartError
from runtimes.containers import recipes
from runtimes.containers.base_image import ensure_base, python_of
from runtimes.containers.engine_images import Images
from runtimes.containers.recipes import BASE, CODE, CONTENT, KIND, VERSION, Recipe, name_of
from runtimes.containers.wheelhouse import wheelhouse
from runtimes.docker_engine import EngineError
from runtimes.leftovers import Journal

IMAGES = ("service", "postgres", "bus", "toxiproxy", "toolbox")
PROGRAMS = {"postgres": "postgresql", "bus": "nats"}
HINT = "`codeblue images`, or `codeblue images --offline` where no container registry can be reached"
EMBEDDED = (
    "NOTE: this image holds the EMBEDDED Toxiproxy-compatible server, since no real one was found here; "
    "for the real one install Go or a toxiproxy-server, then make the images again"
)


@dataclass(frozen=True, slots=True)
class Made:
    """An image that is there now; `built` says whether it was made by this call."""

    name: str
    built: bool
    size_bytes: int


def make_images(
    cache: Path, journal: Journal, *, offline: bool, base: str | None, say: Callable[[str], None]
) -> tuple[Made, ...]:
    """All images. Offline, the base is made by mmdebstrap unless one is named, and no build has a network.

    Raises EngineError, StartError.
    """
    images = Images()
    journal.write("engine", endpoint=images.url)
    if base is None:
        base = ensure_base(images, journal, say) if offline else recipes.PYTHON_IMAGE
    _fetch(images, base, offline, say)
    wheels = wheelhouse(recipes.SYSTEM / "requirements.txt", cache, python_of(images, base, journal), journal)
    made = [recipes.service_recipe(base, wheels)]
    if offline:
        made += [*recipes.store_recipes(base), recipes.toxiproxy_recipe(base)]
    else:
        made += recipes.official_recipes()
    found = []
    for recipe in (*made, recipes.toolbox_recipe(base)):
        _fetch(images, recipe.base, offline, say)
        found.append(_ensure(images, recipe, offline, say))
        if recipe.labels.get(KIND) == "embedded":
            say(EMBEDDED)
    images.close()
    return tuple(found)


def _fetch(images: Images, reference: str, offline: bool, say: Callable[[str], None]) -> None:
    """Pull what the engine does not have: names are pinned, what it has is the right one."""
    if images.find(reference) is not None:
        return
    if offline:
        raise StartError(f'the engine has no image "{reference}", and offline none is fetched')
    say(f"{reference}: pulling")
    try:
        images.pull(reference)
    except EngineError as error:
        raise EngineError(
            f"{error}\nWhere no container registry can be reached: `codeblue images --offline`"
        ) from None


def _ensure(images: Images, recipe: Recipe, offline: bool, say: Callable[[str], None]) -> Made:
    found = images.find(recipe.base)
    assert found is not None
    name, content = name_of(recipe.image), recipe.content(found.id)
    present = images.find(name)
    if present is not None and present.labels.get(CONTENT) == content:
        say(f"{name}: up to date ({present.size_bytes / 1e6:.0f} MB)")
        return Made(name, False, present.size_bytes)
    say(f"{name}: building from {recipe.base}")
    with recipe.context() as context:
        labels = {**recipe.labels, CONTENT: content, BASE: recipe.base}
        images.build(context, name, labels, recipe.base, offline=offline, say=lambda _: None)
    made = images.find(name)
    assert made is not None
    if present is not None and present.id != made.id:
        images.discard(present.id)
    say(f"{name}: built ({made.size_bytes / 1e6:.0f} MB)")
    return Made(name, True, made.size_bytes)


def require_images() -> None:
    """Raises StartError, with the hint, unless all images are there. Which code the services' image must hold
    depends on the checkout that is run: see `service_images`."""
    images = Images()
    problems = missing_images(images)
    images.close()
    if problems:
        raise StartError("; ".join(problems) + f"; make them: {HINT}")


def missing_images(images: Images) -> list[str]:
    """One sentence for each image that the engine does not have."""
    return [f"the engine has no image {name_of(one)}" for one in IMAGES if images.find(name_of(one)) is None]


def image_versions(images: Images, service_image: str) -> dict[str, str]:
    """What an instance is made of: versions of the stores, and each image by the hash of its content."""
    found: dict[str, str] = {}
    for image in IMAGES:
        facts = images.find(service_image if image == "service" else name_of(image))
        if facts is None:
            continue
        found[f"image {image}"] = facts.labels.get(CONTENT) or facts.labels.get(CODE) or facts.id
        if VERSION in facts.labels:
            found[PROGRAMS[image]] = facts.labels[VERSION]
    return found


def outdated_images(images: Images) -> list[str]:
    """One sentence for each image that would be made of something else now, on the base that it has."""
    problems = []
    for image in IMAGES[1:]:
        facts = images.find(name_of(image))
        if facts is None:
            continue
        name = facts.labels.get(BASE, "")
        base = images.find(name) if name else None
        wanted = [one.content(base.id) for one in _recipes_on(name) if one.image == image] if base else []
        if facts.labels.get(CONTENT) not in wanted:
            problems.append(f"{name_of(image)} is made of other files than those here")
    return problems


def _recipes_on(base: str) -> list[Recipe]:
    """The recipes of both ways to an image that stand on this base."""
    offline = [*recipes.store_recipes(base), recipes.toxiproxy_recipe(base), recipes.toolbox_recipe(base)]
    return [one for one in (*offline, *recipes.official_recipes()) if one.base == base]


def stale_images(images: Images) -> list[str]:
    """One sentence for each image that is missing, or that holds something else than this folder."""
    problems = [*missing_images(images), *outdated_images(images)]
    found = images.find(name_of("service"))
    if found is not None and found.labels.get(CODE) != recipes.code_hash():
        problems.append(f"{name_of('service')} holds other code than {recipes.SYSTEM.name}/")
    return problems
