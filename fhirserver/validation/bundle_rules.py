"""What the text of the specification says of Bundles beyond their invariants.

https://hl7.org/fhir/R4/bundle.html#bundle-unique
"""

from typing import Any

from fhirserver.model import reference
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Scope


class FullUrls:
    """A fullUrl that is the address of a resource does not disagree with the resource's type and id."""

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        entries = value["entry"]
        for index, entry in enumerate(entries if type(entries) is list else ()):
            resource = entry.get("resource") if type(entry) is dict else None
            if type(resource) is not dict or type(entry.get("fullUrl")) is not str or "id" not in resource:
                continue
            stated = reference.parse(entry["fullUrl"])
            found = (resource.get("resourceType"), resource["id"])
            if stated.id and (stated.type, stated.id) != found:
                place = (((node, ".entry"), index), ".fullUrl")
                values = {"stated": f"{stated.type}/{stated.id}", "found": shown(f"{found[0]}/{found[1]}")}
                scope.report.add(place, "invalid", "full-url", **values)
