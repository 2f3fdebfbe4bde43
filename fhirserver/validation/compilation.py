"""Makes the rules from the definitions."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from fhirserver.model import ucum
from fhirserver.model.definitions import Definitions, Element, Structure, Type, ValueSet
from fhirserver.validation.artifacts import content_of
from fhirserver.validation.bindings import binding, code_test, codes_of, unknown_codes
from fhirserver.validation.bundle_rules import FullUrls, Links, SearchResults, WholeDocument
from fhirserver.validation.codings import coding
from fhirserver.validation.constraints import Expressed
from fhirserver.validation.extensions import ExtensionRule, Known
from fhirserver.validation.invariants import NEEDS, native
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.narrative_links import NarrativeLinks
from fhirserver.validation.primitives import TESTS, is_element_id
from fhirserver.validation.references import same_type, targets
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import (
    CodeRule,
    ComplexRule,
    Extra,
    Invariant,
    PrimitiveRule,
    ResourceRule,
    Rule,
    Rules,
    Scope,
    TwinRule,
)
from fhirserver.validation.systems import SYSTEMS, AbsoluteSystem, CanonicalRule, SamePrecision, Supplement

Validate = Callable[[Any, Node, Scope, bool], object]
"""Validates a resource inside another one, the last argument says whether it is contained."""

STRUCTURAL = frozenset(("ele-1", "ref-1", "txt-1", "txt-2"))
"""Invariants that the rules themselves ask: everything has content, ``#id`` is there, narratives are safe."""

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration")
_CODED = ("CodeableConcept", "Coding", "Quantity")


def compile_rules(knowledge: Knowledge, known: Known, validate: Validate) -> dict[str, Rules]:
    """The rules of every type, by name; ``validate`` is called for the resources inside others."""
    definitions = knowledge.definitions
    rules = {
        path: Rules(path, path in definitions.resource_types)
        for path, structure in definitions.structures.items()
        if structure.kind != "primitive-type"
    }
    compilation = _Compilation(knowledge, known, rules, validate)
    for path in rules:
        compilation.fill(definitions.structures[path])
    return rules


class _Compilation:
    def __init__(
        self, knowledge: Knowledge, known: Known, rules: dict[str, Rules], validate: Validate
    ) -> None:
        self._knowledge = knowledge
        self._definitions = knowledge.definitions
        self._known = known
        self._rules = rules
        self._validate = validate
        self._coding = unknown_codes(
            {system: frozenset(codes) for system, codes in self._definitions.code_systems.items()}
        )
        self._advised = coding(knowledge)

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
        rules.invariants = tuple(self._invariants(structure))
        if structure.path in SYSTEMS:
            rules.invariants += (("system", AbsoluteSystem(self._definitions.value_sets)),)
        if structure.path == "CodeSystem":
            rules.invariants += (("supplements", Supplement()),)
        rules.invariants += content_of(structure.path, self._knowledge)
        if structure.path == "Period":
            rules.invariants += (("end", SamePrecision()),)
        if structure.path == "Narrative":
            rules.invariants += (("div", NarrativeLinks()),)
        if structure.path == "Bundle":
            types = self._definitions.resource_types
            rules.invariants += (("entry", FullUrls(types)), ("entry", WholeDocument()))
            rules.invariants += (("link", Links()), ("entry", SearchResults(types)))

    def _invariants(self, structure: Structure) -> list[tuple[str, Invariant]]:
        found: list[tuple[str, Invariant]] = []
        url = _DEFINITION + structure.path.partition(".")[0]
        for constraint in structure.constraints:
            written = native(structure.path, constraint, url)
            if written:
                found.append((NEEDS.get(constraint.key, ""), written))
            elif constraint.key not in STRUCTURAL and constraint.expression:
                found.append(("", Expressed(constraint, url, structure.path, self._knowledge)))
        return found

    def _of(self, structure: Structure, element: Element, name: str, type: Type) -> list[Rule]:
        """The rules of one JSON name: one, for primitives with their ``_name`` two."""
        step = f".{element.name}.ofType({type.code})" if element.choice else f".{element.name}"
        choice = element.name if element.choice else None
        many = element.max is None or element.max > 1
        if type.code == "Resource":
            return [ResourceRule(name, step, many, self._validate)]
        if type.code == "Extension":
            known, knowledge = self._known, self._knowledge
            around, rules = _names(structure, self._definitions), self._rules[type.structure]
            return [ExtensionRule(name, step, many, rules, known, knowledge, structure.path, around)]
        if type.structure:
            rules = self._rules[type.structure]
            extras, advisory = self._extras(element, type), self._advisory(element, type)
            return [ComplexRule(name, step, choice, many, rules, (*extras, *advisory), extras)]
        if element.name == "id" and element.attribute:
            wanted = "a string without white space", "une chaîne sans espace"
            return [PrimitiveRule(name, step, None, False, is_element_id, wanted, "value")]
        primitive = self._primitive(element, name, step, choice, many, type)
        if element.attribute or type.code == "xhtml" or (structure.kind == "resource" and name == "id"):
            return [primitive]  # These cannot be extended.
        bound = isinstance(primitive, CodeRule)
        return [primitive, TwinRule(name, step, choice, many, self._rules["Element"], bound)]

    def _primitive(
        self, element: Element, name: str, step: str, choice: str | None, many: bool, type: Type
    ) -> Rule:
        bound = self._bound(element)
        if bound is not None and bound[1] == "required" and type.code == "code":
            value_set = bound[0]
            return CodeRule(
                name, step, choice, many, code_test(value_set), codes_of(value_set), value_set.url
            )
        test, wanted = TESTS[type.code]
        if type.code == "canonical":
            return CanonicalRule(name, step, choice, many, test, wanted)
        return PrimitiveRule(name, step, choice, many, test, wanted, "value")

    def _extras(self, element: Element, type: Type) -> tuple[Extra, ...]:
        extras: list[Extra] = []
        bound = self._bound(element)
        if bound is not None and type.code in _CODED and bound[1] == "required":
            extras.append(binding(type.code, *bound))
        if type.code == "Coding":
            extras.append(self._coding)
        elif type.code == "Reference":
            extras.append(targets(type.targets, self._definitions.resource_types))
        elif type.code == "Attachment":
            extras.append(_attachment)
        if type.profile == "SimpleQuantity":
            extras.append(_simple_quantity)
        return tuple(extras)

    def _advisory(self, element: Element, type: Type) -> tuple[Extra, ...]:
        """The extras that say nothing where no advice is wanted."""
        extras: list[Extra] = []
        bound = self._bound(element)
        if bound is not None and type.code in _CODED and bound[1] == "extensible":
            extras.append(binding(type.code, *bound))
        if type.code in _QUANTITIES:
            extras += [_unit, self._advised]
        elif type.code == "Coding":
            extras.append(self._advised)
        elif type.code == "Reference":
            extras.append(same_type)
        return tuple(extras)

    def _bound(self, element: Element) -> tuple[ValueSet, str] | None:
        """The value set that limits an element's codes, and how strongly."""
        for url, strength in ((element.value_set, element.strength), (element.max_value_set, "required")):
            value_set = self._definitions.value_sets.get(url)
            if value_set is not None and strength in ("required", "extensible"):
                return value_set, strength
        return None


def _names(structure: Structure, definitions: Definitions) -> frozenset[str]:
    """What the context of an extension may call any object of this structure."""
    names = {structure.path}
    if structure.kind == "resource":
        names.add("Resource")
        if definitions.is_domain_resource(structure.path):
            names.add("DomainResource")
    else:
        names |= {"Element", *(("BackboneElement",) if "." in structure.path else ())}
    return frozenset(names)


def _unit(quantity: dict[str, Any], node: Node, scope: Scope) -> None:
    """A code that says to be UCUM and is none is told where advice is wanted; the measure counts anyway."""
    code = quantity.get("code")
    if scope.report.advice and quantity.get("system") == ucum.SYSTEM and code and not ucum.is_valid(code):
        values = {"code": shown(code), "system": ucum.SYSTEM, "advice": ""}
        scope.report.note("warning", (node, ".code"), "code-invalid", "unknown-code", **values)


def _simple_quantity(quantity: dict[str, Any], node: Node, scope: Scope) -> None:
    if "comparator" in quantity:
        scope.report.add((node, ".comparator"), "invariant", "sqty-1", value=shown(quantity["comparator"]))


def _attachment(attachment: dict[str, Any], node: Node, scope: Scope) -> None:
    """size and hash are about the data, where it is there."""
    data = attachment.get("data")
    if data is None or ("size" not in attachment and "hash" not in attachment):
        return
    content = base64.b64decode(data)
    stated = attachment.get("size")
    if stated is not None and stated != len(content):
        scope.report.add((node, ".size"), "value", "attachment-size", stated=stated, found=len(content))
    digest = attachment.get("hash")
    if digest is not None and base64.b64decode(digest) != hashlib.sha1(content).digest():  # noqa: S324 (FHIR says SHA-1)
        scope.report.note("warning", (node, ".hash"), "value", "attachment-hash")
