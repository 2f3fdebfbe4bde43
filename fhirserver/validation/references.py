"""Where a Reference may point. https://hl7.org/fhir/R4/references.html"""

from typing import Any

from fhirserver.model import reference
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Extra, Scope

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def targets(allowed: tuple[str, ...], resource_types: frozenset[str]) -> Extra:
    """The check of a Reference that may point to these types, to any where there are none.

    Nothing is resolved but ``#id``; a reference that does not tell its target's type (``urn:uuid:...``, a
    foreign url) is accepted.
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
                text = f"type says {shown(declared)}, the reference points to {found}"
                scope.report.add((node, ".type"), "value", text)
                return
            found = declared
        if found is not None and allowed and found not in allowed:
            scope.report.add(node, "value", f"{shown(found)} cannot be referred to here, only {wanted}")

    def _type(literal: str, node: Node, scope: Scope) -> str | None:
        if literal.startswith("#"):
            if literal == "#" and scope.inside:
                return None
            if literal[1:] not in scope.contained:
                text = f"ref-1: no contained resource has the id {shown(literal[1:])}"
                scope.report.add((node, ".reference"), "invariant", text)
            return scope.contained.get(literal[1:])
        parsed = reference.parse(literal)
        if parsed.id:
            if parsed.type in resource_types:
                return parsed.type
            if not parsed.base:
                text = f"{shown(parsed.type)} is not a resource type"
                scope.report.add((node, ".reference"), "value", text)
        elif literal.partition("?")[0] in resource_types:
            return literal.partition("?")[0]
        return None

    return check
