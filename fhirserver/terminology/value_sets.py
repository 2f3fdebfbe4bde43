"""Value sets as clauses: what a compose includes and excludes. https://hl7.org/fhir/R4/valueset.html#compositions"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirserver.errors import Unprocessable
from fhirserver.model.json import Resource
from fhirserver.terminology import ecl
from fhirserver.terminology.catalogue import Catalogue
from fhirserver.terminology.selections import ALL, OPERATORS, Every, Is, Where

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM_VALUE_SET = "http://unitsofmeasure.org/vs"
EXPRESSIONS = ("constraint", "expression")
"""The filter properties of SNOMED CT whose value is an ECL expression."""
LISTS = ("in", "not-in")


@dataclass(frozen=True, slots=True)
class Clause:
    """One include or exclude: codes of ``system`` that meet ``where`` (those of ``concepts`` where there are
    any), and that are in every one of ``value_sets``; without a system the codes of these alone."""

    system: str = ""
    version: str = ""
    where: Where = ALL
    concepts: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    value_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ValueSet:
    """``expansion`` is what a stored resource carries as such, for what cannot be expanded here; ``inactive``
    is compose.inactive. ``resource`` is the resource without expansion and text."""

    url: str
    version: str = ""
    includes: tuple[Clause, ...] = ()
    excludes: tuple[Clause, ...] = ()
    inactive: bool | None = None
    expansion: tuple[dict[str, Any], ...] | None = None
    resource: Resource = field(default_factory=dict, repr=False)

    @property
    def called(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url or "the value set"


def value_set(resource: Resource) -> ValueSet:
    """Compile a ValueSet resource.

    Raises:
        Unprocessable: its compose says nothing that can be evaluated.
        NotSupported: it has an ECL expression beyond what is understood.
    """
    compose = resource.get("compose") or {}
    listed = resource.get("expansion", {}).get("contains")
    kept = {k: v for k, v in resource.items() if k not in ("expansion", "text", "contained")}
    return ValueSet(
        resource.get("url", ""),
        resource.get("version", ""),
        tuple(map(_clause, compose.get("include", ()))),
        tuple(map(_clause, compose.get("exclude", ()))),
        compose.get("inactive"),
        tuple(_flat(listed)) if listed else None,
        kept,
    )


def implicit(url: str, catalogue: Catalogue) -> ValueSet | None:
    """A value set that no resource defines: all of a code system, or a part that the url names.

    https://hl7.org/fhir/R4/snomedct.html#implicit, https://hl7.org/fhir/R4/loinc.html#implicit
    """
    plain, _, version = url.partition("|")
    entry = catalogue.implied(plain)
    if entry and version in ("", entry.version):
        return ValueSet(url, entry.version, (Clause(entry.url, version),))
    if plain == UCUM_VALUE_SET:
        return ValueSet(url, "", (Clause("http://unitsofmeasure.org"),))
    base, question, rest = url.partition("?fhir_vs")
    if question and (base == SNOMED or base.startswith(SNOMED + "/")):
        where = _snomed(rest.removeprefix("="))
        edition = base if base != SNOMED else ""
        return ValueSet(url, "", (Clause(SNOMED, edition, where),)) if where else None
    if plain == f"{LOINC}/vs":
        return ValueSet(url, version, (Clause(LOINC, version),))
    if plain.startswith(f"{LOINC}/vs/"):
        part = plain.removeprefix(f"{LOINC}/vs/")
        where = Is("descendent-of" if part.startswith("LP") else "child-of", "concept", (part,))
        return ValueSet(url, version, (Clause(LOINC, version, where),))
    return None


def _snomed(asked: str) -> Where | None:
    kind, _, value = asked.partition("/")
    match kind:
        case "":
            return ALL
        case "isa" if value.isdigit():
            return Is("is-a", "concept", (value,))
        case "refset" if value.isdigit():
            return Is("in", "refset", (value,))
        case "refset" if not value:
            return Is("descendent-of", "concept", ("900000000000455006",))
        case "ecl" if value:
            return ecl.parse(value)
    return None


def _clause(element: Mapping[str, Any]) -> Clause:
    filters = tuple(map(filter_of, element.get("filter", ())))
    return Clause(
        element.get("system", ""),
        element.get("version", ""),
        filters[0] if len(filters) == 1 else Every(filters),
        {c["code"]: c for c in element.get("concept", ()) if "code" in c},
        tuple(element.get("valueSet", ())),
    )


def filter_of(element: Mapping[str, Any]) -> Where:
    """One filter of a compose.

    Raises:
        Unprocessable: no operator of R4, or a value that it cannot have.
        NotSupported: an ECL expression beyond what is understood.
    """
    property, op, value = (str(element.get(name, "")) for name in ("property", "op", "value"))
    if op not in OPERATORS and op != "generalizes":
        raise Unprocessable(f"A filter of {property} has the operator {op[:40]!r}, which R4 does not have")
    if op == "exists" and value not in ("true", "false"):
        raise Unprocessable(f"The filter {property} exists has the value {value[:40]!r}: it is true or false")
    if op in LISTS:
        return Is(op, property, tuple(part.strip() for part in value.split(",") if part.strip()))
    if op == "=":
        match property:
            case _ if property in EXPRESSIONS:
                return ecl.parse(value)
            case "parent":
                return Is("child-of", "concept", (value,))
            case "ancestor":
                return Is("descendent-of", "concept", (value,))
            case "child":
                return Is("parent-of", "concept", (value,))
    return Is(op, property, (value,))


def _flat(contains: Any) -> Any:
    for entry in contains:
        if "code" in entry and not entry.get("abstract"):
            yield {k: v for k, v in entry.items() if k != "contains"}
        yield from _flat(entry.get("contains", ()))
