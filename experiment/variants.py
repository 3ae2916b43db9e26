"""What a design changes of services that know nothing of the harness: the image and the variables of each.

A release is such a variant: another tag of an image. It is read back from what runs, like every switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from experiment.decoding import FAILED, Decoder, describe
from experiment.errors import UsageError, nearest
from experiment.services import PLACEHOLDER, Service
from experiment.yaml_source import Mapping as Section
from experiment.yaml_source import Node, place

IMAGE = "its image"  # among what a service is started with; no variable has such a name


@dataclass(frozen=True, slots=True)
class Variant:
    """What is otherwise in one service; what is not named is as the system's file says."""

    image: str = ""
    """In containers: the image that it runs from, with its tag or digest."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that it gets beside those of the system's file, or in place of them."""

    @property
    def started_with(self) -> dict[str, str]:
        """What its service must show of it."""
        return {**self.environment, **({IMAGE: self.image} if self.image else {})}

    def on(self, other: Variant) -> Variant:
        """This one put upon another."""
        return Variant(self.image or other.image, {**other.environment, **self.environment})


NONE = Variant()


def read_variants(decoder: Decoder, node: Node | None, services: Mapping[str, Service]) -> dict[str, Variant]:
    """The variants of one design file, by service; each mistake at its own place."""
    if node is None:
        return {}
    if not isinstance(node, Section):
        decoder.fail(node.where, describe(node), "a mapping from service to its image and environment")
        return {}
    found: dict[str, Variant] = {}
    for key, child in node.items:
        service = services.get(key.text)
        if service is None:
            hint = decoder.nearest(key.text, services)
            decoder.fail(key.where, f'the unknown service "{key.text}"', "a service of the system", hint)
        elif not service.foreign:
            what = "a module" if service.module else f"a {service.role}"
            expected = "a service with a command, an image, a build or a compose service"
            decoder.fail(key.where, f"a variant of {key.text}, which is {what}", expected)
        elif (decoded := decoder.value(child, Variant)) is not FAILED:
            found[key.text] = decoded
            for name, text in decoded.environment.items():
                if holes := PLACEHOLDER.findall(text):
                    where = place(child, "environment", name)
                    decoder.fail(where, f'the placeholder "{{{holes[0]}}}"', "a plain value")
    return found


def with_images(
    variants: Mapping[str, Variant], images: Mapping[str, str], services: Mapping[str, Service]
) -> dict[str, Variant]:
    """Variants with other images, as somebody typed them. Raises UsageError for a service that cannot have
    one."""
    found = dict(variants)
    for name, image in images.items():
        if name not in services or not services[name].foreign:
            able = [one for one, service in services.items() if service.foreign]
            raise UsageError(
                f"found the image {name}={image}, expected a service that knows nothing of "
                f"the harness: {nearest(name, able)}"
            )
        found[name] = replace(found.get(name, NONE), image=image)
    return found


def images_in(text: str) -> dict[str, str]:
    """`orders=shop/orders:1.4,stock=shop/stock:2` by service; nothing of text that names one image alone.
    Raises UsageError."""
    if "=" not in text:
        return {}
    found: dict[str, str] = {}
    for part in text.split(","):
        service, equals, image = (one.strip() for one in part.partition("="))
        if not (service and equals and image) or service in found:
            raise UsageError(f"found the images {text!r}, expected SERVICE=IMAGE,SERVICE=IMAGE, each once")
        found[service] = image
    return found


def variant_differences(left: Mapping[str, Variant], right: Mapping[str, Variant]) -> list[str]:
    """What two designs start otherwise, one sentence each."""
    lines: list[str] = []
    for service in sorted(left.keys() | right.keys()):
        one = left.get(service, NONE).started_with
        other = right.get(service, NONE).started_with
        for name in dict.fromkeys((*one, *other)):
            if one.get(name) != other.get(name):
                usual = "as the system's file says"
                lines.append(f"{service}: {name} {one.get(name, usual)} -> {other.get(name, usual)}")
    return lines
