"""Frozen values as plain JSON data and back again, exactly: how a run folder keeps what was played.

A value that was chosen from a registry (a fault, the binding of a property) carries its `kind`; all else is
told by the types of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec

from experiment.units import Bound, Limit, RelativeBound

T = TypeVar("T")
VERSION = 1
Registries = Mapping[Any, Mapping[str, type[Any]]]  # the type of a field to its kinds by name


def to_plain(value: object) -> Any:
    """Dicts, lists, texts, numbers and None. Raises TypeError for what is not a value."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_plain(one) for key, one in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(to_plain(one) for one in value)
    if isinstance(value, (tuple, list)):
        return [to_plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        kind = getattr(type(value), "kind", None)
        return {"kind": kind, **plain} if isinstance(kind, str) else plain
    raise TypeError(f"{value!r} is not a value that a file can keep")


def from_plain(plain: object, kind: type[T], registries: Registries | None = None) -> T:
    """A value of this type. Raises ValueError that says where in the data it found what it did not expect."""
    known = registries or {}

    def chosen(wanted: type, found: object) -> object:
        """A field whose type is a protocol: its `kind` says which class it is."""
        if issubclass(wanted, Limit):
            shape = RelativeBound if isinstance(found, dict) and "downwards" in found else Bound
            return msgspec.convert(found, shape)
        kinds = known.get(wanted)
        if kinds is None:
            raise TypeError(f"{wanted.__name__} has no registry of kinds")
        if not isinstance(found, dict) or found.get("kind") not in kinds:
            name = found.get("kind") if isinstance(found, dict) else found
            raise ValueError(f"the unknown kind {name!r}, expected one of {', '.join(kinds)}")
        rest = {key: value for key, value in found.items() if key != "kind"}
        return msgspec.convert(rest, kinds[found["kind"]], dec_hook=chosen, str_keys=True)

    return msgspec.convert(plain, kind, dec_hook=chosen, str_keys=True)


def decoded(text: bytes, kind: type[T]) -> T:
    """A value of this type from JSON that lay in a file. Raises ValueError, whatever is wrong with it."""
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None


def packed(name: str, plain: Mapping[str, Any] | msgspec.Raw) -> bytes:
    """A file of one value, to be read by `unpacked`: JSON for people and programs, with its version."""
    return msgspec.json.format(msgspec.json.encode({"version": VERSION, name: plain}), indent=1)


def unpacked(name: str, text: bytes) -> Any:
    """The plain data of a file that `packed` wrote. Raises ValueError, also for another version."""
    whole: Any = decoded(text, object)
    version = whole.get("version") if isinstance(whole, dict) else None
    if version != VERSION:
        raise ValueError(
            f"version {version} of {name}, expected {VERSION}; use the version of Code Blue that wrote it"
        )
    if name not in whole:
        raise ValueError(f"no {name}, expected the file that the run wrote")
    return whole[name]
