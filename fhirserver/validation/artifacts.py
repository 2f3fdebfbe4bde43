"""What stands inside CodeSystem, ValueSet, ConceptMap and SearchParameter, where advice is wanted.

https://hl7.org/fhir/R4/codesystem.html, https://hl7.org/fhir/R4/valueset.html#compositions
"""

import re
from collections.abc import Iterator
from typing import Any

from fhirserver.validation.fhirpath import FHIRPathError, compile_expression
from fhirserver.validation.invariants import has_choice
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Invariant, Scope

Element = dict[str, Any]

_HL7 = "http://hl7.org/fhir/concept-properties#"
PROPERTIES = {
    "status": "code", "inactive": "boolean", "effectiveDate": "dateTime", "deprecationDate": "dateTime",
    "retirementDate": "dateTime", "notSelectable": "boolean", "parent": "code", "child": "code",
    "partOf": "code", "synonym": "code", "comment": "string",
}  # fmt: skip
"""https://hl7.org/fhir/R4/codesystem-concept-properties.html, and its successors"""
_SNOMED = "http://snomed.info/sct"
_PARAMETER = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter"
_EXPRESSION = "http://hl7.org/fhir/StructureDefinition/cqf-expression"
_CODED = ("is-a", "descendent-of", "is-not-a", "generalizes")
_ENVIRONMENT = frozenset(("resource", "rootResource", "context", "ucum", "sct", "loinc"))
_variable = re.compile(r"%([A-Za-z_][A-Za-z0-9_\-]*)").findall


class CodeSystemContent:
    """Properties are defined once and as HL7 defines its own; concepts have them with the type they have."""

    silent = True

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def check(self, value: Element, node: Node, scope: Scope, well_formed: bool) -> None:
        if not scope.report.advice or not well_formed:
            return
        types: dict[str, str] = {}
        uris: set[str] = set()
        for index, defined in enumerate(value.get("property", ())):
            place: Node = ((node, ".property"), index)
            self._defined(defined, types, uris, place, scope)
            types.setdefault(str(defined.get("code")), str(defined.get("type")))
            uris.add(str(defined.get("uri")))
        self._concepts(value, types, node, scope)

    def _defined(
        self, defined: Element, types: dict[str, str], uris: set[str], node: Node, scope: Scope
    ) -> None:
        code, uri, type = (str(defined.get(name, "")) for name in ("code", "uri", "type"))
        if code in types:
            scope.report.strict((node, ".code"), "duplicate", "property-twice", code=shown(code))
        if uri and uri in uris:
            scope.report.strict((node, ".uri"), "duplicate", "property-twice", code=shown(uri))
        named = uri.removeprefix(_HL7) if uri.startswith(_HL7) else ""
        if named in PROPERTIES and type != PROPERTIES[named]:
            values = {"code": named, "type": type, "wanted": PROPERTIES[named]}
            scope.report.strict((node, ".type"), "value", "property-type", **values)
        if named in PROPERTIES and code in PROPERTIES and code != named:
            scope.report.strict((node, ".code"), "value", "property-name", code=shown(code), wanted=named)

    def _concepts(self, parent: Element, types: dict[str, str], node: Node, scope: Scope) -> None:
        for index, concept in enumerate(parent.get("concept", ())):
            place: Node = ((node, ".concept"), index)
            for number, property in enumerate(concept.get("property", ())):
                self._property(property, types, ((place, ".property"), number), scope)
            self._concepts(concept, types, place, scope)

    def _property(self, property: Element, types: dict[str, str], node: Node, scope: Scope) -> None:
        code = str(property.get("code"))
        wanted = types.get(code)
        if wanted is None:
            return
        if not has_choice(property, "value"):
            return
        name = f"value{wanted[:1].upper()}{wanted[1:]}"
        if name not in property and "_" + name not in property:
            found = next(n.lstrip("_")[5:] for n in property if n.lstrip("_").startswith("value"))
            values = {"code": code, "type": found, "wanted": wanted}
            scope.report.strict(node, "value", "property-type", **values)
        coding = property.get("valueCoding", {})
        system, own = str(coding.get("system", "")), str(coding.get("code", ""))
        if system and own and self._knowledge.is_code(system, own) is False:
            place = (node, ".value.ofType(Coding)")
            scope.report.strict(place, "code-invalid", "unknown-code", code=own, system=system, advice="")


class ValueSetContent:
    """A filter's value is one that its property can have; expressions use the parameters that there are."""

    silent = True

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def check(self, value: Element, node: Node, scope: Scope, well_formed: bool) -> None:
        if not scope.report.advice or not well_formed:
            return
        parameters = set(_parameters(value))
        for part in ("include", "exclude"):
            for index, clause in enumerate(value["compose"].get(part, ())):
                place: Node = (((node, ".compose"), "." + part), index)
                for number, filter in enumerate(clause.get("filter", ())):
                    where: Node = ((place, ".filter"), number)
                    self._filter(str(clause.get("system", "")), filter, where, scope)
                    self._expressions(filter, parameters, where, scope)

    def _filter(self, system: str, filter: Element, node: Node, scope: Scope) -> None:
        property, op, value = (str(filter.get(name, "")) for name in ("property", "op", "value"))
        if not value or op in ("exists", "regex"):
            return
        knowledge, report, place = self._knowledge, scope.report, (node, ".value")
        type = knowledge.property_type(system, property) or PROPERTIES.get(property, "")
        listed = value.split(",") if op in ("in", "not-in") else [value]
        if type == "boolean" and op == "=" and value not in ("true", "false"):
            report.strict(place, "value", "filter-boolean", property=shown(property), value=shown(value))
        elif type == "Coding":
            for one in listed:
                stated, _, code = one.strip().rpartition("#" if "#" in one else "|")
                of = stated.partition("|")[0]
                if not of or not code:
                    report.strict(place, "value", "filter-coding", property=shown(property), value=shown(one))
                elif knowledge.is_code(of, code) is False:
                    report.strict(place, "code-invalid", "unknown-code", code=code, system=of, advice="")
        elif property in ("constraint", "expression") and system == _SNOMED:
            if not knowledge.is_constraint(value):
                report.strict(place, "value", "filter-constraint", value=shown(value))
        elif property in ("concept", "code") and op in _CODED and knowledge.is_code(system, value) is False:
            values = {"code": shown(value), "system": system, "advice": ""}
            report.strict(place, "code-invalid", "unknown-code", **values)

    def _expressions(self, filter: Element, parameters: set[str], node: Node, scope: Scope) -> None:
        twin = filter.get("_value", {})
        for index, extension in enumerate(twin.get("extension", ())):
            found = extension.get("valueExpression")
            if extension.get("url") != _EXPRESSION or not isinstance(found, dict):
                continue
            place: Node = (((node, ".value"), ".extension"), index)
            language, text = str(found.get("language")), str(found.get("expression", ""))
            if language != "text/fhirpath":
                scope.report.strict(place, "value", "expression-language", value=shown(language))
                continue
            unknown = set(_variable(text)) - parameters - _ENVIRONMENT
            try:
                compile_expression(_variable_free(text))
            except FHIRPathError as error:
                scope.report.strict(place, "value", "expression", value=shown(text), why=str(error))
            for name in sorted(unknown):
                scope.report.strict(place, "value", "expression-parameter", name=shown(name))


def _parameters(value_set: Element) -> Iterator[str]:
    for extension in value_set.get("extension", ()):
        if extension.get("url") == _PARAMETER:
            for part in extension.get("extension", ()):
                if part.get("url") == "name":
                    yield str(part.get("valueCode", part.get("valueString", "")))


def _variable_free(expression: str) -> str:
    """The expression with what is known only where it is used in the place of its parameters."""
    return re.sub(r"%([A-Za-z_][A-Za-z0-9_\-]*)", "%resource", expression)


class ConceptMapContent:
    """What is mapped is in the value set that the map is for. Of targets many are of other versions."""

    silent = True

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def check(self, value: Element, node: Node, scope: Scope, well_formed: bool) -> None:
        value_set = value.get("sourceCanonical", value.get("sourceUri"))
        if not scope.report.advice or not well_formed or not isinstance(value_set, str):
            return
        for index, group in enumerate(value["group"]):
            system = str(group.get("source", ""))
            for number, element in enumerate(group.get("element", ())):
                code = str(element.get("code", ""))
                if system and code and self._knowledge.is_member(value_set, system, code) is False:
                    place: Node = ((((node, ".group"), index), ".element"), number)
                    values = {"value": shown(code), "wanted": value_set}
                    scope.report.strict((place, ".code"), "code-invalid", "map-code", **values)


class SearchParameterContent:
    """What is derived from a parameter has its type, and no other bases."""

    silent = True

    def __init__(self, knowledge: Knowledge) -> None:
        definitions = knowledge.definitions
        self._known = {
            parameter.url: parameter
            for type in definitions.resource_types
            for parameter in definitions.search_parameters(type).values()
        }

    def check(self, value: Element, node: Node, scope: Scope, well_formed: bool) -> None:
        known = self._known.get(value["derivedFrom"]) if well_formed and scope.report.advice else None
        if known is None:
            return
        if value.get("type") != known.type:
            values = {"value": shown(value.get("type")), "wanted": known.type}
            scope.report.strict((node, ".type"), "value", "derived-parameter", **values)
        for index, base in enumerate(value.get("base", ())):
            if base not in known.base:
                values = {"value": shown(base), "wanted": ", ".join(known.base)}
                place = ((node, ".base"), index)
                scope.report.strict(place, "value", "derived-parameter", **values)


def content_of(path: str, knowledge: Knowledge) -> tuple[tuple[str, Invariant], ...]:
    """The rules of a structure's content, with the JSON name without which each holds."""
    match path:
        case "CodeSystem":
            return (("", CodeSystemContent(knowledge)),)
        case "ValueSet":
            return (("compose", ValueSetContent(knowledge)),)
        case "ConceptMap":
            return (("group", ConceptMapContent(knowledge)),)
        case "SearchParameter":
            return (("derivedFrom", SearchParameterContent(knowledge)),)
    return ()
