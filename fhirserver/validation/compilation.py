"""Makes the rules from the definitions."""

from collections.abc import Callable
from typing import Any

from fhirserver.model.definitions import Definitions, Element, Structure, Type, ValueSet
from fhirserver.validation.bindings import binding, code_test, codes_text
from fhirserver.validation.invariants import violations
from fhirserver.validation.primitives import TESTS, is_uri
from fhirserver.validation.references import targets
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import (
    ComplexRule,
    Extra,
    PrimitiveRule,
    ResourceRule,
    Rule,
    Rules,
    Scope,
    TwinRule,
)

Validate = Callable[[Any, Node, Scope, bool], None]
"""Validates a resource inside another one, the last argument says whether it is contained."""


def compile_rules(definitions: Definitions, validate: Validate) -> dict[str, Rules]:
    """The rules of every resource type; ``validate`` is called for the resources inside."""
    rules = {
        path: Rules(path, path in definitions.resource_types)
        for path, structure in definitions.structures.items()
        if structure.kind != "primitive-type"
    }
    compilation = _Compilation(definitions, rules, validate)
    for path in rules:
        compilation.fill(definitions.structures[path])
    return {type: rules[type] for type in definitions.resource_types}


class _Compilation:
    def __init__(self, definitions: Definitions, rules: dict[str, Rules], validate: Validate) -> None:
        self._definitions = definitions
        self._rules = rules
        self._validate = validate

    def fill(self, structure: Structure) -> None:
        """Complete the rules of a structure, which others may refer to already."""
        rules = self._rules[structure.path]
        if rules.resource:
            rules.elements["resourceType"] = Rule("resourceType", "", None, lambda _: True)
        required = []
        for element in structure.elements:
            names = set()
            for name, type in element.json_names():
                for rule in self._of(structure, element, name, type):
                    rules.elements[rule.name] = rule
                    names.add(rule.name)
            if element.min:
                required.append((element.name, frozenset(names)))
        rules.required = tuple(required)
        rules.invariants = tuple(
            (
                check,
                "error" if constraint.severity == "error" else "warning",
                f"{constraint.key}: {constraint.human}",
            )
            for constraint in structure.constraints
            if (check := violations(structure.path, constraint.key))
        )

    def _of(self, structure: Structure, element: Element, name: str, type: Type) -> list[Rule]:
        """The rules of one JSON name: one, for primitives with their ``_name`` two."""
        step = f".{element.name}.ofType({type.code})" if element.choice else f".{element.name}"
        choice = element.name if element.choice else None
        many = element.max is None
        if type.code == "Resource":
            return [ResourceRule(name, step, many, self._validate)]
        if type.structure:
            rules = self._rules[type.structure]
            return [ComplexRule(name, step, choice, many, rules, self._extras(element, type))]
        if element.name == "id" and element.attribute:
            return [PrimitiveRule(name, step, None, False, is_uri, "a string without white space", "value")]
        primitive = self._primitive(element, name, step, choice, many, type)
        if element.attribute or type.code == "xhtml" or (structure.kind == "resource" and name == "id"):
            return [primitive]  # These cannot be extended.
        return [primitive, TwinRule(name, step, choice, many, self._rules["Element"])]

    def _primitive(
        self, element: Element, name: str, step: str, choice: str | None, many: bool, type: Type
    ) -> Rule:
        value_set = self._bound(element)
        if value_set is not None and not value_set.open:
            wanted = codes_text(value_set)
            return PrimitiveRule(name, step, choice, many, code_test(value_set), wanted, "code-invalid")
        test, wanted = TESTS[type.code]
        return PrimitiveRule(name, step, choice, many, test, wanted, "value")

    def _extras(self, element: Element, type: Type) -> tuple[Extra, ...]:
        extras: list[Extra] = []
        value_set = self._bound(element)
        if value_set is not None:
            extras.append(binding(type.code, value_set))
        if type.code == "Reference":
            extras.append(targets(type.targets, self._definitions.resource_types))
        if type.profile == "SimpleQuantity":
            extras.append(_simple_quantity)
        return tuple(extras)

    def _bound(self, element: Element) -> ValueSet | None:
        required = element.strength == "required"
        return self._definitions.value_sets.get(element.value_set) if required else None


def _simple_quantity(quantity: dict[str, Any], node: Node, scope: Scope) -> None:
    if "comparator" in quantity:
        text = f"sqty-1: the comparator {shown(quantity['comparator'])} is not used on a SimpleQuantity"
        scope.report.add((node, ".comparator"), "invariant", text)
