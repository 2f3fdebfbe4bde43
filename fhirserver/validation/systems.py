"""What is to be said of single elements where advice is wanted: systems, identifiers, periods.

https://hl7.org/fhir/R4/datatypes.html#Coding, https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

import re
from collections.abc import Container
from typing import Any

from fhirserver.validation.messages import Said
from fhirserver.validation.primitives import Test
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import PrimitiveRule, Scope

SYSTEMS = ("Coding", "Identifier", "Quantity", "ValueSet.compose.include", "ValueSet.compose.exclude")
"""The structures whose ``system`` is a code system or a namespace."""

_URI = "urn:ietf:rfc:3986"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:").match


def is_absolute(uri: str) -> bool:
    return _SCHEME(uri) is not None


class AbsoluteSystem:
    """A system is absolute, and no value set; an identifier that is said to be a URI is one."""

    silent = True

    def __init__(self, value_sets: Container[str]) -> None:
        self._value_sets = value_sets

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if not scope.report.advice or not well_formed:
            return
        system, stated = value["system"], value.get("value")
        place = (node, ".system")
        if not is_absolute(system):
            scope.report.strict(place, "value", "system-relative", value=shown(system))
        elif system in self._value_sets:
            scope.report.strict(place, "value", "system-value-set", value=shown(system))
        elif system == _URI and type(stated) is str and not is_absolute(stated):
            scope.report.strict((node, ".value"), "value", "identifier-uri", value=shown(stated))


class CanonicalRule(PrimitiveRule):
    """A canonical: it is absolute, or names what is contained. https://hl7.org/fhir/R4/datatypes.html#canonical"""

    __slots__ = ()

    def __init__(
        self, name: str, step: str, choice: str | None, many: bool, test: Test, wanted: Said
    ) -> None:
        super().__init__(name, step, choice, many, test, wanted, "value")
        self.test = None  # What is right, too, is looked at closely.

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        super().check(item, parent, node, scope)
        if not scope.report.advice:
            return
        here: Node = (node, self.step)
        for index, value in enumerate(item if type(item) is list else [item]):
            if self.accepts(value) and value[0] != "#" and not is_absolute(value):
                place = (here, index) if self.many else here
                scope.report.strict(place, "value", "canonical-relative", value=shown(value))


class Supplement:
    """What supplements a code system says so in its content. https://hl7.org/fhir/R4/codesystem.html#supplements"""

    silent = True

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if well_formed and value.get("content") != "supplement":
            scope.report.strict((node, ".content"), "value", "supplement-content")


class SamePrecision:
    """The ends of a period can be compared: not where one is a day and the other a time of the same day."""

    silent = True

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        start, end = value.get("start"), value.get("end")
        if not well_formed or type(start) is not str or type(end) is not str or start == end:
            return
        shared = min(len(start), len(end), 10)
        if min(len(start), 11) != min(len(end), 11) and start[:shared] == end[:shared]:
            values = {"start": shown(start), "end": shown(end)}
            scope.report.strict(node, "invariant", "period-precision", **values)
