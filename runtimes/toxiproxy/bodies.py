"""What the bodies of API calls say: JSON read into typed wishes, with the original's error texts."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from runtimes.toxiproxy import errors
from runtimes.toxiproxy.chain import Direction, ToxicSettings
from runtimes.toxiproxy.errors import ApiError, bad_request_body
from runtimes.toxiproxy.json_reader import JsonSyntaxError, JsonValue, Number, Object, read
from runtimes.toxiproxy.toxics import ALL_KINDS
from runtimes.toxiproxy.toxics.noop import Noop
from runtimes.toxiproxy.toxics.pipe import Toxic

INT64 = 1 << 63
POPULATE_STRUCT = 'struct { toxiproxy.Proxy; Enabled *bool "json:\\"enabled\\"" }'
UPDATE_STRUCT = (
    'struct { Attributes interface {} "json:\\"attributes\\""; Toxicity float32 "json:\\"toxicity\\"" }'
)

T = TypeVar("T")


class _WrongType(Exception):
    """A value of another JSON type than the field has; the text names what was found."""


@dataclass(frozen=True, slots=True)
class ProxyWish:
    """A proxy as a create, update or populate call describes it; None where nothing was said."""

    name: str = ""
    listen: str = ""
    upstream: str = ""
    enabled: bool | None = None
    toxics: tuple[ToxicSettings, ...] = ()


def proxy_to_create(body: bytes) -> ProxyWish:
    """The body of POST /proxies. Raises ApiError 400."""
    wish = _proxy(_parse(body), ProxyWish(enabled=True), struct_name="Proxy", whole="toxiproxy.Proxy")
    for field_name in ("name", "upstream"):
        if not getattr(wish, field_name):
            raise errors.missing_field(field_name)
    return wish


def proxy_update(body: bytes, *, listen: str, upstream: str, enabled: bool) -> ProxyWish:
    """The body of PATCH /proxies/{proxy}: what it does not name stays as it is. Raises ApiError 400."""
    now = ProxyWish(listen=listen, upstream=upstream, enabled=enabled)
    return _proxy(_parse(body), now, struct_name="Proxy", whole="toxiproxy.Proxy")


def proxies_to_populate(body: bytes) -> list[ProxyWish]:
    """The body of POST /populate, or a configuration file. Raises ApiError 400."""
    value = _parse(body)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_request_body(
            f"json: cannot unmarshal {_found(value)} into Go value of type []{POPULATE_STRUCT}"
        )
    wishes = [_proxy(item, ProxyWish(), struct_name="", whole=POPULATE_STRUCT) for item in value]
    for number, wish in enumerate(wishes, 1):
        for field_name in ("name", "upstream"):
            if not getattr(wish, field_name):
                raise errors.missing_field(f"{field_name} at proxy {number}")
    return [
        replace(
            wish, enabled=wish.enabled is not False, toxics=_toxics_of(item, f'proxy {number} "{wish.name}"')
        )
        for number, (wish, item) in enumerate(zip(wishes, value, strict=True), 1)
    ]


def toxic_to_create(body: bytes, *, taken: Collection[str]) -> ToxicSettings:
    """The body of POST /proxies/{proxy}/toxics. ApiError 400, or 409 for a name in ``taken``."""
    return _toxic(_parse(body), taken)


def toxic_update(body: bytes, current: ToxicSettings) -> tuple[Toxic, float]:
    """Attributes and toxicity after PATCH of a toxic: what it does not name stays. Raises ApiError 400."""
    value = _parse(body)
    toxic, toxicity = current.toxic, current.toxicity
    for key, member in _members(value, UPDATE_STRUCT):
        if key == "attributes":
            toxic = _attributes(member, toxic, owner="")
        elif key == "toxicity":
            toxicity = _field(member, toxicity, _single, field_name=".toxicity", go_type="float32")
    return toxic, toxicity


def _parse(body: bytes) -> JsonValue:
    try:
        return read(body)
    except JsonSyntaxError as error:
        raise bad_request_body(str(error)) from None


def _members(value: JsonValue, whole: str) -> list[tuple[str, JsonValue]]:
    """Members by lower-case key; the original matches keys in any case."""
    if value is None:
        return []
    if not isinstance(value, Object):
        raise bad_request_body(f"json: cannot unmarshal {_found(value)} into Go value of type {whole}")
    return [(key.lower(), member) for key, member in value.members]


def _proxy(value: JsonValue, wish: ProxyWish, *, struct_name: str, whole: str) -> ProxyWish:
    for key, member in _members(value, whole):
        owner = f"{struct_name}.{key}"
        if key == "name":
            wish = replace(wish, name=_field(member, wish.name, _text, field_name=owner, go_type="string"))
        elif key == "listen":
            wish = replace(
                wish, listen=_field(member, wish.listen, _text, field_name=owner, go_type="string")
            )
        elif key == "upstream":
            wish = replace(
                wish, upstream=_field(member, wish.upstream, _text, field_name=owner, go_type="string")
            )
        elif key == "enabled":
            wish = replace(
                wish, enabled=_field(member, wish.enabled, _flag, field_name=owner, go_type="bool")
            )
        elif key == "logger" and member is not None and not isinstance(member, Object):
            raise _cannot(_found(member), f"{struct_name}.Logger", "zerolog.Logger")
    return wish


def _toxics_of(item: JsonValue, where: str) -> tuple[ToxicSettings, ...]:
    """The toxics of a populate entry, which the original ignores. Mistakes in them say where they are."""
    found: list[ToxicSettings] = []
    for key, member in _members(item, POPULATE_STRUCT):
        if key == "toxics" and member is not None:
            if not isinstance(member, list):
                raise _cannot(_found(member), "Proxy.toxics", "[]toxics.Toxic")
            for toxic in member:
                try:
                    found.append(_toxic(toxic, [other.name for other in found]))
                except ApiError as error:
                    reason = error.message
                    if reason == errors.invalid_toxic_type().message:
                        reason += f", expected one of {', '.join(ALL_KINDS)}"
                    raise ApiError(f"{where}, toxic {len(found) + 1}: {reason}", error.status) from None
    return tuple(found)


def _toxic(value: JsonValue, taken: Collection[str]) -> ToxicSettings:
    name, kind, stream, toxicity = "", "", "downstream", 1.0
    attributes: Object | None = Object([])
    for key, member in _members(value, "toxics.ToxicWrapper"):
        owner = f"ToxicWrapper.{key}"
        if key == "attributes" and member is None:
            attributes = None
        elif key == "attributes":
            if not isinstance(member, Object):
                raise _cannot(_found(member), owner, "toxics.NoopToxic")
            if attributes is None:  # a null took the place of what the original reads into
                raise _cannot("object", owner, "toxics.Toxic")
            attributes = Object([*attributes.members, *member.members])
        elif key == "name":
            name = _field(member, name, _text, field_name=owner, go_type="string")
        elif key == "type":
            kind = _field(member, kind, _text, field_name=owner, go_type="string")
        elif key == "stream":
            stream = _field(member, stream, _text, field_name=owner, go_type="string")
        elif key == "toxicity":
            toxicity = _field(member, toxicity, _single, field_name=owner, go_type="float32")
    direction = Direction.parse(stream)
    if kind not in ALL_KINDS:
        raise errors.invalid_toxic_type()
    if ALL_KINDS[kind].both_ways and direction is not Direction.UPSTREAM:
        raise bad_request_body(f"a toxic of requests is upstream, found the stream {stream}")
    name = name or f"{kind}_{stream}"
    if name in taken:
        raise errors.toxic_already_exists()
    toxic = _attributes(attributes, ALL_KINDS[kind](), owner="")
    return ToxicSettings(
        name=name,
        kind=kind,
        stream=stream,
        direction=direction,
        toxicity=toxicity,
        toxic=toxic,
    )


def _attributes(value: JsonValue, toxic: Toxic, *, owner: str) -> Toxic:
    """``toxic`` with the attributes that ``value`` names. Values that no stream can run with are refused."""
    if value is None:
        return toxic
    if not isinstance(value, Object):
        raise _cannot(_found(value), f"{owner}.attributes", f"toxics.{toxic.GO_NAME}")
    given: dict[str, int] = {}
    known = {field.name: str(field.metadata["go_type"]) for field in fields(toxic)}
    for key, member in value.members:
        name = key.lower()
        if name in known and member is not None:
            path = f"{owner}.attributes.{name}"
            now = given.get(name, getattr(toxic, name))
            given[name] = _field(member, now, _integer, field_name=path, go_type=known[name])
    if not given:
        return toxic
    changed = replace(toxic, **given) if not isinstance(toxic, Noop) else toxic
    if (nonsense := changed.nonsense()) is not None:
        raise bad_request_body(nonsense)
    return changed


def _field(
    value: JsonValue, now: T, convert: Callable[[JsonValue], T], *, field_name: str, go_type: str
) -> T:
    if value is None:
        return now
    try:
        return convert(value)
    except _WrongType as wrong:
        raise _cannot(str(wrong), field_name, go_type) from None


def _cannot(found: str, field_name: str, go_type: str) -> ApiError:
    return bad_request_body(
        f"json: cannot unmarshal {found} into Go struct field {field_name} of type {go_type}"
    )


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise _WrongType(_found(value))
    return value


def _flag(value: JsonValue) -> bool:
    if not isinstance(value, bool):
        raise _WrongType(_found(value))
    return value


def _integer(value: JsonValue) -> int:
    if not isinstance(value, Number):
        raise _WrongType(_found(value))
    try:
        number = int(value.literal)
    except ValueError:
        raise _WrongType(f"number {value.literal}") from None
    if not -INT64 <= number < INT64:
        raise _WrongType(f"number {value.literal}")
    return number


def _single(value: JsonValue) -> float:
    """A 32-bit float."""
    if not isinstance(value, Number):
        raise _WrongType(_found(value))
    try:
        number: float = struct.unpack("<f", struct.pack("<f", float(value.literal)))[0]
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _WrongType(f"number {value.literal}")
    return number


def _found(value: JsonValue) -> str:
    match value:
        case Object():
            return "object"
        case list():
            return "array"
        case bool():
            return "bool"
        case Number():
            return "number"
    return "string"
