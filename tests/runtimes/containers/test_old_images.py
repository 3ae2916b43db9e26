"""Which images of ours may go."""

from __future__ import annotations

from runtimes.containers.engine_images import ImageFacts
from runtimes.containers.old_images import unneeded
from runtimes.containers.recipes import BASE

LONG_AFTER = 1_000_000.0


def image(name: str, made_at: float, base: str = "codeblue/base:new") -> ImageFacts:
    """An image by its only name; `-` for one whose name another one took."""
    return ImageFacts(f"sha256:{name}{made_at}", {BASE: base}, 1, () if name == "-" else (name,), made_at)


def test_the_newest_two_of_a_name_stay() -> None:
    """Older ones go, the oldest first, and those that lost their name; `current` ones stay."""
    shop = [image(f"codeblue/shop:{number}", float(number)) for number in range(4)]
    rest = [image("-", 1.5), image("codeblue/service:current", 0.0), image("codeblue/service:a", 0.5)]
    gone = unneeded([*shop, *rest], (), LONG_AFTER)
    assert [one.made_at for one in gone] == [0.0, 1.0, 1.5]
    assert gone[0] is shop[0]


def test_what_is_used_stays() -> None:
    """By a container, as the base of one that stays, or in a moment by whoever made it."""
    shop = [image(f"codeblue/shop:{number}", float(number), f"base:{number}") for number in range(3)]
    bases = [ImageFacts(f"sha256:b{n}", {}, 1, (f"base:{n}",), 0.1 * n) for n in range(4)]
    assert unneeded(shop, {shop[0].id}, LONG_AFTER) == []
    assert unneeded(shop, (), 3000.0) == []
    assert [one.names for one in unneeded([*shop, *bases], (), LONG_AFTER)] == [
        ("base:0",), ("codeblue/shop:0",),
    ]  # fmt: skip
