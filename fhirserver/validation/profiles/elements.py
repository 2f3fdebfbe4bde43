"""What a profile says about an element, as a tree of nothing but what goes beyond the base definition.

A snapshot and a differential give the same tree: an element that is not mentioned is not constrained further,
and the base definition is checked anyway. A differential is applied to a copy of its base profile's tree.

https://hl7.org/fhir/R4/profiling.html, https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fhirserver.validation.profiles.demands import PART, Demand

CANONICAL = "http://hl7.org/fhir/StructureDefinition/"


class _Missing:
    """No value: null is none either, but cannot be told from it. It is one and the same in copies."""

    def __deepcopy__(self, memo: object) -> "_Missing":
        return self


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Kind:
    """A type that an element may have here. It has to conform to one of ``profiles``, what a reference points
    to conforms to one of ``targets`` (canonical urls) and is where ``aggregation`` says: contained, bundled,
    referenced."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    aggregation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slicing:
    """How the items of a repeating element are told apart: discriminators are (type, path)."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str = "open"
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Invariant:
    key: str
    severity: str
    human: str
    expression: str
    source: str


@dataclass(slots=True)
class Constrained:
    """An element of a profile; ``label`` is how messages call it (``component:systolic``).

    ``most`` None is no limit; ``structure`` the key of its children in the definitions, "" where these depend
    on the type it has; ``bindings`` are those beside ``binding``.
    """

    name: str
    label: str
    structure: str
    least: int = 0
    most: int | None = None
    kinds: tuple[Kind, ...] = ()
    fixed: Any = MISSING
    pattern: Any = MISSING
    binding: tuple[str, str] | None = None
    max_length: int | None = None
    min_value: Any = MISSING
    max_value: Any = MISSING
    demands: tuple[Demand, ...] = ()
    bindings: tuple[tuple[str, str], ...] = ()
    invariants: dict[str, Invariant] = field(default_factory=dict)
    slicing: Slicing | None = None
    slices: "dict[str, Constrained]" = field(default_factory=dict)
    children: "dict[str, Constrained]" = field(default_factory=dict)

    @property
    def says_nothing(self) -> bool:
        return (
            self.least == 0
            and self.most is None
            and not (self.kinds or self.binding or self.invariants or self.slices or self.children)
            and not (self.demands or self.bindings)
            and self.fixed is self.pattern is self.min_value is self.max_value is MISSING
            and self.max_length is None
            and (self.slicing is None or self.slicing.rules == "open")
        )

    @property
    def is_typed_only(self) -> bool:
        """Whether it says nothing about an element that is there but which types it may have."""
        loose = self.binding is None or self.binding[0] not in ("required", "extensible")
        return (
            loose
            and self.least < 2
            and self.most in (None, 1)
            and not (self.invariants or self.slices or self.children or self.demands or self.bindings)
            and self.fixed is self.pattern is self.min_value is self.max_value is MISSING
            and self.max_length is None
            and not any(kind.profiles or kind.targets for kind in self.kinds)
        )

    def plain_values(self, url: str) -> frozenset[str]:
        """Of the root of an extension: the JSON names of which each is right beside ``url`` and without
        anything else."""
        value, address, parts = (self.children.get(name) for name in ("value", "url", "extension"))
        if value is None or not value.is_typed_only or not self.children.keys() <= _PLAIN:
            return frozenset()
        if self.invariants or self.kinds or (parts is not None and parts.least):
            return frozenset()
        if address is None or address.fixed != url or address.pattern is not MISSING or address.invariants:
            return frozenset()
        return frozenset(f"value{kind.code[:1].upper()}{kind.code[1:]}" for kind in value.kinds)

    def prune(self) -> None:
        """Let go of what says nothing; slices stay, for they tell the items apart."""
        for one in self.slices.values():
            one.prune()
        for name, child in list(self.children.items()):
            child.prune()
            if child.says_nothing:
                del self.children[name]


_PLAIN = frozenset(("extension", "url", "value"))


def value_of(element: Mapping[str, Any], prefix: str) -> Any:
    """The value of ``fixedUri``, ``patternCodeableConcept`` and the like; MISSING where there is none."""
    for name, value in element.items():
        if name.startswith(prefix) and name[len(prefix) :][:1].isupper():
            return value
    return MISSING


def kinds_of(element: Mapping[str, Any]) -> tuple[Kind, ...]:
    """The types; those of FHIRPath, which ids and urls have, constrain nothing."""
    return tuple(
        Kind(
            str(t["code"]),
            tuple(_profiles(t)),
            tuple(t.get("targetProfile", ())),
            tuple(t.get("aggregation", ())),
        )
        for t in element.get("type", ())
        if isinstance(t, dict) and "code" in t and "fhirpath" not in str(t["code"])
    )


def _profiles(type: Mapping[str, Any]) -> Iterator[str]:
    """The profiles of a type; ``url#id`` where an element of the profile is meant."""
    twins = type.get("_profile", ())
    for index, url in enumerate(type.get("profile", ())):
        twin = twins[index] if index < len(twins) else None
        parts = [e.get("valueString") for e in (twin or {}).get("extension", ()) if e.get("url") == PART]
        yield f"{url}#{parts[0]}" if parts else url


def slicing_of(element: Mapping[str, Any]) -> Slicing | None:
    found = element.get("slicing")
    if not isinstance(found, dict):
        return None
    return Slicing(
        tuple((str(d["type"]), str(d["path"])) for d in found.get("discriminator", ())),
        str(found.get("rules", "open")),
        bool(found.get("ordered", False)),
    )


def segments(elements: list[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], list[tuple[str, str]]]]:
    """Each element with its path as (name, slice) steps; the slice is "" where it is none.

    The way is taken from paths and slice names, which every tool writes right; ids are not relied on.
    """
    slices: dict[str, str] = {}
    for element in elements:
        path = str(element["path"])
        for other in [known for known in slices if known == path or known.startswith(path + ".")]:
            del slices[other]
        if "sliceName" in element:
            slices[path] = str(element["sliceName"])
        steps = path.split(".")
        places = (".".join(steps[: n + 1]) for n in range(len(steps)))
        yield element, [(step, slices.get(place, "")) for step, place in zip(steps, places, strict=True)]
