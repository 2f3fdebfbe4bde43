"""Extensions that are known: where they may stand, how often, and (by their profile) what they hold.

https://hl7.org/fhir/R4/defining-extensions.html
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from fhirserver.model.definitions import Definitions
from fhirserver.validation.constraints import allows, selects
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.report import Node, Report
from fhirserver.validation.rules import ComplexRule, Rules, Scope

_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_FAMILIES = ("structuredefinition-", "elementdefinition-", "valueset-", "codesystem-", "regex", "translation")
_LOOSE = tuple(_CANONICAL + family for family in _FAMILIES)
"""The specification's own definitions use these where their contexts do not say so."""


class Extension(Protocol):
    """The definition of an extension, as far as it says where it may be used; ``most`` None is ``*``."""

    url: str
    contexts: tuple[tuple[str, str], ...]
    conditions: tuple[str, ...]
    modifier: bool
    most: int | None

    def check(self, item: dict[str, Any], node: Node, scope: Scope) -> None:
        """Report what its definition says against the extension's content."""


class Known(Protocol):
    """Where the definitions of extensions come from."""

    def extension(self, url: str) -> Extension | None: ...


class ExtensionRule(ComplexRule):
    """``extension`` and ``modifierExtension`` of the objects of a ``structure``; ``around`` is what contexts
    may call these, wherever they are."""

    __slots__ = ("_around", "_knowledge", "_known", "_modifier", "_structure")

    def __init__(
        self,
        name: str,
        step: str,
        many: bool,
        rules: Rules,
        known: Known,
        knowledge: Knowledge,
        structure: str,
        around: frozenset[str],
    ) -> None:
        super().__init__(name, step, None, many, rules, (), ())
        self._structure = structure
        self._around = around
        self._known = known
        self._knowledge = knowledge
        self._modifier = name == "modifierExtension"

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        before = scope.report.errors
        super().check(item, parent, node, scope)
        if scope.report.errors > before:
            return
        here = (node, self.step)
        for index, extension in enumerate(item):
            url = extension["url"]
            definition = self._known.extension(url)
            if definition is not None:
                self._check(definition, extension, parent, (here, index), scope)
            elif ":" in url:
                self._unknown(url, (here, index), scope.report)
            elif "url" not in parent:  # else a part of a complex extension
                place = ((here, index), ".url")
                scope.report.strict(place, "extension", "extension-relative", url=url[:200])
        if len(item) > 1:
            self._count(item, here, scope.report)

    def accepting(self, accepts: Callable[[Any, Scope, int], bool]) -> Callable[[Any, Scope, int], bool]:
        """How the element is accepted, see ``acceptance``, where ``accepts`` does so with one extension."""
        modifier, extension = self._modifier, self._known.extension

        def accept(item: Any, scope: Scope, depth: int) -> bool:
            if type(item) is not list or not item:
                return False
            for one in item:
                if not accepts(one, scope, depth):
                    return False
                definition = extension(one["url"])
                if definition is None:
                    if modifier:
                        return False
                elif definition.modifier is modifier and self._is_for_all(definition):
                    definition.check(one, "", scope)
                else:
                    return False
            if len(item) > 1:
                self._count(item, "", scope.report)
            return True

        return accept

    def _is_for_all(self, definition: Extension) -> bool:
        """Whether the objects may have the extension wherever they are."""
        if definition.conditions:
            return False
        return definition.url.startswith(_LOOSE) or any(
            kind == "element" and expression in self._around for kind, expression in definition.contexts
        )

    def _check(
        self,
        definition: Extension,
        extension: dict[str, Any],
        parent: dict[str, Any],
        node: Node,
        scope: Scope,
    ) -> None:
        url = definition.url
        if definition.modifier != self._modifier:
            key = "extension-modifier" if definition.modifier else "extension-no-modifier"
            scope.report.add(node, "extension", key, url=url)
        steps = _way(node, scope)
        if not url.startswith(_LOOSE) and not self._is_allowed(definition.contexts, steps, parent, scope):
            wanted = ", ".join(expression for _, expression in definition.contexts)
            place = ".".join((str(scope.resource.get("resourceType")), *steps))
            scope.report.add(node, "extension", "extension-context", url=url, place=place, wanted=wanted)
        if definition.conditions and self._structure != "Element":
            self._conditions(definition, extension, parent, node, scope)
        definition.check(extension, node, scope)

    def _conditions(
        self,
        definition: Extension,
        extension: dict[str, Any],
        parent: dict[str, Any],
        node: Node,
        scope: Scope,
    ) -> None:
        """What has to hold of the object that has the extension, ``%extension``."""
        model = self._knowledge.model
        item = model.resource(parent) if parent is scope.resource else model.element(parent, self._structure)
        own = model.element(extension, "Extension")
        for condition in definition.conditions:
            if not allows(condition, item, own, scope, self._knowledge):
                values = {"url": definition.url, "wanted": condition}
                scope.report.add(node, "extension", "extension-condition", **values)

    def _is_allowed(
        self,
        contexts: tuple[tuple[str, str], ...],
        steps: tuple[str, ...],
        parent: dict[str, Any],
        scope: Scope,
    ) -> bool:
        """Whether one of the contexts is the place that the steps lead to, which ``parent`` stands at."""
        definitions = self._knowledge.definitions
        places = _places(definitions, str(scope.resource.get("resourceType")), steps)
        above = _above(steps, parent, scope)
        for kind, expression in contexts:
            if kind == "element" and (expression in places or expression.replace("[x]", "") in places):
                return True
            if kind == "extension" and above and (":" not in above or above == expression):
                return True  # Of parts, which have relative urls, the extension around them is not looked at.
            if kind == "fhirpath" and selects(expression, parent, scope, self._knowledge):
                return True
        return not contexts

    def _unknown(self, url: str, node: Node, report: Report) -> None:
        if self._modifier:
            report.note("warning", node, "extension", "modifier-unknown", url=url[:200])
        elif report.advice:
            report.note("information", node, "extension", "extension-unknown", url=url[:200])

    def _count(self, item: list[dict[str, Any]], node: Node, report: Report) -> None:
        for url, count in Counter(extension["url"] for extension in item).items():
            definition = self._known.extension(url) if count > 1 else None
            if definition is not None and definition.most is not None and count > definition.most:
                values = {"url": url, "count": count, "most": definition.most}
                report.note("warning", node, "extension", "extension-repeats", **values)


def _way(node: Node, scope: Scope) -> tuple[str, ...]:
    """The steps from the resource to the element that has the extension."""
    steps: list[str] = []
    while isinstance(node, tuple) and node is not scope.node:
        node, step = node
        if isinstance(step, str):
            steps.append(step[1:])
    return tuple(reversed(steps[1:]))  # without .extension itself


def _above(steps: tuple[str, ...], parent: dict[str, Any], scope: Scope) -> str:
    """The url of the extension that the place is in, itself or in its value; "" where it is in none."""
    if steps and steps[-1] in _EXTENSIONS:
        return str(parent.get("url", ""))
    if len(steps) > 1 and steps[-2] in _EXTENSIONS:
        return str((_holder(scope.resource, parent) or {}).get("url", ""))
    return ""


_EXTENSIONS = ("extension", "modifierExtension")


def _holder(value: Any, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The object of which the wanted one is an element."""
    inner = value.values() if type(value) is dict else value if type(value) is list else ()
    if type(value) is dict and any(item is wanted for item in inner):
        return value
    return next((found for item in inner if (found := _holder(item, wanted)) is not None), None)


@lru_cache(maxsize=4096)
def _places(definitions: Definitions, type: str, steps: tuple[str, ...]) -> frozenset[str]:
    """All names a context may give the element: ``Patient.contact.name.family``, ``HumanName.family``,
    ``string``, ``Element``."""
    paths, structure, kinds = [type, "Resource"], type, {"Element"}
    if definitions.is_domain_resource(type):
        paths.append("DomainResource")
    for step in steps:
        name, _, chosen = step.partition(".ofType(")
        code = chosen.rstrip(")")
        children: Mapping[str, Any] = definitions.elements(structure) if structure else {}
        found = next(
            (t for e, t in children.values() if e.name == name and (not code or t.code == code)), None
        )
        if found is None:
            return frozenset((*paths, "Element"))
        paths = [f"{path}.{name}" for path in paths]
        if found.structure and found.structure not in paths:
            paths.append(found.structure)
        structure = found.structure
        kinds = {found.code, "Element", *(("BackboneElement",) if "." in structure else ())}
    return frozenset((*paths, *kinds))
