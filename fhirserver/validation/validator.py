"""Validation against the FHIR R4 specification itself (not against profiles)."""

from typing import Any

from fhirserver.errors import Issue
from fhirserver.model.definitions import Definitions
from fhirserver.validation.compilation import compile_rules
from fhirserver.validation.report import Node, Report, shown
from fhirserver.validation.rules import Scope


class Validator:
    """Checks resources against the R4 definitions. Compiled once; safe to share between threads.

    Checked are names, cardinality, JSON types, formats, choices, required bindings, the targets of
    references, contained resources, extensions, narratives and the invariants in ``invariants.py``; of
    Bundles and Parameters the resources inside, too. Not checked: profiles, extensible bindings, currencies,
    MIME types, units.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._rules = compile_rules(definitions, self._resource)

    def validate(self, resource: Any, *, location: str | None = None) -> list[Issue]:
        """What is wrong with a resource, at most 100 issues and one that counts the rest; [] when nothing is.

        ``location`` is the FHIRPath of the resource where it is a part of something, by default its type:
        ``Bundle.entry[2].resource``.
        """
        report = Report()
        if location is None:
            type = resource.get("resourceType") if isinstance(resource, dict) else None
            location = type if isinstance(type, str) and type in self._rules else "Resource"
        self._resource(resource, location, Scope(report, {}, 0), False)
        return report.result()

    def _resource(self, resource: Any, node: Node, scope: Scope, contained: bool) -> None:
        type = resource.get("resourceType") if isinstance(resource, dict) else None
        if type is None:
            scope.report.add(node, "structure", "a resource has to be an object with its resourceType")
            return
        rules = self._rules.get(type) if isinstance(type, str) else None
        if rules is None:
            scope.report.add(node, "structure", f"{shown(type)} is not a resource type of FHIR R4")
            return
        if not contained:
            rules.check(resource, node, Scope(scope.report, _contained(resource), scope.depth))
            return
        outer, scope.inside = scope.inside, True
        rules.check(resource, node, scope)
        scope.inside = outer


def _contained(resource: dict[str, Any]) -> dict[str, str]:
    """The types of the contained resources by id, as far as these are well-formed."""
    found = {}
    listed = resource.get("contained")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            found[one["id"]] = str(one.get("resourceType"))
    return found
