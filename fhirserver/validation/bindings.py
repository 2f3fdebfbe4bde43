"""Required bindings. https://hl7.org/fhir/R4/terminologies.html#required"""

from typing import Any

from fhirserver.model.definitions import ValueSet
from fhirserver.validation.primitives import Test
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Extra, Scope

_LISTED = 12
"""So many codes are named in a message."""


def code_test(value_set: ValueSet) -> Test:
    """Whether a value of type code is in the set."""
    codes = frozenset(code for listed in value_set.codes.values() for code in listed)

    def is_bound_code(value: Any) -> bool:
        return type(value) is str and value in codes

    return is_bound_code


def codes_text(value_set: ValueSet) -> str:
    """The codes for a message: all of a small set, the name of a large one."""
    codes = [code for listed in value_set.codes.values() for code in listed]
    name = value_set.url.rpartition("/")[2]
    return f"one of {', '.join(codes)} ({name})" if len(codes) <= _LISTED else f"a code of {value_set.url}"


def binding(type: str, value_set: ValueSet) -> Extra:
    """The check of a Coding, Quantity or CodeableConcept that is bound to the set."""
    members = frozenset((system, code) for system, listed in value_set.codes.items() for code in listed)
    unlisted = frozenset(value_set.open)
    wanted = codes_text(value_set)

    def is_member(coding: dict[str, Any]) -> bool:
        system = coding.get("system")
        return (system, coding.get("code")) in members or (system in unlisted and "code" in coding)

    def check_coding(coding: dict[str, Any], node: Node, scope: Scope) -> None:
        if not is_member(coding):
            scope.report.add(node, "code-invalid", f"{_named(coding)} is not {wanted}")

    def check_concept(concept: dict[str, Any], node: Node, scope: Scope) -> None:
        codings = concept.get("coding", ())
        if not codings:
            scope.report.add(node, "code-invalid", f"a coding is needed: {wanted}")
        elif not any(map(is_member, codings)):
            scope.report.add(
                node, "code-invalid", f"{', '.join(map(_named, codings[:3]))}: no coding is {wanted}"
            )

    return check_concept if type == "CodeableConcept" else check_coding


def _named(coding: dict[str, Any]) -> str:
    return shown(f"{coding.get('system', '')}|{coding.get('code', '')}")
