"""Images of one engine: found, imported, pulled, built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runtimes.containers.specs import Ran
from runtimes.docker_engine import Door, EngineError, EngineMissing

BUILD_DEADLINE_S = 900.0
LAST_LINES = 15
UNNAMED = "<none>:<none>"  # how the engine calls an image whose name another one took


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image that the engine has. `size_bytes` counts all layers; `made_at` is in seconds since 1970."""

    id: str
    labels: Mapping[str, str]
    size_bytes: int
    names: tuple[str, ...] = ()
    made_at: float = 0.0


class Images(Door):
    """The images of one engine. Calls last as long as a build may."""

    def __init__(self) -> None:
        super().__init__(deadline_s=BUILD_DEADLINE_S)

    def find(self, reference: str) -> ImageFacts | None:
        """An image by name or id, None when the engine does not have it."""
        try:
            with self.calling(f"inspect the image {reference}"):
                shown = self.api.inspect_image(reference)
        except EngineMissing:
            return None
        return ImageFacts(shown["Id"], shown["Config"].get("Labels") or {}, int(shown["Size"]))

    def pull(self, reference: str) -> ImageFacts:
        """Fetch an image by its pinned name. Raises EngineError when no registry gives it."""
        repository, _, tag = reference.rpartition(":")
        with self.calling(f"pull {reference}"):
            for step in self.api.pull(repository, tag=tag, stream=True, decode=True):
                if "error" in step:
                    raise EngineError(f"Docker could not pull {reference}: {step['error']}")
        found = self.find(reference)
        if found is None:
            raise EngineMissing(f"Docker pulled {reference}, but does not have it")
        return found

    def ask(self, reference: str, command: Sequence[str], labels: Mapping[str, str] | None = None) -> Ran:
        """Run one command in a container of its own, which has no network, and wait for its end."""
        with self.calling(f"run {command[0]} in {reference}"):
            made = self.api.create_container(
                reference,
                entrypoint=list(command),
                network_disabled=True,
                user="65534:65534",
                labels=dict(labels or {}),
            )
            try:
                self.api.start(made["Id"])
                code = self.api.wait(made["Id"])["StatusCode"]
                output = self.api.logs(made["Id"])
            finally:
                self.api.remove_container(made["Id"], force=True)
        return Ran(int(code), output.decode("utf-8", "replace"))

    def tag(self, image_id: str, name: str) -> None:
        """One more name for an image."""
        repository, _, tag = name.rpartition(":")
        with self.calling(f"name {name}"):
            self.api.tag(image_id, repository, tag=tag)

    def with_label(self, label: str) -> list[ImageFacts]:
        """Every image that bears the label, also those without a name."""
        with self.calling(f"list the images with {label}"):
            shown = self.api.images(filters={"label": label})
        return [
            ImageFacts(
                one["Id"],
                one["Labels"] or {},
                int(one["Size"]),
                tuple(name for name in one["RepoTags"] or () if name != UNNAMED),
                float(one["Created"]),
            )
            for one in shown
        ]

    def in_use(self) -> set[str]:
        """The ids of the images that containers are made of, running or not."""
        with self.calling("list containers"):
            return {one["ImageID"] for one in self.api.containers(all=True)}

    def discard(self, reference: str) -> bool:
        """Remove an image that is not needed any more, or one of its names. One that is in use is left."""
        try:
            with self.calling(f"discard {reference}"):
                self.api.remove_image(reference)
        except EngineError:
            return False
        return True

    def import_base(self, archive: Path, name: str) -> None:
        """A one-layer image from a root file system (tar)."""
        repository, _, tag = name.rpartition(":")
        with self.calling(f"import {name}"), archive.open("rb") as source:
            answer = self.api.import_image_from_data(source, repository=repository, tag=tag)
        if self.find(name) is None:
            raise EngineError(f"Docker could not import {name}: {str(answer)[-300:]}")

    def build(
        self,
        context: IO[bytes],
        name: str,
        labels: Mapping[str, str],
        base: str,
        *,
        offline: bool,
        say: Callable[[str], None],
        arguments: Mapping[str, str] | None = None,
        stage: str = "",
    ) -> None:
        """Build a tar with a Dockerfile in it, up to a stage if one is named. Offline the build has no
        network: it cannot fetch a thing.

        Raises EngineError with the last lines of the build.
        """
        lines: list[str] = []
        with self.calling(f"build {name}"):
            steps = self.api.build(
                fileobj=context,
                custom_context=True,
                tag=name,
                labels=dict(labels),
                buildargs={"BASE_IMAGE": base, **(arguments or {})},
                target=stage or None,
                network_mode="none" if offline else None,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for step in steps:
                if "error" in step:
                    shown = "\n".join(f"    {line}" for line in lines[-LAST_LINES:])
                    raise EngineError(f"{name} cannot be built: {step['error']}\n{shown}")
                text = str(step.get("stream", "")).rstrip()
                if text:
                    lines.append(text)
                    say(text)
