"""Where a Reference may point. https://hl7.org/fhir/R4/references.html"""

from typing import Any

from fhirserver.model import reference
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Extra, Scope

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def target_type(literal: str, scope: Scope, resource_types: frozenset[str]) -> str | None:
    """The type of the resource that a literal reference points to; None where it does not tell.

    Nothing is fetched: ``#id`` is looked up in the containing resource, others in the Bundle around it.
    """
    if literal.startswith("#"):
        return scope.contained.get(literal[1:])
    inside = scope.bundle.get(literal)
    if inside is not None:
        return str(inside.get("resourceType"))
    parsed = reference.parse(literal)
    if parsed.id:
        return parsed.type if parsed.type in resource_types else None
    name = literal.partition("?")[0]
    return name if name in resource_types else None


def same_type(element: dict[str, Any], node: Node, scope: Scope) -> None:
    """A relative reference that has the UUID of a Bundle's entry means this one: then its type agrees."""
    literal = element.get("reference")
    if not scope.report.advice or type(literal) is not str or not scope.bundle:
        return
    named = reference.parse(literal)
    inside = scope.bundle.get(f"urn:uuid:{named.id}") if named.id and not named.base else None
    found = inside.get("resourceType") if inside else named.type
    if found != named.type:
        values = {"stated": shown(named.type), "found": shown(found)}
        scope.report.strict((node, ".reference"), "value", "reference-type", **values)


def targets(allowed: tuple[str, ...], resource_types: frozenset[str]) -> Extra:
    """The check of a Reference that may point to these types, to any where there are none.

    A reference that does not tell its target's type (``urn:uuid:...`` outside a Bundle, a foreign url) is
    accepted.
    """
    wanted = ", ".join(allowed)

    def check(element: dict[str, Any], node: Node, scope: Scope) -> None:
        literal = element.get("reference")
        found = None
        if literal is not None:
            found = _type(literal, node, scope)
        declared = element.get("type")
        if declared is not None:
            declared = declared.removeprefix(_DEFINITION)
            if found is not None and declared != found:
                values = {"stated": shown(declared), "found": found}
                scope.report.add((node, ".type"), "value", "reference-type", **values)
                return
            found = declared
        if found is not None and allowed and found not in allowed:
            scope.report.add(node, "value", "reference-target", found=shown(found), wanted=wanted)

    def _type(literal: str, node: Node, scope: Scope) -> str | None:
        if literal.startswith("#"):
            if literal == "#" and scope.inside:
                return str(scope.root.get("resourceType"))
            if literal[1:] not in scope.contained:
                scope.report.add((node, ".reference"), "invariant", "ref-1", id=shown(literal[1:]))
        found = target_type(literal, scope, resource_types)
        if found is None and literal[0] != "#":
            parsed = reference.parse(literal)
            if parsed.id and not parsed.base:
                values = {"type": shown(parsed.type)}
                scope.report.add((node, ".reference"), "value", "reference-unknown", **values)
        return found

    return check
