"""Properties as a system declares them: a general kind, bound to the system's records and journeys.

The kinds are files of `measurement/properties`; here stands what their bindings have in common.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from experiment.decoding import FAILED, Decoder, blamed, describe
from experiment.errors import ConfigError
from experiment.names import StoreName
from experiment.scenario import Scenario
from experiment.units import noun
from experiment.verdict import CheckResult, Verdict
from experiment.yaml_source import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:  # with polars, which the load process and quick commands start without
    from experiment.findings import Finding
    from experiment.history import History

COMMON_KEYS = frozenset({"kind", "safety", "says"})
EXAMPLE = "a property such as {kind: at_most_once, things: order, effect: {store: shop, kind: shipment}}"


@dataclass(frozen=True, slots=True)
class Noun:
    """What statements call something: `order`, or `[person, people]` where the plural is not regular."""

    singular: str
    plural: str

    @classmethod
    def of(cls, singular: str) -> Noun:
        """With its regular plural: orders, deliveries, boxes."""
        if singular.endswith("y") and singular[-2:-1] not in tuple("aeiou"):
            return cls(singular, singular[:-1] + "ies")
        ending = "es" if singular.endswith(("s", "x", "z", "ch", "sh")) else "s"
        return cls(singular, singular + ending)

    def count(self, number: int) -> str:
        """`1 order`, `2,000 orders`."""
        return noun(number, self.singular, self.plural)


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one kind at one store. The last three keys are words for statements."""

    store: StoreName
    """The service that keeps them."""
    kind: str
    """What they are called there."""
    status: tuple[str, ...] = ()
    """Only records in one of these states count, and those that tell no state."""
    called: Noun | None = None
    """What one of them is called in statements; without it, its kind."""
    done: str = ""
    """What was done to the thing that it is about, as a past participle, such as paid."""
    at: str = ""
    """Where it is kept, in words, such as the ledger; without it, the store."""

    @property
    def noun(self) -> Noun:
        return self.called or Noun.of(self.kind.replace("_", " "))

    @property
    def past(self) -> str:
        word = self.noun.singular
        return self.done or (word + "d" if word.endswith("e") else word + "ed")

    @property
    def place(self) -> str:
        return self.at or f"the store {self.store}"


@runtime_checkable
class Binding(Protocol):
    """One kind of property: a frozen dataclass whose fields are the keys of its binding."""

    kind: ClassVar[str]
    safety: ClassVar[bool]  # whether a violation is a veto, unless the system says otherwise

    @property
    def sentence(self) -> str:
        """What is promised, in one sentence, for a property that does not say it itself."""

    def find(self, history: History, scenario: Scenario, system: Any) -> Finding:
        """The property judged on one history. Pure."""


@runtime_checkable
class Located(Protocol):
    """A binding that names files beside the system's."""

    def located(self, folder: Path) -> Binding:
        """The same, once the files are found. Raises ValueError, or ConfigError for a mistake in a file."""


Kinds = MappingABC[str, type[Binding]]


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a system. `safety`: a violation is a veto, whatever else the run shows."""

    binding: Binding
    safety: bool
    says: str  # one sentence

    def result(self, name: str, finding: Finding) -> CheckResult:
        """What was found, under the property's name; a pass of a safety property tells its bound."""
        from experiment.findings import rule_of_three

        statement = finding.statement
        if self.safety and finding.verdict is Verdict.PASS:
            statement = f"{statement} {rule_of_three(finding.exposed)}"
        return CheckResult(
            name,
            self.says,
            self.safety,
            finding.verdict,
            statement,
            finding.exposed,
            finding.violations,
            finding.violation_count,
            finding.measures,
            kind=self.binding.kind,
            modelled=finding.modelled,
        )


def with_defaults(properties: MappingABC[str, Property], kinds: Kinds) -> dict[str, Property]:
    """The properties with those kinds that need no binding, each under its own name, unless it is taken."""
    completed = dict(properties)
    for name, kind in kinds.items():
        if name not in completed and needs_nothing(kind):
            binding = kind()
            completed[name] = Property(binding, binding.safety, binding.sentence)
    return completed


def needs_nothing(kind: type[Binding]) -> bool:
    """Whether every system has this kind without binding it; few kinds say `always`."""
    return bool(getattr(kind, "always", False))


def decode_property(decoder: Decoder, node: Node, name: str, kinds: Kinds) -> object:
    """A property from its node; a kind that needs no binding keeps its name to itself."""
    if not isinstance(node, Mapping):
        return decoder.fail(node.where, describe(node), EXAMPLE)
    kind_node = node.get("kind")
    kind = kind_node.text if isinstance(kind_node, Scalar) else ""
    if kind not in kinds:
        where = kind_node.where if kind_node is not None else node.where
        found = f'the unknown kind of property "{kind}"' if kind else 'a property without "kind"'
        return decoder.fail(where, found, "a kind of property", decoder.nearest(kind, kinds))
    if name in kinds and name != kind and needs_nothing(kinds[name]):
        return decoder.fail(
            node.where, f'the name "{name}" for a property of kind {kind}', f"the kind {name}"
        )
    if (odd := _with_braces(node)) is not None:
        return decoder.fail(odd.where, f'"{odd.text}"', "plain words, without { and }")
    safety_node, says_node = node.get("safety"), node.get("says")
    safety = kinds[kind].safety if safety_node is None else decoder.value(safety_node, bool)
    says = "" if says_node is None else decoder.value(says_node, str)
    binding = decoder.record(node, kinds[kind], ignore=COMMON_KEYS)
    if any(value is FAILED for value in (binding, safety, says)):
        return FAILED
    if isinstance(binding, Located):
        try:
            binding = binding.located(Path(node.where.file).parent)
        except ConfigError as error:
            decoder.problems.extend(error.problems)
            return FAILED
        except ValueError as error:
            return decoder.refuse(blamed(node, str(error)), error)
    return Property(binding, safety, says or binding.sentence)


def _with_braces(node: Node) -> Scalar | None:
    """Words become templates of statements, in which braces would be places to fill."""
    if isinstance(node, Scalar):
        return node if "{" in node.text or "}" in node.text else None
    children = node.items if isinstance(node, Sequence) else [child for _, child in node.items]
    return next((odd for child in children if (odd := _with_braces(child)) is not None), None)


def decode_noun(decoder: Decoder, node: Node) -> object:
    """`order`, or `[person, people]`."""
    words = [node] if isinstance(node, Scalar) else list(node.items) if isinstance(node, Sequence) else []
    texts = [word.text for word in words if isinstance(word, Scalar) and word.text.strip()]
    if not texts or len(texts) != len(words) or len(texts) > 2:
        return decoder.fail(node.where, describe(node), "a noun such as order, or [person, people]")
    return Noun(*texts) if len(texts) == 2 else Noun.of(texts[0])


def decode_records(decoder: Decoder, node: Node, given: MappingABC[str, tuple[str, ...]]) -> object:
    """Records that some store gives; `given`: the stores, each with its kinds where it declares them."""
    records = decoder.record(node, Records)
    if isinstance(records, Records) and isinstance(node, Mapping):
        kinds = given.get(records.store, ())
        kind = node.get("kind")
        if kinds and records.kind not in kinds and kind is not None:
            found = f'the kind of record "{records.kind}", which {records.store} does not give'
            return decoder.fail(
                kind.where, found, f"a kind of {records.store}", decoder.nearest(records.kind, kinds)
            )
    return records


def require_some(binding: Binding, *names: str) -> None:
    """Raises ValueError, in the words of a decoding problem, for a list of a binding that is empty."""
    for name in names:
        if not getattr(binding, name):
            raise ValueError(f"{name} without an entry; expected one or more")
