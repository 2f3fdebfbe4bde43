"""What can be said of a coding beyond the codes of the specification, where advice is wanted.

https://hl7.org/fhir/R4/datatypes.html#Coding
"""

from typing import Any

from fhirserver.errors import Severity
from fhirserver.model import ucum
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Extra, Scope

_GROWING = ("http://terminology.hl7.org/", ucum.SYSTEM)
"""Code systems of which other versions than the one known here are right, too; and UCUM, whose codes are
only told in quantities."""


def coding(knowledge: Knowledge) -> Extra:
    """The check of a Coding or Quantity: system, code and display, by all code systems that are known."""
    specified = knowledge.definitions.code_systems

    def check(element: dict[str, Any], node: Node, scope: Scope) -> None:
        system, code, display = element.get("system"), element.get("code"), element.get("display")
        if not scope.report.advice or type(system) is not str:
            return
        if knowledge.is_supplement(system):
            scope.report.strict((node, ".system"), "code-invalid", "system-supplement", value=shown(system))
            return
        if type(code) is not str:
            return
        is_coding = "value" not in element  # else a Quantity, of whose unit nobody has said anything yet
        if (system not in specified or not is_coding) and knowledge.is_code(system, code) is False:
            severity: Severity = "warning" if system.startswith(_GROWING) else "error"
            values = {"code": shown(code), "system": system, "advice": ""}
            scope.report.note(severity, (node, ".code"), "code-invalid", "unknown-code", **values)
        elif type(display) is str:
            language = scope.root.get("language")
            names = knowledge.names(system, code, language if type(language) is str else "")
            if names and _folded(display) not in map(_folded, names):
                values = {"value": shown(display), "code": code, "wanted": shown(names[0])}
                scope.report.note("warning", (node, ".display"), "code-invalid", "display", **values)

    return check


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
