"""Bindings to value sets. https://hl7.org/fhir/R4/terminologies.html#binding"""

from collections.abc import Callable
from typing import Any

from fhirserver.model.definitions import ValueSet
from fhirserver.validation.codes import SYNTAXES, allowed
from fhirserver.validation.primitives import Test
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Extra, Scope


def members(value_set: ValueSet) -> Callable[[Any, Any], bool]:
    """Whether a system and code (of any JSON type) belong to the set; any code of a system without a list
    does that has the form of its codes."""
    listed = frozenset((system, code) for system, codes in value_set.codes.items() for code in codes)
    unlisted = {system: SYNTAXES.get(system) for system in value_set.open}

    def is_member(system: Any, code: Any) -> bool:
        if type(code) is not str or type(system) is not str:
            return False
        if (system, code) in listed:
            return True
        test = unlisted.get(system)
        return test(code) if test else system in unlisted

    return is_member


def codes_of(value_set: ValueSet) -> list[str]:
    return [code for listed in value_set.codes.values() for code in listed]


def code_test(value_set: ValueSet) -> Test:
    """Whether a value of type code is in the set, whatever the system it is implied to be of."""
    codes = frozenset(codes_of(value_set))
    tests = [SYNTAXES.get(system) for system in value_set.open]

    def is_bound_code(value: Any) -> bool:
        if type(value) is not str:
            return False
        return value in codes or (value != "" and any(test is None or test(value) for test in tests))

    return is_bound_code


def binding(type: str, value_set: ValueSet, strength: str) -> Extra:
    """The check of a Coding, Quantity or CodeableConcept that is bound to the set.

    What is not in an extensible one is worth advice: nobody can tell here whether another code would do.
    """
    is_member = members(value_set)
    codes = codes_of(value_set)

    def check_coding(coding: dict[str, Any], node: Node, scope: Scope) -> None:
        if not is_member(coding.get("system"), coding.get("code")):
            wanted = allowed(str(coding.get("code", "")), codes, value_set.url)
            scope.report.add(node, "code-invalid", "coding", value=named(coding), wanted=wanted)

    def check_concept(concept: dict[str, Any], node: Node, scope: Scope) -> None:
        codings = concept.get("coding", ())
        for coding in codings:
            if is_member(coding.get("system"), coding.get("code")):
                return
        first = str(codings[0].get("code", "")) if codings else ""
        wanted = allowed(first, codes, value_set.url)
        if not codings:
            scope.report.add(node, "code-invalid", "no-coding", wanted=wanted)
        else:
            value = ", ".join(map(named, codings[:3]))
            scope.report.add(node, "code-invalid", "codings", value=value, wanted=wanted)

    def advise(element: dict[str, Any], node: Node, scope: Scope) -> None:
        if not scope.report.advice:
            return
        codings = element.get("coding", ()) if type == "CodeableConcept" else (element,)
        if codings and not any(is_member(c.get("system"), c.get("code")) for c in codings):
            values = {"value": named(codings[0]), "wanted": allowed("", codes, value_set.url)}
            scope.report.note("warning", node, "code-invalid", "extensible", **values)

    if strength == "extensible":
        return advise
    return check_concept if type == "CodeableConcept" else check_coding


def unknown_codes(code_systems: dict[str, frozenset[str]]) -> Extra:
    """The check of a Coding whose system is one of these, which are complete: its code is one of them.

    HL7 goes on adding codes to terminology.hl7.org: what is unknown there is worth advice; the code systems
    of the specification itself do not change.
    """

    def check(coding: dict[str, Any], node: Node, scope: Scope) -> None:
        system, code = coding.get("system"), coding.get("code")
        known = code_systems.get(system) if type(system) is str else None
        if known is None or code is None or code in known:
            return
        fixed = system is not None and system.startswith("http://hl7.org/fhir/")
        if not fixed and not scope.report.advice:
            return
        wanted = allowed(str(code), sorted(known), str(system))
        values = {"code": shown(code), "system": system, "advice": (f": {wanted[0]}", f" : {wanted[1]}")}
        scope.report.note(
            "error" if fixed else "warning",
            (node, ".code"),
            "code-invalid",
            "unknown-code",
            **values,
        )

    return check


def named(coding: dict[str, Any]) -> str:
    """A coding in a message: ``'system|code'``."""
    return str(shown(f"{coding.get('system', '')}|{coding.get('code', '')}"))
